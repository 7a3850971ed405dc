"""`modgate policy test`: the cases beside a policy, tried."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from gateway.cli.common import ConfigOption, JsonOption, print_json, stdout
from gateway.cli.policy_files import compiled, policies
from gateway.errors import ConfigError
from gateway.policytools.casefile import ENDING, policy_of, tests_of
from gateway.policytools.trial import Outcome, Trial, read_cases, try_cases


def test(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE]...", help="Policies, or their .test.yaml. Default: all of policies.dir."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try the cases that stand beside policies, and say how much of the policies they show. Exit 1 when one fails.

    Example: modgate policy test config/policies/social.yaml
    """
    trials = [_tried(file) for file in policies(files, config)]
    ok = all(trial.ok for trial in trials)
    if as_json:
        print_json(_report(trials, ok))
    else:
        for trial in trials:
            _show(trial)
    raise typer.Exit(0 if ok else 1)


def _tried(file: Path) -> Trial:
    tests = file if file.name.endswith(ENDING) else tests_of(file)
    if not tests.is_file():
        compiled(file)  # where there is no such policy either, that is what is wrong
        raise ConfigError("there are no tests of this policy", file=str(file), hint=f"write them in {tests.name}")
    policy = policy_of(tests, read_cases(tests)[1]) if tests == file else file
    return try_cases(compiled(policy), tests)


def _report(trials: list[Trial], ok: bool) -> dict[str, Any]:
    """`coverage` is that of the policy with the least, where several are tried."""
    several = [_coverage(trial) for trial in trials]
    return {
        "ok": ok,
        "cases": [{**_case(outcome), "file": str(trial.file)} for trial in trials for outcome in trial.outcomes],
        "coverage": {name: min(each[name] for each in several) for name in several[0]},
        "short": [f"{trial.file}: {what}" for trial in trials for what in trial.short],
        "unseen": [{**each, "file": str(trial.file)} for trial in trials for each in _unseen(trial)],
    }


def _case(outcome: Outcome) -> dict[str, Any]:
    expected = outcome.case.expect.model_dump(mode="json", exclude_unset=True)
    return {
        "name": outcome.case.name,
        "ok": outcome.ok,
        "expected": expected,
        "got": {name: outcome.got[name] for name in ("action", "reason", "rules", "unknown", "effects", "message")},
        "wrong": outcome.wrong,
        "line": outcome.line,
    }


def _coverage(trial: Trial) -> dict[str, float]:
    shown = trial.shown
    shares = {"rules": shown.rules, "branches": shown.share, "thresholds": shown.thresholds}
    return {name: round(share, 4) for name, share in shares.items()}


def _unseen(trial: Trial) -> list[dict[str, Any]]:
    """What of the rules no case has shown yet."""
    shown = trial.shown
    return [
        {"rule": clause.id, "true": clause.id in shown.true, "false": clause.id in shown.false}
        for clause in shown.policy.clauses
        if clause.id not in shown.true & shown.false
    ]


def _show(trial: Trial) -> None:
    stdout.print(f"[bold]{escape(str(trial.file))}[/]", highlight=False, soft_wrap=True)
    for outcome in trial.outcomes:
        mark = "[green]✓[/]" if outcome.ok else "[red]✗[/]"
        stdout.print(f"  {mark} {escape(outcome.case.name)}", highlight=False, soft_wrap=True)
        for wrong in outcome.wrong:
            stdout.print(f"      line {outcome.line}: {escape(wrong)}", highlight=False, soft_wrap=True)
    shares = ", ".join(f"{name} {share:.0%}" for name, share in _coverage(trial).items())
    stdout.print(f"  shown: {shares}", highlight=False)
    for short in trial.short:
        stdout.print(f"  [red]✗[/] {escape(short)}", highlight=False)
    for each in _unseen(trial):
        never = " nor ".join(word for word in ("true", "false") if not each[word])
        stdout.print(f"  [dim]the rule {escape(each['rule'])} was never {never}[/]", highlight=False)
