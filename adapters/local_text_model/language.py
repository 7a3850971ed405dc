"""Is this text in another language than English? The English heads stand down only where that is sure.

py3langid says which language it looks like; the share of words the heads know guards the short and the sloppy texts on
which it errs. The limits in `_SURE` were set on English and multilingual texts; README.md has both sides measured.
"""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass

from py3langid.langid import LanguageIdentifier

ENGLISH = "en"

# Those of py3langid's languages that people write a lot: rarer ones (and pidgin) draw short English texts to them
_LANGUAGES = (
    "en af ar bg bn ca cs da de el es et fa fi fr gl he hi hr hu id is it ja ka ko lt lv mk ms nl no pl pt ro ru sk sl "
    "sq sr sv sw ta te th tl tr uk ur vi zh"
)

# Not English if any row holds: at least so many letters, P(English) below, share of known words below
_SURE = ((20, 0.01, 0.85), (12, 0.1, 0.5))

_SAMPLE = 300  # characters looked at in one place; longer texts are looked at in three places
_NO_WORDS = re.compile(r"https?://\S+|[@#]\w+|&\w+;")
_WORD = re.compile(r"[^\W\d_]{2,}")
_LATIN = re.compile("[A-Za-z\u00c0-\u024f\u1e00-\u1eff]")


@dataclass(frozen=True, slots=True)
class LanguageGate:
    """`known` holds the words of the English heads. Stateless and safe in threads."""

    identifier: LanguageIdentifier
    known: Container[str]

    @classmethod
    def load(cls, known: Container[str]) -> LanguageGate:
        """Load py3langid's model: 0.4 s and 80 MB, once."""
        identifier = LanguageIdentifier.from_model_file("data/model.npz.xz", norm_probs=True)
        identifier.set_languages(_LANGUAGES.split())
        return cls(identifier, known)

    def language(self, plain: str) -> str:
        """ISO 639-1 code of a text after `normalise.plain`: another language where sure, else `en`.

        A long text is another language only if its beginning, middle and end all are.
        """
        languages = {self._one(sample) for sample in _samples(plain)}
        return ENGLISH if ENGLISH in languages else min(languages)

    def _one(self, sample: str) -> str:
        sample = _NO_WORDS.sub(" ", sample)
        letters = sum(map(str.isalpha, sample))
        if letters >= 3 and 2 * len(_LATIN.findall(sample)) < letters:
            return next(str(code) for code, _ in self.identifier.rank(sample) if code != ENGLISH)
        familiar = self._familiar(sample)
        limits = [limit for fewest, limit, share in _SURE if letters >= fewest and familiar < share]
        if not limits:  # most English texts end here, without the question that costs most
            return ENGLISH
        ranked: list[tuple[str, float]] = self.identifier.rank(sample)
        likeliest, _ = ranked[0]
        return likeliest if dict(ranked)[ENGLISH] < max(limits) else ENGLISH

    def _familiar(self, sample: str) -> float:
        """Share of the words of two letters and more that the heads know; 1 where there are none."""
        words = _WORD.findall(sample)
        return sum(word in self.known for word in words) / len(words) if words else 1.0


def _samples(text: str) -> list[str]:
    if len(text) <= 2 * _SAMPLE:
        return [text]
    middle = (len(text) - _SAMPLE) // 2
    return [text[:_SAMPLE], text[middle : middle + _SAMPLE], text[-_SAMPLE:]]
