"""The real gateway in this process, and a vendor for it to ask: for tests that go in by the front door."""

import json
from base64 import b64encode
from contextlib import asynccontextmanager
from io import BytesIO

import PIL.Image
from aiohttp import web
from aiohttp.web_app import _cached_build_middleware

from gateway import paths, registry
from gateway.config import load_config
from gateway.web.app import make_app
from gateway.web.door import Runner

LABELS = (
    *("harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent", "self-harm"),
    *("self-harm/intent", "self-harm/instructions", "sexual", "sexual/minors", "violence", "violence/graphic"),
)
SEEN_IN_IMAGES = ("self-harm", "self-harm/intent", "self-harm/instructions", "sexual", "violence", "violence/graphic")


@asynccontextmanager
async def serving(config, folder, **env):
    """The gateway of this gateway.yaml on a free port of loopback; its address. It keeps its data in `folder`/var.

    Left out, the policies are the shipped ones. `env` is all that ${NAME} finds.
    """
    file = folder / "gateway.yaml"
    shipped = "" if "policies:" in config else f"\npolicies: {{dir: {json.dumps(str(paths.SHIPPED / 'policies'))}}}\n"
    file.write_text(config + shipped)
    settings = load_config(file, env, registry.settings_for, registry.names())
    runner = Runner(make_app(settings), access_log=None, shutdown_timeout=1.0)
    try:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
        _cached_build_middleware.cache_clear()  # it would keep this gateway, with all it has read, for a thousand more


def response(body=b"", status="200 OK", **headers):
    """A whole HTTP response as bytes; dicts and lists are sent as JSON, `_` in a header's name is `-`."""
    if not isinstance(body, bytes):
        body, headers = json.dumps(body).encode(), {"Content_Type": "application/json", **headers}
    headers = {"Content_Length": len(body), **headers}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode() + body


def judgement(heard):
    """What OpenAI would answer to this call, if it found violence in "kill" and nothing anywhere else."""
    given = heard.json["input"]
    parts = [{"type": "text", "text": given}] if isinstance(given, str) else given
    text = " ".join(part["text"] for part in parts if part["type"] == "text")
    kinds = {"text": bool(text), "image": any(part["type"] == "image_url" for part in parts)}
    scores = {**dict.fromkeys(LABELS, 0.001), "violence": 0.97 if "kill" in text else 0.001}
    looked = {
        label: [kind for kind, sent in kinds.items() if sent and (kind == "text" or label in SEEN_IN_IMAGES)]
        for label in LABELS
    }
    result = {
        "flagged": "kill" in text,
        "categories": {label: score > 0.5 for label, score in scores.items()},
        "category_scores": scores,
        "category_applied_input_types": looked,
    }
    return {"id": "modr-1", "model": heard.json["model"], "results": [result]}


async def judges(heard, writer):
    """A vendor that works: `listening(judges)`."""
    writer.write(response(judgement(heard)))


def image(colour="olive"):
    """A small picture as a data URI."""
    held = BytesIO()
    PIL.Image.new("RGB", (32, 32), colour).save(held, "PNG")
    return "data:image/png;base64," + b64encode(held.getvalue()).decode()
