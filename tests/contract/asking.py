"""Providers over either `transport`, and one server for all that can be told what to say."""

from contextlib import AsyncExitStack, asynccontextmanager

import yaml

from gateway import paths, registry
from gateway.dispatch.deadline import Deadline
from gateway.dispatch.question import Provider, Question, put
from gateway.dispatch.transport import HttpTransport
from gateway.mapping import VendorTable
from gateway.taxonomy import Taxonomy
from tests.contract.replay import FIXTURES, listening

TRANSPORTS = ("direct", "sdk")
TAXONOMY = Taxonomy.from_file(paths.TAXONOMY)
WITH_CLIENT = [name for name in registry.names() if registry.settings_for(name).sdk == name]
TABLES = {name: VendorTable.from_file(paths.VENDORS / f"{name}.yaml", TAXONOMY) for name in WITH_CLIENT}
OF_THE_CLIENT = ("adapter", "transport", "timeout", "session_token")  # settings that make it another client, and:
ADDRESSES = ("base_url", "endpoint", "endpoint_url")


def settings_of(vendor, server, **changes):
    """A provider of this vendor at this server, asked once. A change to None leaves a key out."""
    written = yaml.safe_load((FIXTURES / vendor / "settings.yaml").read_text())
    written = {name: value.replace("{server}", server) for name, value in written.items()}
    written |= {"adapter": vendor, "retry": {"attempts": 1}, "max_concurrency": 4} | changes
    written = {key: value for key, value in written.items() if value is not None}
    return registry.settings_for(vendor).model_validate(written)


async def opened(settings, stack):
    """What sends for this provider, until the stack is closed."""
    send = registry.client(settings) if settings.transport == "sdk" else HttpTransport()
    await send.open()
    stack.push_async_callback(send.close)
    return send


async def put_to(settings, content, send):
    """What comes of it: a Reading or a Failure."""
    where = {part.modality: index for index, part in enumerate(content.inputs)}
    provider = Provider("it", registry.make(settings), TABLES[settings.adapter].translate, {}, send)
    return await put(Question(content, where), provider, Deadline.after(5.0))


class Stage:
    """Clients are kept, since one of boto3 takes long to make."""

    def __init__(self, stack):
        self._stack = stack
        self._senders = {}
        self.server = None
        self.says = None

    async def answer(self, heard, writer):
        await self.says(heard, writer)

    async def ask(self, content, says, vendor, url="", **changes):
        """What comes of it, and what was heard."""
        settings = settings_of(vendor, url or self.server.url, **changes)
        return await self.ask_as(settings, content, says)

    async def ask_as(self, settings, content, says):
        self.says, before = says, len(self.server.heard)
        key = tuple(str(getattr(settings, name, "")) for name in (*OF_THE_CLIENT, *ADDRESSES))
        if key not in self._senders:
            self._senders[key] = await opened(settings, self._stack)
        outcome = await put_to(settings, content, self._senders[key])
        return outcome, self.server.heard[before:]


@asynccontextmanager
async def staging():
    """A server and whoever asks it."""
    async with AsyncExitStack() as stack:
        stage = Stage(stack)
        stage.server = await stack.enter_async_context(listening(stage.answer))
        yield stage
