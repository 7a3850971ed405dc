"""Where in an answer the scores stand: paths, and three ways to lay labels and numbers out.

A path is `results.0.scores`: the keys of objects, and the places in lists from 0, between dots; or a list of them,
`[results, 0, "self-harm.v2"]`, for keys with dots in them. A single dot is the whole answer. Where a path leads nowhere
or to something that is no number, the answer is not of its shape: LookupError or TypeError, never a 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator

from gateway.domain import Finding


def _parts(written: Any) -> tuple[str, ...]:
    if written == ".":
        return ()
    parts = written.split(".") if isinstance(written, str) else written
    if not isinstance(parts, list) or not parts or not all(type(part) in (str, int) and part != "" for part in parts):
        raise ValueError("a path is results.0.scores or [results, 0, scores], and a single dot is the whole answer")
    return tuple(str(part) for part in parts)


Path = Annotated[tuple[str, ...], BeforeValidator(_parts)]


class AnswerShape(BaseModel):
    """`scores` leads to an object of labels with their numbers, or to a list of objects.

    In these, `name` leads to the label and `score` to the number; in an object of objects `score` alone. Instead of
    `scores`, `labels` gives each label the path of its number. `model` leads to what the model calls itself. `minimum`
    is the number below which it names no label, for a table whose silence is below_minimum.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    scores: Path | None = None
    name: Path | None = None
    score: Path | None = None
    labels: dict[str, Path] = {}
    model: Path | None = None
    minimum: float | None = None

    @model_validator(mode="after")
    def _one_way(self) -> AnswerShape:
        if (self.scores is None) == (not self.labels):
            raise ValueError("read takes scores, the path of all of them, or labels, the path of each; one of the two")
        if self.scores is None and (self.name is not None or self.score is not None):
            raise ValueError("name and score say how the entries at scores are read, and there is no scores")
        if self.name is not None and self.score is None:
            raise ValueError("with name there is score: the paths of both within an entry of the list")
        return self

    def findings(self, answer: Any) -> Iterator[Finding]:
        """Each label once, at its highest number. LookupError or TypeError for an answer of another shape."""
        best: dict[str, int | float] = {}
        for label, value in self._stated(answer):
            number = _number(value, label)
            best[label] = max(number, best.get(label, number))
        return (Finding(label, number) for label, number in best.items())

    def _stated(self, answer: Any) -> Iterator[tuple[str, Any]]:
        if self.scores is None:
            yield from ((label, at(answer, path)) for label, path in self.labels.items())
            return
        entries, score = at(answer, self.scores), self.score or ()
        if self.name is None:
            if not isinstance(entries, dict):
                raise TypeError(f"{type(entries).__name__} where an object of labels should be")
            yield from ((label, at(entry, score)) for label, entry in entries.items())
            return
        if not isinstance(entries, list):
            raise TypeError(f"{type(entries).__name__} where a list of labels should be")
        yield from ((word(at(entry, self.name)), at(entry, score)) for entry in entries)


def at(answer: Any, path: tuple[str, ...]) -> Any:
    """What stands there. KeyError or IndexError where there is nothing, TypeError where nothing can be."""
    for part in path:
        if isinstance(answer, dict):
            answer = answer[part]
        elif isinstance(answer, list) and re.fullmatch(r"[0-9]{1,6}", part):
            answer = answer[int(part)]
        else:
            raise TypeError(f"{type(answer).__name__} has no '{part[:40]}'")
    return answer


def word(said: Any) -> str:
    """A name in the answer; TypeError for anything but text."""
    if not isinstance(said, str):
        raise TypeError(f"{type(said).__name__} where a name should be")
    return said[:80]


def _number(value: Any, label: str) -> int | float:
    if type(value) is not int and type(value) is not float:
        raise TypeError(f"the value of '{label[:40]}' is {type(value).__name__}, not a number")
    return value
