"""OpenAI's own client, `openai`, on its usual HTTP library.

From the environment it takes OPENAI_ORG_ID, OPENAI_PROJECT_ID and OPENAI_CUSTOM_HEADERS, which become headers, and
OPENAI_LOG. Key, address and timeout are the settings'. Which system and Python this is goes along in `x-stainless-*`.
"""

from __future__ import annotations

import time

import httpx2
from openai import APIStatusError, AsyncOpenAI, OpenAIError

from adapters.openai import OpenAISettings
from adapters.sdk.answers import gathered, reply
from adapters.sdk.failures import CLOSED, NOT_HTTP, TRUNCATED, named
from gateway.adapter import Call, Reply
from gateway.errors import VendorTimeout


class Client:
    """`moderations.create`, of which only the raw answer is taken: what the client makes of one is not checked."""

    def __init__(self, settings: OpenAISettings):
        self._settings = settings
        self._client: AsyncOpenAI

    async def open(self) -> None:
        most = self._settings.max_concurrency
        limits = httpx2.Limits(max_connections=most, max_keepalive_connections=most)
        sends = _Guarded(httpx2.AsyncHTTPTransport(limits=limits, trust_env=False))
        self._client = AsyncOpenAI(
            api_key=self._settings.api_key.get_secret_value(),
            base_url=self._settings.base_url,
            timeout=self._settings.timeout,
            max_retries=0,
            default_headers={"Accept-Encoding": "identity"},
            http_client=httpx2.AsyncClient(transport=sends, trust_env=False, follow_redirects=False),
        )

    async def close(self) -> None:
        await self._client.close()

    async def __call__(self, address: str, call: Call) -> Reply:
        started = time.perf_counter()
        try:
            answer = (await self._client.moderations.with_raw_response.create(**call.json)).http_response
        except APIStatusError as refused:
            answer = refused.response
        except OpenAIError as error:
            raise named(error, (httpx2.TimeoutException, lambda: VendorTimeout("no answer in time"))) from error
        return reply(answer.status_code, answer.headers, answer.content, time.perf_counter() - started)


class _Guarded(httpx2.AsyncBaseTransport):
    """Reads answers no further than our cap, and refuses a compressed one before anybody unpacks it."""

    def __init__(self, inner: httpx2.AsyncBaseTransport):
        self._inner = inner

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        try:
            answer = await self._inner.handle_async_request(request)
        except httpx2.RemoteProtocolError as error:
            raise (CLOSED() if "disconnected" in str(error) else NOT_HTTP()) from error
        try:
            body = await gathered(answer.status_code, answer.headers, answer.aiter_raw())
        except (httpx2.RemoteProtocolError, httpx2.NetworkError) as error:
            raise TRUNCATED() from error
        finally:
            await answer.aclose()
        return httpx2.Response(answer.status_code, headers=answer.headers, content=body, request=request)

    async def aclose(self) -> None:
        await self._inner.aclose()
