"""Did you mean …? One place, so that every message of ours says it the same way."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from heapq import nlargest
from itertools import takewhile

_LONGEST = 64  # characters compared: the comparison is quadratic, and no name of ours is longer
_MOST = 150  # names compared; of more, those that begin most like the word


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """`did you mean 'sexual/nudity'?` for the nearest candidate, letter case apart; empty where none is near."""
    by_fold = {candidate[:_LONGEST].casefold(): candidate for candidate in candidates}
    folded = word[:_LONGEST].casefold()
    names = by_fold if len(by_fold) <= _MOST else nlargest(_MOST // 3, by_fold, lambda name: _alike(name, folded))
    close = get_close_matches(folded, names, n=1, cutoff=0.6)
    return f"did you mean '{by_fold[close[0]]}'?" if close else ""


def _alike(name: str, word: str) -> int:
    """How many characters they have in common at the beginning."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(name, word, strict=False)))
