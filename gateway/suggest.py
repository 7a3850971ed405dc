"""Did you mean …? One place, so that every message of ours says it the same way."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_LONGEST = 64  # characters compared: the comparison is quadratic, and no name of ours is longer


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """`did you mean 'sexual/nudity'?` for the nearest candidate, letter case apart; empty where none is near."""
    by_fold = {candidate[:_LONGEST].casefold(): candidate for candidate in candidates}
    close = get_close_matches(word[:_LONGEST].casefold(), by_fold, n=1, cutoff=0.6)
    return f"did you mean '{by_fold[close[0]]}'?" if close else ""
