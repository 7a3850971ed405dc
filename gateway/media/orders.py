"""What decoders are told to do, in words that need no decoder: the libraries are loaded where the work is done.

The process with the event loop names these functions to the decode pool, and reads what they give back. Were it to name
those that do the work, it would have Pillow in memory too, 5 MB that it never uses (measured 2026-11).
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

from gateway.domain import Fitted, Needs, Pdq, View


@dataclass(frozen=True, slots=True)
class Normalised:
    """A picture as plain views. `frames` are those in the file, `unseen` those that no view shows."""

    views: tuple[View, ...]
    source_type: str
    frames: int
    unseen: int


def normalise(data: bytes) -> Normalised:
    """As gateway.media.normalise does it."""
    plain: Normalised = import_module("gateway.media.normalise").normalise(data)
    return plain


def print_of(data: bytes) -> tuple[Normalised, Pdq | None]:
    """As gateway.media.prints does it."""
    printed: tuple[Normalised, Pdq | None] = import_module("gateway.media.prints").print_of(data)
    return printed


def refit(view: View, needs: Needs, number: int) -> tuple[View, Fitted] | None:
    """As gateway.media.refit does it."""
    made: tuple[View, Fitted] | None = import_module("gateway.media.refit").refit(view, needs, number)
    return made
