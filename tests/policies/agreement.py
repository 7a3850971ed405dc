"""Whether all back ends and the oracle agree on rules at random.

By night: `python -m tests.policies.agreement --rules 100000 --rows 1000`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from tests.policies.back_ends import BACK_ENDS, TOO_DEEP, Outcome
from tests.policies.random_rules import Row, Rule, Rules, row

_AT_ONCE = 500  # rules


@dataclass(frozen=True)
class Disagreement:
    """What each back end says of one rule and one row."""

    rule: Rule
    row: Row
    said: dict[str, Outcome]


def at_random(rules: int, rows: int, seed: int) -> tuple[list[Rule], list[Row]]:
    """The same ones for the same seed."""
    random = Random(seed)
    source = Rules(random)
    return [source.rule() for _ in range(rules)], [row(random) for _ in range(rows)]


def disagreements(rules: Sequence[Rule], rows: Sequence[Row], told: Counter[Outcome]) -> Iterator[Disagreement]:
    """Where not all say the same. `told` counts the outcomes."""
    said = {name: ask(rules, rows) for name, ask in BACK_ENDS.items()}
    for number, rule in enumerate(rules):
        for place, each in enumerate(rows):
            here = {name: outcomes[number][place] for name, outcomes in said.items()}
            told[here["oracle"]] += 1
            if here["sqlite"] == TOO_DEEP:
                told[here.pop("sqlite")] += 1
            if len(set(here.values())) > 1:
                yield Disagreement(rule, each, here)


def main() -> None:
    """Ask until all rules are through or the first batch has a disagreement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rules", type=int, default=2_000)
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    told: Counter[Outcome] = Counter()
    began = time.process_time()
    for batch, start in enumerate(range(0, given.rules, _AT_ONCE)):
        rules, rows = at_random(min(_AT_ONCE, given.rules - start), given.rows, given.seed + batch)
        found = list(disagreements(rules, rows, told))
        for each in found[:20]:
            print(f"{each.said}\n  {each.rule.ours}\n  {each.row.columns}", file=sys.stderr)
        if found:
            sys.exit(f"{len(found)} disagreements with --seed {given.seed + batch}")
        if (batch + 1) % 10 == 0:
            print(
                f"{start + len(rules)} of {given.rules} rules, {time.process_time() - began:.0f} s of CPU",
                file=sys.stderr,
                flush=True,
            )
    spent = time.process_time() - began
    asked = f"{given.rules} rules x {given.rows} rows x {len(BACK_ENDS)} back ends"
    print(f"{asked}: no disagreement, {spent:.0f} s of CPU; {dict(told)}")


if __name__ == "__main__":
    main()
