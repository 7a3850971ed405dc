"""What vendors said, for all replicas to know: by tenant, provider, its settings and table, and content.

An entry is read back as anything else from outside: by its shape, by what it may say, and cut at a size. One that is
not as we write it is as good as none. Whoever may write to this Redis can still say what a vendor has said: keep it to
the replicas.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

import orjson
from msgspec import MsgspecError
from msgspec.json import Decoder, Encoder

from gateway.dispatch.memory import Key
from gateway.domain import FULL, Reading, Signal
from gateway.replicas.asking import Asked, NoAnswer

LARGEST = 256 * 1024  # bytes of an entry: the longest documented answer of any vendor is some 30 kB
_READING = Decoder(Reading)
_WRITE = Encoder().encode
_GONE = -2  # what PTTL says of no entry
_LOOK = "return {redis.call('GETRANGE', KEYS[1], 0, ARGV[1]), redis.call('PTTL', KEYS[1])}"


class SharedAnswers:
    """`versions` says of each provider, by its name, which settings and table make its answers what they are."""

    def __init__(self, line: Asked, ttl: float, versions: Mapping[str, str]):
        self._line = line
        self._ttl = ttl
        self._versions = versions

    async def get(self, key: Key) -> tuple[Reading, float] | None:
        """What was said, and for how many seconds that is still good."""
        try:
            entry, left = await self._line.ask("cache", "EVAL", _LOOK, 1, self._name(key), LARGEST)
        except NoAnswer:
            return None
        if left == _GONE:
            return None
        reading = _read(entry, key) if left > 0 else None
        if reading is None:
            self._line.missed("cache", "broken")
            return None
        return reading, min(left / 1000, self._ttl)

    def set(self, key: Key, reading: Reading) -> None:
        """Tell the others, at some moment soon."""
        try:
            entry = _WRITE(reading)
        except UnicodeEncodeError:  # half a surrogate pair in a vendor's word: not for JSON
            return
        if len(entry) <= LARGEST:
            self._line.tell("cache", "SET", self._name(key), entry, "PX", int(self._ttl * 1000))

    def _name(self, key: Key) -> str:
        return f"modgate:1:said:{sha256(orjson.dumps([self._versions[key[1]], *key])).hexdigest()}"


def _read(entry: bytes, key: Key) -> Reading | None:
    """The reading, if it is one that this provider could have given."""
    try:
        reading = _READING.decode(entry)
    except MsgspecError:
        return None
    inputs = len(key) // 2 - 1  # after tenant and provider, a modality and a digest for each
    sound = (
        reading.provider == key[1]
        and reading.status == "ok"
        and len(set(reading.inputs)) == len(reading.inputs) == inputs
        and all(_sound(signal, reading) for signal in reading.signals)
    )
    return reading if sound else None


def _sound(signal: Signal, reading: Reading) -> bool:
    numbers = [number for number in (signal.score, signal.below) if number is not None]
    within = all(0 <= number <= FULL for number in numbers)
    return within and signal.provider == reading.provider and signal.input in reading.inputs
