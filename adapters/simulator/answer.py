"""What a vendor answers, before it is bytes: so it can still be changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson

JSON = "application/json"


@dataclass
class Answer:
    """`document` is sent as JSON unless `data` is given. A header that is None is not sent."""

    status: int
    document: Any = None
    headers: dict[str, str | None] = field(default_factory=dict)
    data: bytes | None = None
    content_type: str | None = JSON

    @property
    def body(self) -> bytes:
        """The bytes that are sent."""
        return orjson.dumps(self.document) if self.data is None else self.data
