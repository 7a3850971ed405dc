"""Everybody's clients, unchanged but for their address and key, and what each makes of an answer.

The official ones, and for the vendors without one the calls of their pages. What is told is on the client's own scale.
"""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass

import aiohttp
import boto3
import openai
from azure.ai.contentsafety import ContentSafetyClient
from azure.ai.contentsafety.aio import ContentSafetyClient as AsyncContentSafetyClient
from azure.ai.contentsafety.models import AnalyzeImageOptions, AnalyzeTextOptions, ImageData
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import HttpResponseError
from botocore.config import Config

from tests.endtoend import tables
from tests.endtoend.gateways import KEY, data_uri

BOTH = frozenset({"text", "image"})
IMAGES = frozenset({"image"})
AWS = boto3.Session()  # which reads its description of the service once


@dataclass(frozen=True)
class Told:
    """`scores` of every label the client was given a number for, `unseen` those it was told nobody looked at."""

    scores: dict[str, float]
    unseen: set[str]
    action: str
    body: object


class Client:
    """A client of one gateway: `async with`, then `ask`."""

    takes = BOTH
    trouble: type[Exception]  # what it raises where nobody could judge the content
    code = staticmethod(lambda raised: "")  # the vendor's own code in what it raised
    busy = ""  # that code

    def __init__(self, url):
        self.url = url
        self._open = AsyncExitStack()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *raised):
        await self._open.aclose()

    def words(self, kind):
        """The vocabulary it is told in, about a text or an image."""
        return self.vocabulary

    def scale(self, score, kind):
        """A score of ours as it is told to this client about a text or an image."""
        return score

    def silent(self, expected, gaps):
        """Whether a decision that rests on `gaps` cannot be told to it, so that it has to be refused."""
        return False


class OpenAI(Client):
    vocabulary = tables.OPENAI
    trouble = openai.InternalServerError
    code = staticmethod(lambda raised: raised.code)
    busy = "server_is_overloaded"

    async def __aenter__(self):
        made = openai.AsyncOpenAI(base_url=f"{self.url}/v1", api_key=KEY, max_retries=0, timeout=60.0)
        self._caller = await self._open.enter_async_context(made)
        return self

    async def ask(self, text=None, picture=None):
        part = {"type": "image_url", "image_url": {"url": data_uri(picture)}} if picture else None
        answer = await self._caller.moderations.create(input=[part] if part else text)
        [result] = answer.results
        scores, looked = (
            getattr(result, name).model_dump(by_alias=True)
            for name in ("category_scores", "category_applied_input_types")
        )
        unseen = {label for label, kinds in looked.items() if not kinds}
        shown = {label: score for label, score in scores.items() if label not in unseen}
        return Told(shown, unseen, answer.model_extra["modgate"]["action"], answer)


class Azure(Client):
    """Its form that blocks, in a thread."""

    vocabulary = tables.AZURE
    trouble = HttpResponseError
    code = staticmethod(lambda raised: raised.error.code)
    busy = "ServerBusy"

    async def __aenter__(self):
        made = ContentSafetyClient(self.url, AzureKeyCredential(KEY), retry_total=0)
        self._open.callback(made.close)
        self.call = lambda method, options: asyncio.to_thread(getattr(made, method), options)
        return self

    async def ask(self, text=None, picture=None):
        if picture:
            answer = await self.call("analyze_image", AnalyzeImageOptions(image=ImageData(content=picture)))
        else:
            answer = await self.call("analyze_text", AnalyzeTextOptions(text=text, output_type="EightSeverityLevels"))
        each = {entry.category: entry.severity for entry in answer.categories_analysis}
        shown = {label: severity for label, severity in each.items() if severity is not None}
        beside = answer["modgate"]
        assert each.keys() - shown.keys() <= set(beside["not_assessed"])
        return Told(shown, set(beside["not_assessed"]), beside["action"], answer)

    def scale(self, score, kind):
        steps = tables.read(f"vendors/{tables.AZURES}")["scale"]
        severity = max(step for step, worth in steps.items() if worth <= score)
        return severity if kind == "text" else tables.in_image(severity)

    def silent(self, expected, gaps):
        severe = any(self.scale(expected.told.get(label, 0), "image") for label in expected.alarms)
        return not severe and not all(self.vocabulary.words(reason["category"] or "") for reason in gaps)


