"""Pictures lent to vendors that take addresses only: for the time of one question, at an address nobody can guess.

A picture lies as a file in the storage folder, so any process on that folder can hand it out: workers share a port, and
the vendor's request may reach another one than the question came to. Its address says until when it is good and what
bytes are to be had, and is signed with a key of this folder. Whatever is wrong with an address, there is nothing at it.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import re
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from gateway.errors import ConfigError
from gateway.media.inspect import sniff

PATH = "/v1/media/"
_KEY_BYTES = 32
_TOKEN = re.compile(r"[A-Za-z0-9_-]{64}")  # 48 bytes: name, digest and signature, 16 each


@dataclass(frozen=True, slots=True)
class Lent:
    """Where a picture is to be had, and the SHA-256 (hex) of what is to be had there."""

    url: str
    sha256: str


@dataclass(frozen=True, slots=True)
class _Name:
    """Sixteen bytes: until when it is good, in milliseconds since 1970, and a random number. It names the file."""

    raw: bytes

    @classmethod
    def until(cls, moment: float) -> _Name:
        return cls(int(moment * 1000).to_bytes(8, "big") + secrets.token_bytes(8))

    @property
    def expired(self) -> bool:
        return int.from_bytes(self.raw[:8], "big") <= time.time() * 1000


class Outbox:
    """Lends out what lies in `folder`, at addresses below `public_url`."""

    def __init__(self, folder: Path, key: bytes, public_url: str):
        self._folder = folder
        self._key = key
        self._public_url = public_url

    @classmethod
    async def open(cls, storage: Path, public_url: str) -> Outbox:
        """The outbox of this storage folder; its key is made with the first. ConfigError where that cannot be done."""
        folder, key_file = storage / "outbox", storage / "outbox.key"
        try:
            key = await asyncio.to_thread(_prepared, folder, key_file)
        except OSError as error:
            detail = f"pictures for vendors cannot be laid out in {folder}: {error.strerror}"
            raise ConfigError(detail, hint="make storage.dir a folder we may write to") from error
        if len(key) != _KEY_BYTES:
            raise ConfigError(f"{key_file} is no key of ours", hint="remove it, and a new one is made")
        return cls(folder, key, public_url)

    @asynccontextmanager
    async def lent(self, data: bytes, seconds: float) -> AsyncIterator[Lent]:
        """An address of these bytes, good until this is left and for `seconds` at most. OSError: no room for them."""
        name = _Name.until(time.time() + seconds)
        file = self._file(name)
        digest = await asyncio.to_thread(_laid_out, file, data)
        try:
            yield Lent(self._public_url + PATH + self._token(name, digest[:16]), digest.hex())
        finally:
            await asyncio.to_thread(file.unlink, missing_ok=True)

    async def read(self, token: str) -> tuple[bytes, str] | None:
        """What is to be had under this token, and its media type; None where it is forged, expired or over."""
        if not _TOKEN.fullmatch(token):
            return None
        raw = urlsafe_b64decode(token)
        name, digest, signature = _Name(raw[:16]), raw[16:32], raw[32:]
        if not hmac.compare_digest(signature, self._signature(name, digest)) or name.expired:
            return None
        data = await asyncio.to_thread(_still_there, self._file(name), digest)
        return None if data is None else (data, sniff(data))

    def _token(self, name: _Name, digest: bytes) -> str:
        return urlsafe_b64encode(name.raw + digest + self._signature(name, digest)).decode()

    def _signature(self, name: _Name, digest: bytes) -> bytes:
        return hmac.digest(self._key, name.raw + digest, "sha256")[:16]

    def _file(self, name: _Name) -> Path:
        return self._folder / name.raw.hex()


def _prepared(folder: Path, key_file: Path) -> bytes:
    """Make the folder and the key where they are missing. Of two processes that make a key, one wins for both."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not key_file.exists():
        draft = folder / f"key-{secrets.token_hex(8)}"
        _write(draft, secrets.token_bytes(_KEY_BYTES))
        with suppress(FileExistsError):
            os.link(draft, key_file)
        draft.unlink()
    return key_file.read_bytes()


def _laid_out(file: Path, data: bytes) -> bytes:
    """Write the file, and sweep out what a process that was killed left behind; the SHA-256 of the data."""
    for other in file.parent.iterdir():
        if re.fullmatch(r"[0-9a-f]{32}", other.name) and _Name(bytes.fromhex(other.name)).expired:
            other.unlink(missing_ok=True)
    _write(file, data)
    return sha256(data).digest()


def _still_there(file: Path, digest: bytes) -> bytes | None:
    with suppress(FileNotFoundError):
        data = file.read_bytes()
        if sha256(data).digest()[:16] == digest:
            return data
    return None


def _write(file: Path, data: bytes) -> None:
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
        opened.write(data)
