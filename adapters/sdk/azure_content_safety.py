"""Azure's own client, `azure-ai-contentsafety`, on aiohttp.

With no key in the settings it signs in with Entra ID, as `azure-identity` finds a way: environment, workload identity,
managed identity, or a developer's own sign-in; that package then has to be there beside ours, and the endpoint https.
From the environment the client takes AZURE_HTTP_USER_AGENT and AZURE_LOG_LEVEL, and azure-identity its AZURE_ names.
"""

from __future__ import annotations

import time
from importlib import import_module
from typing import Any

import aiohttp
from azure.ai.contentsafety.aio import ContentSafetyClient
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import AzureError, ClientAuthenticationError
from azure.core.pipeline.transport import AioHttpTransport
from azure.core.rest import HttpRequest

from adapters.azure_content_safety import AzureSettings
from adapters.sdk.answers import gathered, reply
from adapters.sdk.failures import CLOSED, NOT_HTTP, TRUNCATED, Row, named
from gateway.adapter import Call, Reply
from gateway.errors import ConfigError, VendorDenied

_ROOT = "/contentsafety"  # which the client puts before every path itself
_OWN: tuple[Row, ...] = (
    (ClientAuthenticationError, lambda: VendorDenied("sign-in: no token from Entra ID")),
    (aiohttp.ClientPayloadError, TRUNCATED),
    (aiohttp.ServerDisconnectedError, CLOSED),
    (aiohttp.ClientResponseError, NOT_HTTP),
)


class Client:
    """The client's pipeline with the call that the adapter made: what its models make of an answer is not checked."""

    def __init__(self, settings: AzureSettings):
        self._settings = settings
        self._credential = _credential(settings)
        self._client: ContentSafetyClient

    async def open(self) -> None:
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._settings.max_concurrency),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )
        self._client = ContentSafetyClient(
            self._settings.endpoint,
            self._credential,
            transport=AioHttpTransport(session=session),
            connection_timeout=self._settings.timeout,
            read_timeout=self._settings.timeout,
            retry_total=0,
            permit_redirects=False,
        )

    async def close(self) -> None:
        await self._client.close()
        if not isinstance(self._credential, AzureKeyCredential):
            await self._credential.close()

    async def __call__(self, address: str, call: Call) -> Reply:
        started = time.perf_counter()
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        path = call.path.removeprefix(_ROOT)
        request = HttpRequest(call.method, path, headers=headers, params=dict(call.query or {}), json=call.json)
        try:
            answer = await self._client.send_request(request, stream=True, tracing_options={"enabled": False})
            async with answer:
                body = await gathered(answer.status_code, answer.headers, answer.iter_raw())
        except (AzureError, aiohttp.ClientError, OSError) as error:
            raise named(error, *_OWN) from error
        return reply(answer.status_code, answer.headers, body, time.perf_counter() - started)


def _credential(settings: AzureSettings) -> Any:
    """The key, else whatever azure-identity finds. Raises ConfigError where that is not installed."""
    if settings.api_key is not None:
        return AzureKeyCredential(settings.api_key.get_secret_value())
    try:
        return import_module("azure.identity.aio").DefaultAzureCredential()
    except ModuleNotFoundError:
        detail = "without an api_key it signs in with Entra ID, and azure-identity is not installed"
        raise ConfigError(detail, hint="pip install azure-identity, or give an api_key") from None
