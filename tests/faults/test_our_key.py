"""Our key at the vendor stays between the two of us, whatever the vendor does with it."""

import json
import logging

import pytest

from tests.faults.asking import BOTH, TEXT, asking
from tests.gateway import judgement, response

KEY = "sk-canary-7f3a91c04be2d8566e1f"


def echo(status, place):
    """A vendor that repeats our key in its answer."""

    async def says(heard, writer):
        key = heard.headers["authorization"].removeprefix("Bearer ")
        said = {
            "message": {"error": {"message": f"Incorrect API key provided: {key}.", "code": "invalid_api_key"}},
            "code": {"error": {"message": "Incorrect API key", "code": f"invalid_api_key:{key}"}},
            "far-in": {"error": {"message": "." * (2048 - len('{"error": {"message": "') - 12) + key, "code": "x"}},
            "beside": {**judgement(heard), "key": key},
            "label": broken_label(judgement(heard), key),
            "model": {**judgement(heard), "model": key},
        }[place]
        writer.write(response(said, status))

    return says


def broken_label(said, key):
    said["results"][0]["category_scores"]["violence"] = key
    return said


@pytest.mark.parametrize(
    ("status", "place"),
    [
        *(("401 Unauthorized", place) for place in ("message", "code", "far-in")),
        *(("200 OK", place) for place in ("beside", "label", "model")),
    ],
)
async def test_our_key_is_told_to_nobody(tmp_path, capfd, caplog, status, place):
    caplog.set_level(logging.DEBUG)
    async with asking(tmp_path, BOTH, key=KEY, a=echo(status, place)) as gateway:
        told = await gateway.moderate(text=TEXT)
        _, dialect, _ = await gateway.post("/v1/moderations", input=TEXT)
        paths = (f"/v1/decisions/{told['id']}", "/v1/providers", "/readyz", "/metrics")
        seen = [json.dumps([told, dialect]), *[await gateway.text(path) for path in paths]]
    assert {heard.headers["authorization"] for heard in gateway.heard("a")} == {f"Bearer {KEY}"}
    kept = [file.read_bytes().decode("latin-1") for file in (tmp_path / "var").rglob("*") if file.is_file()]
    assert any(told["id"] in text for text in kept)
    seen += [*kept, *capfd.readouterr(), caplog.text]
    assert not [text for text in seen if KEY[:12] in text]
