"""What is true of a content, told once in our categories, so that every vendor says the same in its own words.

Told by a marker in a text, by one sentence that everybody knows, by a picture's SHA-256 or address in the script, or by
a picture's colour. Of all else it is true that there is nothing in it: scores below 0.01, always the same for the same
content.

    [[violence=0.93]]                 a category of config/taxonomy.yaml, 0..1
    [[hate=0.4, sexual=0.7]]          several
    [[rekognition:Weapons=88]]        one vendor's own label, on its own scale; no other vendor hears of it
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from urllib.parse import unquote, urlsplit

from adapters.simulator.images import Picture
from gateway.paths import TAXONOMY
from gateway.suggest import did_you_mean
from gateway.taxonomy import Kind, Taxonomy, lineage

BY_COLOUR: Mapping[str, Mapping[str, float]] = {
    "red": {"violence": 0.95},
    "magenta": {"sexual/nudity": 0.96},
    "orange": {"sexual/suggestive": 0.6},
    "yellow": {"weapons": 0.9},
    "lime": {"drugs": 0.9},
    "cyan": {"alcohol": 0.9},
    "blue": {"hate/symbols": 0.92},
    "black": {"self_harm": 0.94},
}

BY_SENTENCE: Mapping[str, Mapping[str, float]] = {  # so that `modgate doctor` finds everybody well in a rehearsal
    "I will kill you tomorrow.": {"violence": 0.93, "harassment/threatening": 0.91},
}

_MARKER = re.compile(r"\[\[([^\[\]]*=[^\[\]]*)\]\]")
_GRAVITY = {kind: rank for rank, kind in enumerate((Kind.CONTEXT, Kind.SENSITIVE, Kind.REGULATED, Kind.HARM))}
_WORST = len(_GRAVITY)  # escalate


class Bad(ValueError):
    """What is true cannot be told: a marker nobody understands. Never read as "there is nothing"."""


@dataclass(frozen=True)
class Truth:
    """`scores` by category, 0..1; `own` by vendor and label, on that vendor's scale; `seed` is the content's digest.

    `shift` is added to every score before a vendor says it.
    """

    seed: bytes
    scores: Mapping[str, float] = field(default_factory=dict)
    own: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    shift: float = 0.0

    def shifted(self, by: float) -> Truth:
        """The same by a vendor that has been tuned differently."""
        return replace(self, shift=by) if by else self

    def hum(self, name: str) -> float:
        """0..1, the same for the same content and name: what chance is made of here."""
        return int.from_bytes(blake2b(name.encode(), key=self.seed[:32], digest_size=6).digest(), "big") / 2**48

    def nothing(self, name: str) -> float:
        """The score of what is not in it: 0.000001 to 0.003."""
        return float(10 ** (-6 + 3.5 * self.hum(name)))


class Oracle:
    """Knows what is true. `pictures` are by SHA-256 in hex or by address; `hosts` are those a vendor could reach."""

    def __init__(
        self,
        vendors: Iterable[str],
        pictures: Mapping[str, Mapping[str, float]],
        hosts: Iterable[str],
        colours: bool = True,
    ):
        self.vendors = frozenset(vendors)
        self.taxonomy = Taxonomy.from_file(TAXONOMY)
        self.hosts = tuple(hosts)
        self._colours = colours
        self.pictures: dict[str, Truth] = {}
        self.teach(pictures)

    def teach(self, pictures: Mapping[str, Mapping[str, float]]) -> None:
        """Replace what is known of pictures. Raises Bad, and then nothing is replaced."""
        self.pictures = {name: self._truth(name.encode(), said.items()) for name, said in pictures.items()}

    def of_text(self, text: str) -> Truth:
        """Raises Bad for a marker nobody understands."""
        known = (pair for sentence, said in BY_SENTENCE.items() if sentence in text for pair in said.items())
        return self._truth(text.encode("utf-8", "surrogatepass"), (*known, *_marked(text)))

    def of_picture(self, picture: Picture) -> Truth:
        """By its digest, else by its colour, else nothing is in it."""
        told = self.pictures.get(picture.digest)
        if told is not None:
            return told
        colour = picture.colour if self._colours else None
        return self._truth(picture.data, BY_COLOUR[colour].items() if colour else ())

    def of_address(self, address: str) -> Truth | None:
        """By the script or a marker in the address; None where nobody could download it."""
        told = self.pictures.get(address)
        if told is not None:
            return told
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not self._reaches(parts.hostname or ""):
            return None
        return self._truth(address.encode(), _marked(unquote(address)))

    def _reaches(self, host: str) -> bool:
        return any(host == known or host.endswith(f".{known}") for known in self.hosts)

    def _truth(self, content: bytes, said: Iterable[tuple[str, float]]) -> Truth:
        scores: dict[str, float] = {}
        own: dict[str, dict[str, float]] = {}
        for name, value in said:
            vendor, colon, label = name.partition(":")
            if colon:
                if vendor not in self.vendors:
                    raise Bad(_unknown(name, "is no vendor's label", did_you_mean(vendor, self.vendors)))
                own.setdefault(vendor, {})[label] = value
            else:
                scores[name] = self._checked(name, value)
        return Truth(blake2b(content, digest_size=32).digest(), scores, own)

    def _checked(self, category: str, score: float) -> float:
        if not self.taxonomy.knows(category):
            raise Bad(_unknown(category, "is not a category of the taxonomy", self.taxonomy.suggest(category)))
        if not 0 <= score <= 1:
            raise Bad(f"'{category}={score:g}': a score is 0 to 1")
        return score

    def gravity(self, category: str) -> int:
        """How much a category weighs, so that swimwear is never told as pornography."""
        return _GRAVITY.get(self.taxonomy.category(category).kind, _WORST)

    def upwards(self, category: str) -> Iterator[str]:
        """The category, and its ancestors as far as none is graver than itself."""
        yield category
        for ancestor in lineage(category):
            if self.gravity(ancestor) > self.gravity(category):
                return
            yield ancestor


def _unknown(name: str, what: str, hint: str) -> str:
    return f"'{name}' {what}" + (f"; {hint}" if hint else "")


def _marked(text: str) -> Iterator[tuple[str, float]]:
    for marker in _MARKER.finditer(text):
        for entry in marker[1].split(","):
            name, _, value = entry.rpartition("=")
            try:
                yield name.strip(), float(value)
            except ValueError:
                raise Bad(f"'[[{marker[1]}]]': a marker is [[category=0.9]] or [[vendor:label=88]]") from None