class AzureAio(Azure):
    async def __aenter__(self):
        made = await self._open.enter_async_context(
            AsyncContentSafetyClient(self.url, AzureKeyCredential(KEY), retry_total=0)
        )
        self.call = lambda method, options: getattr(made, method)(options)
        return self


class Boto3(Client):
    takes = IMAGES
    vocabulary = tables.REKOGNITION
    busy = "InternalServerError"
    code = staticmethod(lambda raised: raised.response["Error"]["Code"])
    least = 0.5  # the vendor's MinConfidence, where none is given

    async def __aenter__(self):
        self.caller = AWS.client(
            "rekognition",
            endpoint_url=self.url,
            region_name="eu-west-1",
            aws_access_key_id="app",
            aws_secret_access_key=KEY,
            config=Config(retries={"total_max_attempts": 1}),
        )
        self._open.callback(self.caller.close)
        self.trouble = self.caller.exceptions.InternalServerError
        return self

    async def ask(self, picture):
        answer = await asyncio.to_thread(self.caller.detect_moderation_labels, Image={"Bytes": picture})
        headers = answer["ResponseMetadata"]["HTTPHeaders"]
        unseen = set(headers.get("x-modgate-not-assessed", "").split("; ")) - {""}
        scores = {label["Name"]: label["Confidence"] for label in answer["ModerationLabels"]}
        return Told(scores, unseen, headers["x-modgate-action"], answer)

    async def things(self, picture):
        answer = await asyncio.to_thread(self.caller.detect_labels, Image={"Bytes": picture})
        return {label["Name"]: label["Confidence"] for label in answer["Labels"]}

    def scale(self, score, kind):
        return score * 100 if score >= self.least else 0

    def silent(self, expected, gaps):
        return not any(expected.told.get(label, 0) >= self.least for label in expected.alarms)


class Plain(Client):
    """A vendor without a client of its own: its pages' calls, which raise for a status that is no 200."""

    trouble = aiohttp.ClientResponseError
    code = staticmethod(lambda raised: str(raised.status))
    busy = "503"

    async def __aenter__(self):
        headers = {"Authorization": f"Bearer {KEY}"}
        self._session = await self._open.enter_async_context(aiohttp.ClientSession(self.url, headers=headers))
        return self

    async def post(self, path, **body):
        async with self._session.post(path, raise_for_status=True, **body) as response:
            return await response.json()


class Pixicular(Plain):
    takes = IMAGES
    vocabulary = tables.PIXICULAR

    async def ask(self, picture, services="detect-moderation"):
        form = aiohttp.FormData({"services": services})
        form.add_field("image", picture, filename="upload.png", content_type="image/png")
        said = await self.post("/v1/detect", data=form)
        scores = {flag["name"]: flag["confidence"] for flag in said["detect-moderation"]["flags"]}
        return Told(scores, set(said["modgate"]["not_assessed"]), said["modgate"]["action"], said)

    def silent(self, expected, gaps):
        return not expected.alarms


class Sieve(Plain):
    async def ask(self, text=None, picture=None):
        kind, body = ("image", {"data": data_uri(picture)}) if picture else ("text", {"content": text})
        said = await self.post(f"/v1/moderate/{kind}", json=body)
        scores = {name: told["score"] for name, told in said["categories"].items()}
        return Told(scores, set(said["modgate"]["not_assessed"]), said["modgate"]["action"], said)

    def words(self, kind):
        return tables.SIEVE[kind]


CLIENTS = {kind.__name__: kind for kind in (OpenAI, Azure, AzureAio, Boto3, Pixicular, Sieve)}
