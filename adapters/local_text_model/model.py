"""The parts together: one text in, one value a label out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

from adapters.local_text_model.heads import Heads
from adapters.local_text_model.language import ENGLISH, LanguageGate
from adapters.local_text_model.lexicon import Lexicon
from adapters.local_text_model.normalise import fold, plain
from gateway.errors import ConfigError

FOLDER = Path(__file__).parent
WEIGHTS = "weights.npz"
LEXICON = "lexicon.tsv"
SUMS = "SHA256SUMS"  # in the form of sha256sum(1), written by the training script

WINDOW, OVERLAP = 2000, 200  # characters after folding

# Derived, not trained: a threat is what is both
_BOTH = {"hate/threatening": ("hate", "violence"), "harassment/threatening": ("harassment", "violence")}


@dataclass(frozen=True, slots=True)
class Judgement:
    """`values` are 0..1 a label, None where the model could not look; `language` is an ISO 639-1 code."""

    values: dict[str, float | None]
    language: str


@dataclass(frozen=True, slots=True)
class TextModel:
    """`version` is the start of the weights' digest. Stateless after loading and safe in threads."""

    heads: Heads
    lexicon: Lexicon
    gate: LanguageGate
    known: frozenset[str]
    version: str

    @classmethod
    def load(cls, folder: Path = FOLDER) -> TextModel:
        """Check the files against their digests and read them. Raises ConfigError where one is missing or another."""
        digests = _checked(folder)
        try:
            heads, lexicon = Heads.load(folder / WEIGHTS), Lexicon.load(folder / LEXICON)
        except (KeyError, ValueError, BadZipFile) as error:
            raise ConfigError(f"not a text model: {error}", file=str(folder)) from error
        return cls(
            heads=heads,
            lexicon=lexicon,
            gate=LanguageGate.load(heads.vocabulary),
            known=heads.vocabulary | lexicon.vocabulary,
            version=digests[WEIGHTS][:8],
        )

    def judge(self, text: str) -> Judgement:
        """Every label of one text, the worst window of a long one."""
        simple, folded = plain(text), fold(text, self.known)
        language = self.gate.language(simple)
        values = self._english(folded) if language == ENGLISH else dict.fromkeys(self.heads.labels)
        for label, (one, other) in _BOTH.items():
            values[label] = _least(values[one], values[other])
        values["profanity"] = _greatest(self.lexicon.value(simple), self.lexicon.value(folded))
        return Judgement(values, language)

    def _english(self, folded: str) -> dict[str, float | None]:
        worst: dict[str, float | None] = dict.fromkeys(self.heads.labels)
        for window in windows(folded):
            for label, value in (self.heads.values(window) or {}).items():
                worst[label] = _greatest(worst[label], value)
        return worst


def windows(text: str) -> Iterator[str]:
    """The text in pieces of at most WINDOW characters, each beginning with the last OVERLAP of the one before."""
    for start in range(0, max(1, len(text) - OVERLAP), WINDOW - OVERLAP):
        yield text[start : start + WINDOW]


def _least(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else min(one, other)


def _greatest(one: float | None, other: float | None) -> float | None:
    return max((value for value in (one, other) if value is not None), default=None)


def _checked(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file the sums name, once it is the one of the file."""
    try:
        digests = {name: digest for digest, name in map(str.split, (folder / SUMS).read_text("ascii").splitlines())}
        found = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in (WEIGHTS, LEXICON)}
    except OSError as error:
        detail = f"the text model is not complete: {error.strerror}"
        raise ConfigError(detail, file=str(error.filename), hint="reinstall modgate") from error
    for name, digest in found.items():
        if digests.get(name) != digest:
            detail = f"SHA-256 is {digest}, expected {digests.get(name)}"
            raise ConfigError(detail, file=str(folder / name), hint=f"{SUMS} beside it names the file we ship")
    return digests
