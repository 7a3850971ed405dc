"""What providers said, as this process remembers it."""

from __future__ import annotations

from collections import OrderedDict

from msgspec import Struct
from msgspec.msgpack import Decoder, Encoder

from gateway.domain import Modality, Reading

Key = tuple[str | Modality, ...]  # tenant, provider, the modalities asked about, and the digest of each input

_PER_ENTRY = 500  # bytes besides what was said, about
_WRITE_INTO, _READ = Encoder().encode_into, Decoder(Reading).decode


class _Remembered(Struct, frozen=True):
    """What was said, packed, and until when it is good."""

    packed: bytes
    until: float


class Memory:
    """The newest readings, as many as fit into `most` bytes, each for `ttl` seconds. Times are the event loop's.

    A dictionary in order of use: a library's memory cache costs ten times as much a look (measured 2026-11), and
    needs to be told how large things are all the same. What is kept is packed: as the objects it came in it would hold
    a request's memory, so that the next one has to be given other, which costs that request a seventh of its CPU.
    """

    def __init__(self, ttl: float, most: int):
        self._ttl = ttl
        self._most = most
        self._held: OrderedDict[Key, _Remembered] = OrderedDict()
        self._size = 0
        self._written = bytearray()  # what `encode` gives keeps the room it was written in, up to half of it empty

    def get(self, key: Key, now: float) -> Reading | None:
        """What was said, if it is still good."""
        found = self._held.get(key)
        if found is None or found.until <= now:
            return None
        self._held.move_to_end(key)
        return _READ(found.packed)

    def set(self, key: Key, reading: Reading, now: float, left: float | None = None) -> None:
        """Remember it, for `left` seconds where it is not new, and forget those nobody asked for longest."""
        try:
            _WRITE_INTO(reading, self._written)
        except UnicodeEncodeError:  # half a surrogate pair in a vendor's word: not to be written
            return
        packed = bytes(self._written)
        self._forget(key)
        self._held[key] = _Remembered(packed, now + (self._ttl if left is None else left))
        self._size += len(packed) + _PER_ENTRY
        while self._size > self._most:
            self._forget(next(iter(self._held)))

    def _forget(self, key: Key) -> None:
        gone = self._held.pop(key, None)
        self._size -= len(gone.packed) + _PER_ENTRY if gone else 0
