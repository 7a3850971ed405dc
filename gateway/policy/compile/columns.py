"""How decisions are stored when rules are asked of many at once: one row each, one column for each fact.

s.<category>                the combined score, unsigned 16 bits, 0..10,000; null where it is missing
s.<provider>.<category>     what this provider gave; null where it did not answer. A provider that never scores the
                            category has no such column
context.<name> user.<name>  as declared: text, bool, 64-bit integer or double; null where it is missing
ocr.<name>                  bool, or a list of texts; null where nobody looked
labels                      list of {name: text, confidence: unsigned 16 bits or null, provider: text}; null likewise
hashes                      list of {list: text}; null likewise

SQLite holds lists as JSON, and bools as 0 and 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gateway.policy.cel.shapes import Kind, Shape
from gateway.policy.cel.typed import Condition, Coverage, Field, Score, Votes, terms, walk


@dataclass(frozen=True)
class Columns:
    """Which provider columns there are: category → providers that can score it."""

    providers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def voices(self, category: str) -> list[str]:
        """The columns of the providers' own scores."""
        return [f"s.{provider}.{category}" for provider in self.providers.get(category, ())]

    def needed(self, conditions: Iterable[Condition]) -> dict[str, Shape]:
        """The columns these conditions read, and what is in each."""
        found: dict[str, Shape] = {}
        for node in (node for condition in conditions for node in walk(condition)):
            counted = [term.category for term in terms(node) if isinstance(term, Coverage)]
            counted += [node.category] if isinstance(node, Votes) else []
            found.update((column, Kind.SCORE) for category in counted for column in self.voices(category))
            found.update((column(term), Kind.SCORE) for term in terms(node) if isinstance(term, Score))
            found.update((column(term), term.shape) for term in terms(node) if isinstance(term, Field))
        return found


def column(term: Score | Field) -> str:
    """The column a term stands in."""
    if isinstance(term, Score):
        return f"s.{term.category}"
    return f"{term.root}.{term.name}" if term.name else term.root
