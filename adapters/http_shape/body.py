"""A request body as it stands in YAML, with places for what is asked about.

A place is `{text}` or one of the others below, alone or amid other words. What goes there is put in as a value after
the YAML was read and before the JSON is written, once: nothing a caller writes can end a string or open a place. A key
or list item with a place for which there is nothing (no picture was sent) is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pybase64

from gateway.domain import Content

OF_TEXT = frozenset({"text"})
OF_IMAGE = frozenset({"image_base64", "image_data_uri", "image_media_type", "image_url"})
SHOWING = OF_IMAGE - {"image_media_type"}  # the ones that show the picture
PLACES = OF_TEXT | OF_IMAGE

_PLACE = re.compile(r"\{([a-z_0-9]+)\}")
_NOTHING = object()


def places(template: Any) -> set[str]:
    """Every name in braces in a template."""
    return {name for value in _leaves(template) if isinstance(value, str) for name in _PLACE.findall(value)}


def filled(template: Any, values: Mapping[str, str]) -> Any:
    """The body with these values in their places, as plain JSON types."""
    whole = _filled(template, values)
    return None if whole is _NOTHING else whole


def values_of(content: Content, wanted: set[str]) -> dict[str, str]:
    """What there is for the places that are wanted: of one text, one view of one picture, or both."""
    found: dict[str, str] = {}
    if content.text is not None:
        found["text"] = content.text
    for image in content.images:
        [view] = image.views
        encoded = pybase64.b64encode_as_string(view.data) if wanted & {"image_base64", "image_data_uri"} else ""
        found |= {
            "image_base64": encoded,
            "image_data_uri": f"data:{view.media_type};base64,{encoded}",
            "image_media_type": view.media_type,
        }
        if address := view.url or image.url:
            found["image_url"] = address
    return {name: value for name, value in found.items() if name in wanted}


def _leaves(template: Any) -> Iterator[Any]:
    if isinstance(template, dict | list):
        for part in template.values() if isinstance(template, dict) else template:
            yield from _leaves(part)
    else:
        yield template


def _filled(template: Any, values: Mapping[str, str]) -> Any:
    if isinstance(template, dict):
        made = ((key, _filled(part, values)) for key, part in template.items())
        return {key: part for key, part in made if part is not _NOTHING}
    if isinstance(template, list):
        return [part for part in (_filled(item, values) for item in template) if part is not _NOTHING]
    if not isinstance(template, str):
        return template
    if any(name not in values for name in _PLACE.findall(template)):
        return _NOTHING
    return _PLACE.sub(lambda place: values[place[1]], template)
