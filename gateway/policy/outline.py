"""What a policy makes of some categories before it knows their scores: worked out once, for answers of one shape.

A vendor names mostly the same categories in one answer as in the next, so a request looks here and does the rest in
passing over the scores.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import ge

from msgspec import Struct

from gateway.domain import Action
from gateway.policy.needs import Asked

Want = tuple[str, int, Action]  # category, how many must have looked at it, and what follows where they did not


class Outline(Struct, frozen=True):
    """Of scored categories, in their order: the lowest score of each that is not allowed.

    `named` are those that can be called the highest, the most particular first: none that only describes. `wants` is
    what must be covered and is not by one score alone, `apart` what rules ask for and the highest score does not tell.
    """

    lowest: tuple[int, ...]
    named: tuple[str, ...]
    wants: tuple[Want, ...]
    apart: tuple[Asked, ...]

    def reached(self, scores: Mapping[str, int]) -> bool:
        """Whether any score is as high as its threshold."""
        return any(map(ge, scores.values(), self.lowest))
