"""A vendor on loopback: it keeps what it hears and answers with bytes. And the cases under fixtures/ it can replay."""

import asyncio
import json
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any

import PIL.Image
import yaml

from gateway.domain import Content, Image, Text, View

FIXTURES = Path(__file__).parents[2] / "fixtures"
ORIGINS = ("recorded", "documented", "synthetic")
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Heard:
    """One request as it came in. Header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @cached_property
    def json(self) -> Any:
        return json.loads(self.body)


Says = Callable[[Heard, asyncio.StreamWriter], Awaitable[None]]


class Listener:
    """Answers one request after the other on each connection. `busiest` is the most it had under way at once."""

    def __init__(self, says: Says):
        self._says = says
        self._tasks: set[asyncio.Task] = set()
        self._under_way = 0
        self.busiest = 0
        self.heard: list[Heard] = []
        self.url = ""

    async def serve(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while not writer.is_closing():
                heard = await _request(reader)
                self.heard.append(heard)
                self._under_way += 1
                self.busiest = max(self.busiest, self._under_way)
                try:
                    await self._says(heard, writer)
                    await writer.drain()
                finally:
                    self._under_way -= 1
        writer.close()

    def stop(self):
        for task in self._tasks:
            task.cancel()


async def _request(reader) -> Heard:
    line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
    method, path, _ = line.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Heard(method, path, headers, await reader.readexactly(int(headers.get("content-length", 0))))


@asynccontextmanager
async def listening(says: Says, tls=None):
    """A server that answers with `says`; closed, with everything it still has under way, at the end."""
    listener = Listener(says)
    server = await asyncio.start_server(listener.serve, LOOPBACK, 0, ssl=tls)
    listener.url = f"{'https' if tls else 'http'}://{LOOPBACK}:{server.sockets[0].getsockname()[1]}"
    try:
        yield listener
    finally:
        server.close()
        listener.stop()


@dataclass(frozen=True)
class Case:
    """One exchange with a vendor, as fixtures/README.md describes it."""

    vendor: str
    name: str
    origin: str
    source: str
    content: Mapping[str, Any]
    expected: Mapping[str, Any]
    settings: Mapping[str, Any] = field(default_factory=dict)
    delay: float = 0.0  # seconds before the first byte
    drip: float = 0.0  # seconds before each further byte
    pad: int = 0  # spaces between head and body

    def __str__(self):
        return f"{self.vendor}/{self.name}"

    @property
    def folder(self) -> Path:
        return FIXTURES / self.vendor / self.name

    @cached_property
    def response(self) -> bytes | None:
        """What the vendor says; None where it is not to be asked."""
        file = self.folder / "response.http"
        return file.read_bytes() if file.exists() else None

    @cached_property
    def request(self) -> dict[str, Any] | None:
        """What our call must be; None where there must be none."""
        written = (self.folder / "request.json").read_text()
        view = next((image.views[0] for image in self.asked.images), None)
        return json.loads(written.replace("{image}", b64encode(view.data).decode()) if view else written)

    @cached_property
    def asked(self) -> Content:
        parts = [Text(self.content["text"])] if "text" in self.content else []
        return Content((*parts, *([picture(self.content["image"])] if "image" in self.content else [])))


def cases() -> list[Case]:
    """Every case under fixtures/."""
    files = sorted(FIXTURES.glob("*/*/case.yaml"))
    return [Case(file.parts[-3], file.parts[-2], **yaml.safe_load(file.read_text())) for file in files]


def picture(written: str | Mapping[str, str]) -> Image:
    """An image as a case names it: `png`, or `{type: jpeg, url: https://…}`."""
    said = {"type": written} if isinstance(written, str) else written
    held = BytesIO()
    PIL.Image.new("RGB", (8, 8), "olive").save(held, said["type"])
    view = View(held.getvalue(), f"image/{said['type']}", 8, 8)
    return Image("0" * 64, (view,), view.media_type, url=said.get("url"))


@asynccontextmanager
async def replay(case: Case, response: bytes | None = None):
    """The vendor of this case; with `response`, one that says this instead, and at once."""

    async def says(heard, writer):
        writer.write(response)
        writer.close()

    async with listening(telling(case) if response is None else says) as vendor:
        yield vendor


def telling(case: Case) -> Says:
    """How the vendor of this case answers, and hangs up."""

    async def says(heard, writer):
        await asyncio.sleep(case.delay)
        await _drip(writer, case)
        writer.close()

    return says


async def _drip(writer, case):
    head, gap, body = case.response.partition(b"\r\n\r\n")
    said = head + gap + b" " * case.pad + body
    size = 1 if case.drip else len(said)
    for start in range(0, len(said), size):
        writer.write(said[start : start + size])
        await writer.drain()
        await asyncio.sleep(case.drip)
