"""Who sends a provider's calls: one transport for all, or its vendor's own client where the settings ask for that."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from gateway import registry
from gateway.adapter import Client, Transport, VendorSettings
from gateway.config import Config
from gateway.dispatch.transport import Discreet, HttpTransport
from gateway.errors import ConfigError


@asynccontextmanager
async def open_senders(config: Config) -> AsyncIterator[Mapping[str, Transport]]:
    """The sender of every enabled provider, which takes its secrets out of what comes back. Raises ConfigError."""
    async with AsyncExitStack() as stack:
        shared = HttpTransport()
        await shared.open()
        stack.push_async_callback(shared.close)
        senders: dict[str, Transport] = {}
        for name, settings in config.providers.items():
            if settings.enabled:
                own = await _open_client(config, name, stack) if settings.transport == "sdk" else shared
                senders[name] = Discreet(own, _secrets(settings))
        yield senders


async def _open_client(config: Config, name: str, stack: AsyncExitStack) -> Client:
    where, settings = ("providers", name, "transport"), config.providers[name]
    try:
        client = registry.client(settings)
        await client.open()
    except ModuleNotFoundError as missing:
        detail = f"the client of {settings.adapter} is not installed: there is no module {missing.name}"
        raise config.document.error(where, detail, "pip install 'modgate[sdk]'") from missing
    except ConfigError as wrong:
        raise config.document.error(where, wrong.detail, wrong.hint) from wrong
    stack.push_async_callback(client.close)
    return client


def _secrets(settings: VendorSettings) -> tuple[bytes, ...]:
    return tuple(secret.encode() for secret in settings.secrets() if secret)
