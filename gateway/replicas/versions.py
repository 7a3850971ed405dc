"""By what an answer is another one: who is asked, how, by which adapter, and what its words mean to us."""

from __future__ import annotations

from hashlib import sha256
from importlib.metadata import version

import orjson

from gateway.adapter import VendorSettings

_NOT_ABOUT_ANSWERS = frozenset(VendorSettings.model_fields) - {"adapter"}  # patience, limits, prices


def version_of(settings: VendorSettings, table: bytes) -> str:
    """Of a provider with these settings, whose table is this file. Secrets are not in it, not even as a hash."""
    own = settings.model_dump(mode="json", exclude=set(_NOT_ABOUT_ANSWERS))
    told = orjson.dumps([version("modgate"), own], option=orjson.OPT_SORT_KEYS)
    return sha256(told + b"\0" + table).hexdigest()
