"""The strictest action that reasons lead to, row by row: each is looked for where it may be, not in every row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

from gateway.domain import Action
from gateway.sweep.judge import Key, Possible
from gateway.sweep.layout import ACTIONS, Rows
from gateway.sweep.opened import Opened
from gateway.sweep.signals import any_of

Actions = npt.NDArray[np.uint8]  # the numbers they have in ACTIONS
_Asked = list[tuple[Action, Possible]]


def strictest(opened: Opened, asked: Mapping[Key, Possible], rows: Rows | None, kept: Actions | None = None) -> Actions:
    """What they come to, of these rows or of all. `kept` is known of each kind of row already."""
    of_kinds: _Asked = []
    everywhere: _Asked = []
    told: list[tuple[Action, Rows]] = []
    for (_, action), one in asked.items():
        if one.is_of_kinds:
            of_kinds.append((action, one))
        elif one.where is None or (there := opened.where(one.where)) is None:
            everywhere.append((action, one))
        elif one.where.exact:
            told.append((action, there))
        else:
            told += _looked_at(opened, [(action, one)], opened.among([there], rows))
    told += _looked_at(opened, everywhere, rows)
    return _joined(opened, _of_kinds(opened, of_kinds, rows, kept), told, rows)


def evidence(opened: Opened, asked: Iterable[Possible], rows: Rows | None) -> pl.DataFrame:
    """What these ask for, of these rows or of all, and `row`."""
    several = list(asked)
    made = {name: one for each in several for name, one in each.made.items()}
    found = {name: node for each in several for name, node in each.found.items()}
    frame = opened.columns({name for each in several for name in each.columns}, rows, made)
    outcomes = [opened.outcomes(node, frame[node.over.root], rows).alias(name) for name, node in found.items()]
    return frame.hstack(outcomes)


def _of_kinds(opened: Opened, asked: _Asked, rows: Rows | None, kept: Actions | None) -> Actions:
    """What is asked of each kind of row, once."""
    told = kept
    if asked:
        made = {name: one.expr for _, each in asked for name, one in each.made.items()}
        columns = {name: pl.col(name) for _, each in asked for name in each.columns}
        told = _actions(opened.alike.asked({**columns, **made}), asked)
        told = told if kept is None else np.maximum(told, kept)
    if told is not None and told.any():
        return opened.alike.by_kind(told, rows)
    return np.zeros(opened.part.rows if rows is None else len(rows), dtype=np.uint8)


def _looked_at(opened: Opened, asked: _Asked, rows: Rows | None) -> list[tuple[Action, Rows]]:
    """Those of the rows in which one is true."""
    if not asked or (rows is not None and not len(rows)):
        return []
    frame = evidence(opened, [one for _, one in asked], rows)
    actions = _actions(frame, asked)
    return [(action, frame["row"].to_numpy()[actions == n]) for n, action in enumerate(ACTIONS) if n]


def _actions(frame: pl.DataFrame, asked: _Asked) -> Actions:
    outcomes = {
        action: any_of(one.outcome for led, one in asked if led is action).fill_null(False)
        for action in dict.fromkeys(action for action, _ in asked)
    }
    told = frame.select_seq(**outcomes)
    found = np.zeros(frame.height, dtype=np.uint8)
    for action in outcomes:
        np.maximum(found, told[action].to_numpy() * np.uint8(ACTIONS.index(action)), out=found)
    return found


def _joined(opened: Opened, said: Actions, told: Iterable[tuple[Action, Rows]], rows: Rows | None) -> Actions:
    """What was said of each row, made stricter where more is told."""
    more = np.zeros_like(said)
    for action, where in sorted(told, key=lambda one: ACTIONS.index(one[0])):
        more[where if rows is None else opened.inside(where, rows)] = ACTIONS.index(action)
    return np.maximum(said, more, out=said)
