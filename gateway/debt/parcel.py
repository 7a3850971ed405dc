"""What a second look needs, as bytes: a line of JSON that says what follows it, then texts and pictures as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from gateway.domain import Content, Image, Input, Text, View
from gateway.moderation import Submission
from gateway.record import Record


def pack(record: Record, submission: Submission) -> bytes:
    """The submission under the route and policy that decided."""
    raw: list[bytes] = []
    head = {
        "route": record.route,
        "policy": record.policy.name,
        "locale": submission.locale,
        "context": submission.content.context,
        "inputs": [_told(part, raw) for part in submission.content.inputs],
    }
    return b"\n".join((orjson.dumps(head), b"".join(raw)))


def unpack(parcel: bytes, tenant: str) -> Submission:
    """What `pack` was given. Raises ValueError or KeyError for what is no parcel."""
    line, _, raw = parcel.partition(b"\n")
    head = orjson.loads(line)
    at = 0

    def take(size: int) -> bytes:
        nonlocal at
        at += size
        return raw[at - size : at]

    inputs = tuple([_made(told, take) for told in head["inputs"]])
    if at != len(raw):
        raise ValueError(f"{at} bytes were told of, and there are {len(raw)}")
    return Submission(Content(inputs, head["context"]), head["policy"], head["route"], tenant, head["locale"])


def _told(part: Input, raw: list[bytes]) -> dict[str, Any]:
    if isinstance(part, Text):
        raw.append(part.text.encode("utf-8", "surrogatepass"))
        return {"text": len(raw[-1])}
    raw += [view.data for view in part.views]
    return {
        "digest": part.digest,
        "source_type": part.source_type,
        "frames": part.frames,
        "unseen": part.unseen,
        "url": part.url,
        "views": [
            {"size": len(view.data), "media_type": view.media_type, "width": view.width, "height": view.height}
            for view in part.views
        ],
    }


def _made(told: Mapping[str, Any], take: Callable[[int], bytes]) -> Input:
    if "text" in told:
        return Text(take(told["text"]).decode("utf-8", "surrogatepass"))
    views = [View(take(view["size"]), view["media_type"], view["width"], view["height"]) for view in told["views"]]
    return Image(told["digest"], tuple(views), told["source_type"], told["frames"], told["unseen"], told["url"])
