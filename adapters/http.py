"""Somebody's own endpoint: any model server that takes JSON and answers with JSON, described in YAML.

Wire:    whatever `method`, `path`, `headers` and `body` say; one image a call, the text beside each where `together`
Reports: the labels and numbers that `read` finds in the answer. What they mean is in a table of the provider's own
Source:  the documentation of that endpoint; see README.md here for how it is written down
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError

from adapters.http_shape.answer import AnswerShape, at, word
from adapters.http_shape.body import OF_TEXT, PLACES, SHOWING, filled, places, values_of
from gateway.adapter import Address, Call, Reply, VendorAdapter, VendorSettings, one_image_each
from gateway.domain import Content, Finding, Image, Minimum, Modality, Opinion
from gateway.errors import VendorRejected
from gateway.units import Located

_NEEDED = {Modality.TEXT: OF_TEXT, Modality.IMAGE: SHOWING}
_OURS = {"host", "content-length", "transfer-encoding", "connection", "accept-encoding"}
_LONG_ENOUGH = 8  # characters; what is shorter is cut out of no answer, for it might be any number in it


def _named(written: dict[str, SecretStr]) -> dict[str, SecretStr]:
    for name in written:
        if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):
            raise ValueError(f"'{name}' is no name of a header")
        if name.lower() in _OURS:
            raise ValueError(f"'{name}' is a header that the connection writes itself")
    return written


def _path(written: str) -> str:
    if not re.fullmatch(r"(/[^\s?#]*)?", written):
        raise ValueError("a path begins with a slash, and has no spaces, ? or # in it")
    return written


def _sendable(written: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[\x20-\x7e]+", written.get_secret_value()):
        raise ValueError("a header's value is printable ASCII, on one line")
    return written


def _body(written: Any) -> Any:
    unknown = sorted(places(written) - PLACES)
    if not isinstance(written, dict | list):
        raise PydanticCustomError("wrong_type", "should be a mapping or a list, with {text} in it or an image's place")
    if unknown:
        raise ValueError(f"{_braced([unknown[0]])} is no place; there are {_braced(PLACES)}")
    return written


def _braced(names: Iterable[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in sorted(names))


def _own(written: Any) -> Any:
    if written is None:
        hint = "only you know what your labels mean: write table: ./our-model.yaml, of the shape of those in vendors/"
        raise PydanticCustomError("missing_key", f"is missing; {hint}")
    return written


Headers = Annotated[dict[str, Annotated[SecretStr, AfterValidator(_sendable)]], AfterValidator(_named)]


class HttpSettings(VendorSettings):
    """`body` is YAML with places such as {text} and {image_base64}, `read` says where in the answer the scores stand.

    No value of `headers` is ever shown. `together`: a text and its image go in one call and are judged as one. `table`
    has to be given.
    """

    base_url: Address
    path: Annotated[str, AfterValidator(_path)] = ""
    method: Literal["POST", "PUT"] = "POST"
    headers: Headers = Field(default={})
    accepts: tuple[Modality, ...] = Field(min_length=1)
    together: bool = False
    body: Annotated[dict[str, Any] | list[Any], BeforeValidator(_body)]
    read: AnswerShape
    table: Annotated[Located | None, BeforeValidator(_own)] = Field(default=None, validate_default=True)

    @model_validator(mode="after")
    def _asks_about_what_it_accepts(self) -> HttpSettings:
        for modality, needed in _NEEDED.items():
            if modality in self.accepts and not places(self.body) & needed:
                raise ValueError(f"accepts has {modality.value}, and the body has no place for it: {_braced(needed)}")
        if self.together and set(self.accepts) != set(Modality):
            raise ValueError("together needs accepts: [text, image]")
        return self

    def secrets(self) -> Iterator[str]:
        """The words of the headers' values: of `Bearer abc…` the second."""
        for value in self.headers.values():
            yield from (part for part in value.get_secret_value().split() if len(part) >= _LONG_ENOUGH)


class Adapter(VendorAdapter):
    Settings: ClassVar[type[VendorSettings]] = HttpSettings
    settings: HttpSettings
    accepts = frozenset(Modality)  # of these, the ones in the settings

    def __init__(self, settings: HttpSettings):
        super().__init__(settings)
        self.accepts = frozenset(settings.accepts)
        self.together = settings.together
        self._headers = {name: value.get_secret_value() for name, value in settings.headers.items()}
        self._places = places(settings.body)

    @property
    def address(self) -> str:
        return self.settings.base_url

    def ask(self, content: Content) -> Iterable[Call]:
        if content.images and content.text is not None and not self.together:
            raise VendorRejected("it judges a text and an image apart, and was asked about both at once")
        bodies = [self.body(part) for part in one_image_each(content)]
        distinct = [body for place, body in enumerate(bodies) if body not in bodies[:place]]  # views of one address
        settings = self.settings
        return [Call(settings.method, settings.path, headers=self._headers, json=body) for body in distinct]

    def body(self, content: Content) -> Any:
        """The body about one view. VendorRejected where it would show nothing of what is asked about."""
        values = values_of(content, self._places)
        if any(isinstance(part, Image) for part in content.inputs) and not values.keys() & SHOWING:
            raise VendorRejected("takes images by address only, and this one came as bytes")
        return filled(self.settings.body, values)

    def read(self, reply: Reply) -> Iterator[Finding | Opinion | Minimum]:
        yield from self.settings.read.findings(reply.json)
        if self.settings.read.minimum is not None:
            yield Minimum(self.settings.read.minimum)

    def version(self, reply: Reply) -> str | None:
        path = self.settings.read.model
        return None if path is None else word(at(reply.json, path))
