"""Answers made wrong: what a proxy, a broken server or a vendor that has changed would send instead."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from adapters.simulator.answer import Answer

_PAGE = b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>"
_HUGE = 2 * 1024 * 1024  # twice what the gateway reads of an answer


def _page(status: int) -> Callable[[Answer], Answer]:
    return lambda answer: replace(answer, status=status, data=_PAGE, content_type="text/html; charset=utf-8")


def _says(status: int, data: bytes) -> Callable[[Answer], Answer]:
    return lambda answer: replace(answer, status=status, data=data)


def _zipped(answer: Answer) -> Answer:
    return replace(answer, data=gzip.compress(answer.body), headers={**answer.headers, "Content-Encoding": "gzip"})


def _elsewhere(answer: Answer) -> Answer:
    return replace(answer, status=302, data=b"", headers={**answer.headers, "Location": "/"})


INSTEAD: Mapping[str, Callable[[Answer], Answer]] = {
    "html": _page(200),  # a captive portal
    "html_502": _page(502),
    "empty": _says(200, b""),
    "no_content": lambda answer: replace(answer, status=204, data=b"", content_type=None),
    "object": _says(200, b"{}"),
    "null": _says(200, b"null"),
    "garbage": _says(200, b'{"results": [{"flag'),
    "not_a_number": lambda answer: replace(answer, data=b'{"score": NaN}'),
    "wrong_shape": lambda answer: replace(answer, document={"version": 2, "data": answer.document}),
    "huge": lambda answer: replace(answer, data=b" " * _HUGE + answer.body),
    "gzip": _zipped,
    "redirect": _elsewhere,
}


def renamed(document: Any, names: Mapping[str, str]) -> Any:
    """The same with these words for those, as keys and as values, wherever they stand."""
    if isinstance(document, dict):
        return {names.get(key, key): renamed(value, names) for key, value in document.items()}
    if isinstance(document, list):
        return [renamed(entry, names) for entry in document]
    return names.get(document, document) if isinstance(document, str) else document


def without(document: Any, pointer: str) -> None:
    """Take out what stands at a JSON pointer (RFC 6901). Nothing happens where nothing stands there."""
    holder, last = _holder(document, pointer)
    try:
        del holder[last]
    except (LookupError, TypeError):
        return


def with_value(document: Any, pointer: str, value: Any) -> None:
    """Put a value at a JSON pointer. Nothing happens where it leads nowhere."""
    holder, last = _holder(document, pointer)
    try:
        holder[last] = value
    except (LookupError, TypeError):
        return


def _holder(document: Any, pointer: str) -> tuple[Any, Any]:
    """What holds the end of a pointer, and the key or index of that end."""
    *path, last = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    for part in path:
        try:
            document = document[_step(document, part)]
        except (LookupError, TypeError, ValueError):
            return None, last
    return document, _step(document, last)


def _step(holder: Any, part: str) -> Any:
    return int(part) if isinstance(holder, list) and part.isdigit() else part
