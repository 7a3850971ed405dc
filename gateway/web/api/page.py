"""`/docs`: the description of the API as a page."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader

_PAGES = Environment(loader=PackageLoader("gateway.web", "pages"), autoescape=True)


def page(api: dict[str, Any], asks_keys: bool) -> str:
    """HTML."""
    return _PAGES.get_template("docs.html").render(api=api, asks_keys=asks_keys)
