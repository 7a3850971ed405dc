"""Who is calling. Keys are kept as SHA-256 and compared in constant time; a key's roles say which routes it opens."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

from aiohttp import web

from gateway.errors import Forbidden, Unauthorized


class Role(StrEnum):
    """What a key may do. admin may do everything."""

    SUBMIT = "submit"
    REVIEW = "review"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Caller:
    """A key as it is known: never the key itself.

    `rate_limit` is requests a second, `daily_spend` money in the currency of `price_per_1k`; None is no limit.
    A `batch` takes what room live traffic leaves.
    """

    name: str
    tenant: str
    roles: frozenset[Role]
    rate_limit: float | None = None
    daily_spend: float | None = None
    batch: bool = False


ANONYMOUS = Caller("anonymous", "default", frozenset(Role))

_OWN_HEADERS = ("X-API-Key", "Ocp-Apim-Subscription-Key")  # the second is what clients of a dialect send
KEY_HEADERS = ("Authorization", *_OWN_HEADERS)

_HINT = "Send Authorization: Bearer KEY or X-API-Key: KEY."


def digest(key: str) -> str:
    """How a key is kept: `sha256:` and 64 hex digits. Keys are random, so a slow hash would add nothing."""
    return "sha256:" + sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


class Keyring:
    """The keys that are good now. `None` instead of callers means that no keys are asked.

    `clear` are the keys that are known in clear, by name: they can sign.
    """

    def __init__(self, fixed: Mapping[str, Caller] | None, clear: Mapping[str, str] | None = None):
        self._fixed = fixed
        self._clear = clear or {}
        self._made: Mapping[str, Caller] = {}

    @property
    def asks(self) -> bool:
        return self._fixed is not None

    def renew(self, made: Mapping[str, Caller]) -> None:
        """Replace the keys made on the command line: digest → caller."""
        self._made = made

    def admit(self, request: web.Request, roles: frozenset[Role]) -> Caller:
        """The caller, if the key is good and has one of the roles. Raises Unauthorized or Forbidden."""
        if self._fixed is None:
            return ANONYMOUS
        key = presented(request.headers)
        if not key:
            raise Unauthorized("missing_key", "This needs an API key.", hint=_HINT)
        caller = self._find(digest(key))
        if caller is None:
            raise Unauthorized("unknown_key", "This API key is not known here.", hint=_HINT)
        return self.permit(caller, roles)

    def whose(self, key: str) -> Caller | None:
        """Whoever has this key; None where nobody has, and one is asked for."""
        return ANONYMOUS if self._fixed is None else self._find(digest(key))

    def signer(self, name: str) -> tuple[str, Caller]:
        """The key of this name in clear, and whose it is. Raises Unauthorized."""
        key = self._clear.get(name)
        if key is None:
            if any(caller.name == name for caller in (*(self._fixed or {}).values(), *self._made.values())):
                hint = "Give the gateway the key itself, as key: in its configuration."
                raise Unauthorized("key_cannot_sign", f"Of the key '{name}' only a hash is known here.", hint=hint)
            raise Unauthorized("unknown_key", "There is no key of this name.", hint="The access key id is its name.")
        return key, (self._fixed or {})[digest(key)]

    @staticmethod
    def permit(caller: Caller, roles: frozenset[Role]) -> Caller:
        """The caller, if one of the roles is its own. Raises Forbidden."""
        if roles and Role.ADMIN not in caller.roles and not roles & caller.roles:
            needed = " or ".join(sorted(roles))
            raise Forbidden("missing_role", f"This key lacks the role {needed}.", hint="Ask whoever runs this gateway.")
        return caller

    def _find(self, wanted: str) -> Caller | None:
        found = None
        for known, caller in (*(self._fixed or {}).items(), *self._made.items()):
            if hmac.compare_digest(known, wanted):
                found = caller  # and on through all the others: the time tells nothing
        return found


def presented(headers: Mapping[str, str]) -> str:
    """The key in Authorization: Bearer or in a header of its own, or nothing. No other headers are looked at than
    KEY_HEADERS."""
    scheme, _, key = headers.get("Authorization", "").partition(" ")
    own = (headers.get(name, "").strip() for name in _OWN_HEADERS)
    return key.strip() if scheme.lower() == "bearer" else next(filter(None, own), "")
