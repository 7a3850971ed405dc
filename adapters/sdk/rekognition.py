"""AWS's own client, `boto3`.

Keys that the settings leave out are found as boto3 finds them: environment, shared files and their profiles, single
sign-on, the role of a container or an instance; and renewed before they end. The region is the settings'. Of the rest
of its environment it takes AWS_CA_BUNDLE, AWS_PROFILE and AWS_USE_FIPS_ENDPOINT; never an address or a proxy.

boto3 blocks, so each call has a thread: at most `max_concurrency`. A thread cannot be cancelled. Where we stop waiting
it goes on until the vendor has said nothing for `timeout`; until then it has its place, and the next call waits for
one, as does the end of the process. A body is read whole before we see how long it is.
"""

from __future__ import annotations

import asyncio
import http.client
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pybase64
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)

from adapters.rekognition import RekognitionSettings
from adapters.sdk.answers import reply
from adapters.sdk.failures import CLOSED, NOT_HTTP, TRUNCATED, Row, named
from gateway.adapter import Call, Reply
from gateway.errors import ConfigError, VendorDenied, VendorUnavailable


def _no_keys() -> VendorDenied:
    return VendorDenied("sign-in: boto3 finds no usable keys")


_RAISED = (BotoCoreError, ClientError)
_SIGN_IN = (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError, TokenRetrievalError, SSOError)
_OWN: tuple[Row, ...] = (
    *((kind, _no_keys) for kind in _SIGN_IN),
    (ClientError, _no_keys),  # of the service that gives out keys: answers to our call never come that way
    (http.client.IncompleteRead, TRUNCATED),
    (http.client.RemoteDisconnected, CLOSED),
    (http.client.HTTPException, NOT_HTTP),
)


class _Answered(Exception):
    """The way out of boto3 with an answer, before it is read: what is not as it should be raises anything there."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes):
        super().__init__()
        self.status = status
        self.headers = headers
        self.body = body


def _take(response_dict: Mapping[str, Any], **_: Any) -> None:
    raise _Answered(response_dict["status_code"], response_dict["headers"], response_dict["body"])


class Client:
    """One boto3 client, which threads may share, and the threads."""

    def __init__(self, settings: RekognitionSettings):
        self._settings = settings
        self._threads = ThreadPoolExecutor(settings.max_concurrency, thread_name_prefix="modgate-rekognition")
        self._session: boto3.Session
        self._client: Any

    async def open(self) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._threads, self._open)
        except _RAISED as error:  # a profile that is not there, say
            raise ConfigError(f"boto3 cannot be set up: {error}") from error

    async def close(self) -> None:
        """At once: calls under way end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    async def __call__(self, address: str, call: Call) -> Reply:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._send, call)

    def _open(self) -> None:
        given = self._settings
        keys = (given.access_key_id, given.secret_access_key, given.session_token)
        self._session = boto3.Session(*((key.get_secret_value() or None) if key else None for key in keys))
        config = Config(
            retries={"total_max_attempts": 1},
            connect_timeout=given.timeout,
            read_timeout=given.timeout,
            max_pool_connections=given.max_concurrency,
            proxies={},
            ignore_configured_endpoint_urls=True,
        )
        self._client = self._session.client(
            "rekognition", region_name=given.region, endpoint_url=given.endpoint_url, config=config
        )
        self._client.meta.events.register("before-parse.rekognition", _take)

    def _send(self, call: Call) -> Reply:
        """In a thread: the operation that the call names, its picture as bytes, which boto3 encodes again."""
        started = time.perf_counter()
        operation = xform_name(call.headers["X-Amz-Target"].rpartition(".")[2])
        asked = {**call.json, "Image": {"Bytes": pybase64.b64decode(call.json["Image"]["Bytes"])}}
        try:
            getattr(self._client, operation)(**asked)
        except _Answered as answer:
            said = reply(answer.status, answer.headers, answer.body, time.perf_counter() - started)
            said.body = self._without_keys(said.body)
            return said
        except _RAISED as error:
            raise named(error, *_OWN) from error
        raise VendorUnavailable("boto3 did not hand over the answer")

    def _without_keys(self, body: bytes) -> bytes:
        """AWS repeats a session's token where a signature is wrong; keys that boto3 found are in no settings."""
        found = self._session.get_credentials().get_frozen_credentials()  # the call was signed with them
        for secret in (found.access_key, found.secret_key, found.token):
            body = body.replace(secret.encode(), b"***") if secret else body
        return body
