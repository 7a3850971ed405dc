"""A gateway for tests of the dialects, and behind it vendors that say what a test sets."""

from base64 import b64decode
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from tests.contract.replay import Listener, listening
from tests.gateway import LABELS, image, judgement, response, serving

KEY, REVIEWERS_KEY = "an-apps-key", "a-reviewers-key"
PHOTO = b64decode(image().partition(",")[2])

AUTH = """
auth:
  keys:
    - {{name: app, key: "${{APP_KEY}}", roles: [submit]}}
    - {{name: reviewer, key: "${{REVIEWERS_KEY}}", roles: [review]}}
    - {{name: hashed, hash: "sha256:{hashed}", roles: [submit]}}
"""
CONFIG = """
fetch: {{allow_networks: [127.0.0.1/32], allow_ports: [{media}]}}
limits: {{text_chars: 200, image_bytes: 1MB}}
cache: {{enabled: false}}
providers:
  scorer: {{adapter: openai, base_url: "{scorer}/v1", api_key: sk-1, retry: {{attempts: 1}}}}
  namer:
    adapter: rekognition
    region: eu-west-1
    endpoint_url: "{namer}"
    access_key_id: AK
    secret_access_key: SK
    retry: {{attempts: 1}}
routes:
  default:
    text: {{ask: [scorer]}}
    image: {image_leg}
"""


@dataclass
class Behind:
    """The gateway's address, and what its vendors say.

    `scores` are what the scorer says beside 0.001 for everything else; `labels` and `things` what the namer does, in
    percent; `fails` makes both answer 500, `named` False the namer alone.
    """

    url: str = ""
    scorer: Listener | None = None
    namer: Listener | None = None
    media: Listener | None = None
    scores: dict[str, float] = field(default_factory=dict)
    labels: dict[str, float] = field(default_factory=dict)
    things: dict[str, float] = field(default_factory=dict)
    fails: bool = False
    named: bool = True

    async def score(self, heard, writer):
        said = judgement(heard)
        [result] = said["results"]
        result["category_scores"] = {**dict.fromkeys(LABELS, 0.001), **self.scores}
        writer.write(response({}, "500 Internal Server Error") if self.fails else response(said))

    async def name(self, heard, writer):
        moderating = heard.headers["x-amz-target"].endswith("DetectModerationLabels")
        found = [
            {"Name": name, "Confidence": percent, "ParentName": "", "Parents": []}
            for name, percent in (self.labels if moderating else self.things).items()
        ]
        listed, model = ("ModerationLabels", "Moderation") if moderating else ("Labels", "Label")
        said = {listed: found, f"{model}ModelVersion": "7.0" if moderating else "3.0"}
        down = self.fails or not self.named
        writer.write(response({}, "500 Internal Server Error") if down else response(said))

    async def serve_photo(self, heard, writer):
        writer.write(response(PHOTO, Content_Type="image/png"))

    def reset(self):
        self.scores, self.labels, self.things = {}, {}, {}
        self.fails, self.named = False, True


@asynccontextmanager
async def standing(folder, image_leg="{ask: [scorer]}", auth=AUTH, more=""):
    """A gateway with both vendors behind it and a place that serves a photo."""
    behind = Behind()
    async with AsyncExitStack() as stack:
        behind.scorer = await stack.enter_async_context(listening(behind.score))
        behind.namer = await stack.enter_async_context(listening(behind.name))
        behind.media = await stack.enter_async_context(listening(behind.serve_photo))
        config = (auth + CONFIG).format(
            scorer=behind.scorer.url,
            namer=behind.namer.url,
            media=behind.media.url.rpartition(":")[2],
            image_leg=image_leg,
            hashed="0" * 64,
        )
        keys = {"APP_KEY": KEY, "REVIEWERS_KEY": REVIEWERS_KEY}
        behind.url = await stack.enter_async_context(serving(config + more, folder, **keys))
        yield behind
