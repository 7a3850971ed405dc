"""Which reasons are true in which rows of a part: each is looked for once, where it may be, and not in every row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from gateway.domain import Action
from gateway.sweep.judge import Key, Possible
from gateway.sweep.layout import ACTIONS, Rows
from gateway.sweep.numbers import room
from gateway.sweep.opened import Mask, Opened
from gateway.sweep.signals import any_of

Actions = npt.NDArray[np.uint8]  # the numbers they have in ACTIONS
Grid = npt.NDArray[np.bool_]  # a row each, and a column each reason
_Asked = list[tuple[Action, Possible]]


class Truths:
    """Of these rows, or of all. Where a reason was found is kept: why decisions differ is told out of that."""

    def __init__(self, opened: Opened, rows: Rows | None):
        self.opened = opened
        self.rows = rows
        self._found: dict[int, Rows] = {}  # by the `id` of the reason, which its case keeps
        self._by_kind: dict[int, Mask] = {}  # the same of those that ask for nothing but the kind of a row

    def strictest(self, asked: Mapping[Key, Possible], out: Actions, kept: Actions | None = None) -> None:
        """The strictest action they come to, row by row, into `out`. `kept` is known of each kind of row already."""
        of_kinds: _Asked = []
        everywhere: _Asked = []
        told: list[tuple[Action, Rows]] = []
        for (_, action), one in asked.items():
            if one.is_of_kinds:
                of_kinds.append((action, one))
            elif (there := self._where(one)) is None:
                everywhere.append((action, one))
            else:
                self._found[id(one)] = there
                told.append((action, there))
        self._join(self._of_kinds(of_kinds, kept), told, out)
        if everywhere and len(out):
            np.maximum(out, _everywhere(self.opened, everywhere, self.rows), out=out)

    def holding(self, asked: Sequence[Possible | None], rows: Rows) -> Grid:
        """Of these rows, which are among the others, whether each of these is a reason; None never is."""
        every = {id(one): one for each in asked if each is not None for one in (each, each.stricter) if one is not None}
        true = {id(one): mask for one, mask in self._true(list(every.values()), rows)}
        grid = np.zeros((len(rows), len(asked)), dtype=np.bool_, order="F")
        for number, one in enumerate(asked):
            if one is not None:
                mask = true[id(one)]
                grid[:, number] = mask if one.stricter is None else mask & ~true[id(one.stricter)]
        return grid

    def _where(self, one: Possible) -> Rows | None:
        """The rows in which it is true, in no order; None where they can only be told by looking at all."""
        there = None if one.where is None else self.opened.where(one.where)
        if there is None or one.where is None or one.where.exact:
            return there
        rows = self.opened.among([there], self.rows)
        [(_, mask)] = _looked_at(self.opened, [one], rows)
        return rows[mask]

    def _true(self, asked: Sequence[Possible], rows: Rows) -> Iterator[tuple[Possible, Mask]]:
        """Each of them, and in which of these rows it is true."""
        kinds = [one for one in asked if one.is_of_kinds]
        others = [one for one in asked if not one.is_of_kinds and id(one) not in self._found]
        yield from ((one, self.opened.alike.by_kind(mask, rows)) for one, mask in self._kinds(kinds))
        yield from _looked_at(self.opened, others, rows)
        for one in asked:
            if id(one) in self._found:
                yield one, self.opened.inside(self._found[id(one)], rows)

    def _of_kinds(self, asked: _Asked, kept: Actions | None) -> Actions | None:
        """What is said of each kind of row; None where that is nothing."""
        told = np.zeros(len(self.opened.alike), dtype=np.uint8) if kept is None else kept
        masks = self._kinds([one for _, one in asked])
        for (action, _), (_, mask) in zip(asked, masks, strict=True):
            told = np.maximum(told, mask * np.uint8(ACTIONS.index(action)))
        return told if told.any() else None

    def _kinds(self, asked: Sequence[Possible]) -> Iterator[tuple[Possible, Mask]]:
        """In which kinds of rows each is true, which asks for nothing else."""
        new = [one for one in asked if id(one) not in self._by_kind]
        if new:
            made = {name: one.expr for each in new for name, one in each.made.items()}
            columns = {name: pl.col(name) for each in new for name in each.columns}
            told = _told(self.opened.alike.asked({**columns, **made}), new)
            self._by_kind |= {id(one): mask for one, mask in told}
        return ((one, self._by_kind[id(one)]) for one in asked)

    def _join(self, said: Actions | None, told: Iterable[tuple[Action, Rows]], out: Actions) -> None:
        """What was said of each kind, made stricter where more is told."""
        rows, more = self.rows, out if said is None else room("more", len(out))
        more.fill(0)
        for action, where in sorted(told, key=lambda one: ACTIONS.index(one[0])):
            more[where if rows is None else self.opened.inside(where, rows)] = ACTIONS.index(action)
        if said is not None:
            np.maximum(more, self.opened.alike.by_kind(said, rows, out), out=out)


def evidence(opened: Opened, asked: Iterable[Possible], rows: Rows | None) -> pl.DataFrame:
    """What these ask for, of these rows or of all."""
    several = list(asked)
    made = {name: one for each in several for name, one in each.made.items()}
    found = {name: node for each in several for name, node in each.found.items()}
    frame = opened.columns({name for each in several for name in each.columns}, rows, made)
    outcomes = [opened.outcomes(node, frame[node.over.root], rows).alias(name) for name, node in found.items()]
    return frame.hstack(outcomes)


def _everywhere(opened: Opened, asked: _Asked, rows: Rows | None) -> Actions:
    """The strictest action these come to, of each row looked at."""
    outcomes = {
        action: any_of(one.outcome for led, one in asked if led is action).fill_null(False)
        for action in dict.fromkeys(action for action, _ in asked)
    }
    frame = evidence(opened, [one for _, one in asked], rows)
    told = frame.select_seq(**{action.value: outcome for action, outcome in outcomes.items()})
    found = np.zeros(frame.height, dtype=np.uint8)
    for action in outcomes:
        np.maximum(found, told[action.value].to_numpy() * np.uint8(ACTIONS.index(action)), out=found)
    return found


def _looked_at(opened: Opened, asked: Sequence[Possible], rows: Rows) -> Iterator[tuple[Possible, Mask]]:
    """In which of these rows each is true."""
    if not asked or not len(rows):
        return ((one, np.zeros(len(rows), dtype=np.bool_)) for one in asked)
    return _told(evidence(opened, asked, rows), asked)


def _told(frame: pl.DataFrame, asked: Sequence[Possible]) -> Iterator[tuple[Possible, Mask]]:
    """An outcome that is the same for every row comes as one value."""
    told = frame.select_seq(**{str(number): one.outcome.fill_null(False) for number, one in enumerate(asked)})
    for one, outcome in zip(asked, told, strict=True):
        yield one, np.broadcast_to(outcome.to_numpy(), frame.height)
