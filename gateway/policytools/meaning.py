"""Two policies, and what they say differently. Comments, formatting and the order of things are no difference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from gateway.domain import FULL
from gateway.policy.cel import TypedTree
from gateway.policy.cel.lexer import tokens
from gateway.policy.cel.typed import And, Condition, Constants, Holds, Not, One, Or, Some
from gateway.policy.overlays import told
from gateway.policy.reading import Checked
from gateway.policy.schema import PolicyFile

_ROWS = frozenset({"context", "user", "signals", "lists", "thresholds", "rules", "exempt", "overlays", "messages"})


@dataclass(frozen=True)
class Difference:
    """One thing. `where` is a row like thresholds.hate, `field` what of it, empty where the whole row came or went.

    `change` is added, removed, changed, or of a threshold stricter or milder.
    """

    where: str
    field: str
    change: str
    before: Any = None
    after: Any = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, eq=False)
class _Asked:
    """A condition: equal where it means the same, shown as it is written."""

    text: str
    meaning: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Asked) and (self.text == other.text or self.meaning == other.meaning)

    __hash__ = None  # type: ignore[assignment]


Row = dict[str, Any]


def differences(old: Checked, new: Checked) -> list[Difference]:
    """What the new one says otherwise, row by row in the order of the old one, then what is new."""
    before, after = dict(_rows(old)), dict(_rows(new))
    return [each for where in {**before, **after} for each in _compared(where, before.get(where), after.get(where))]


def one_line(text: str) -> str:
    """An expression without its comments and line breaks."""
    found = ""
    end = 0
    for token in tokens(text)[:-1]:
        found += (" " if found and token.at > end else "") + token.written
        end = token.at + len(token.written)
    return found


# ---- comparing


def _compared(where: str, before: Row | None, after: Row | None) -> Iterator[Difference]:
    if before is None or after is None:
        change = "added" if before is None else "removed"
        yield Difference(where, "", change, _shown(before), _shown(after))
        return
    for field in {**before, **after}:
        one, other = before.get(field), after.get(field)
        if one != other:
            change = _direction(where, field, one, other)
            yield Difference(where, field, change, _shown(one), _shown(other))


def _direction(where: str, field: str, before: Any, after: Any) -> str:
    """A lower threshold is stricter, and none at all the mildest."""
    if field in ("review", "block") and ".thresholds." in f".{where}":
        one, other = (FULL + 1 if each is None or each == "-" else each for each in (before, after))
        return "stricter" if other < one else "milder"
    return "added" if before is None else "removed" if after is None else "changed"


def _shown(value: Any) -> Any:
    if isinstance(value, _Asked):
        return value.text
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, dict):
        return {name: _shown(each) for name, each in value.items() if each not in (None, "", (), [])}
    return value


# ---- rows


def _rows(checked: Checked) -> Iterator[tuple[str, Row]]:
    said = checked.said
    whole = said.model_dump(mode="json", by_alias=True)
    yield "policy", {name: value for name, value in whole.items() if name not in _ROWS and name != "rollout"}
    yield "rollout", whole["rollout"]
    yield "signals.providers", {"providers": frozenset(said.signals.providers or ())}
    yield from _signals(whole["signals"])
    for root in ("context", "user"):
        yield from ((f"{root}.{name}", row) for name, row in whole[root].items())
    yield from ((f"lists.{name}", {"words": frozenset(words)}) for name, words in checked.lists.items())
    yield from ((f"thresholds.{slug}", _threshold(row)) for slug, row in whole["thresholds"].items())
    yield from _asking("rules", whole["rules"], checked.rules)
    yield from _asking("exempt", whole["exempt"], checked.exemptions)
    yield from ((f"messages.{code}", texts) for code, texts in whole["messages"].items())
    yield from _overlays(said)


def _signals(signals: Row) -> Iterator[tuple[str, Row]]:
    for slug, how in signals["combine"].items():
        yield f"combine.{slug}", {"by": how}
    for slug, row in signals["coverage"].items():
        yield f"coverage.{slug}", row


def _threshold(row: Row) -> Row:
    """Its numbers as people write them."""
    cuts: Row = {name: None if row[name] is None else row[name] / FULL for name in ("review", "block") if name in row}
    return {**row, **cuts}


def _asking(kind: str, rows: Sequence[Row], trees: Mapping[str, TypedTree]) -> Iterator[tuple[str, Row]]:
    for row in rows:
        tree = trees[row["id"]]
        asked = _Asked(one_line(tree.text), _meaning(tree.root))
        rest = {name: frozenset(value) if isinstance(value, list) else value for name, value in row.items()}
        yield f"{kind}.{row['id']}", {**rest, "id": None, "when": asked}


def _overlays(said: PolicyFile) -> Iterator[tuple[str, Row]]:
    """By whom they are for; of two for the same, the second is called so. Only what they name counts."""
    seen: dict[str, int] = {}
    for overlay in said.overlays:
        name = told(overlay)
        seen[name] = seen.get(name, 0) + 1
        where = f"overlays[{name}]" + (f"#{seen[name]}" if seen[name] > 1 else "")
        whole = overlay.model_dump(mode="json", exclude_unset=True)
        yield where, {"disable": frozenset(overlay.disable)}
        yield from ((f"{where}.thresholds.{slug}", _named(row)) for slug, row in whole.get("thresholds", {}).items())
        for part in ("coverage", "rules", "messages"):
            yield from ((f"{where}.{part}.{name}", row) for name, row in whole.get(part, {}).items())


def _named(row: Row) -> Row:
    """A threshold of an overlay: "-" there takes the base's away, which left out does not."""
    return {name: "-" if value is None else value for name, value in _threshold(row).items()}


def _meaning(node: Condition) -> Any:
    """A condition in which no order counts that means nothing."""
    match node:
        case And() | Or():
            return (type(node), frozenset(map(_meaning, node.parts)))
        case One():
            return (One, tuple(sorted(map(_meaning, node.parts), key=repr)))
        case Not():
            return (Not, _meaning(node.part))
        case Some():
            return (Some, node.over, _meaning(node.body), node.once)
        case Holds():
            listed = [frozenset(term.values) if isinstance(term, Constants) else term for term in node.terms]
            return (Holds, node.word, *listed)
    return node
