"""Who is calling, what their key opens, and which language their users read."""

from __future__ import annotations

from hashlib import sha256

import pytest
from aiohttp.test_utils import make_mocked_request
from aiohttp.web import Request

from gateway.errors import Forbidden, Unauthorized
from gateway.web.auth import ANONYMOUS, Caller, Keyring, Role, digest
from gateway.web.locales import locale_of

APP = Caller("app", "acme", frozenset({Role.SUBMIT}))
DESK = Caller("desk", "acme", frozenset({Role.REVIEW}))
BOSS = Caller("boss", "acme", frozenset({Role.ADMIN}))
MADE = Caller("made", "other", frozenset({Role.SUBMIT}))

SUBMIT, REVIEW, ADMIN = frozenset({Role.SUBMIT}), frozenset({Role.REVIEW}), frozenset({Role.ADMIN})


def request(**headers: str) -> Request:
    return make_mocked_request("POST", "/", {name.replace("_", "-"): value for name, value in headers.items()})


def bearer(key: str) -> Request:
    return request(Authorization=f"Bearer {key}")


@pytest.fixture
def keyring() -> Keyring:
    return Keyring({digest("app-key"): APP, digest("desk-key"): DESK, digest("boss-key"): BOSS})


def test_a_key_is_kept_as_its_sha256():
    assert digest("app-key") == "sha256:" + sha256(b"app-key").hexdigest()
    assert digest("schlüssel") != digest("schlussel")
    assert len(digest("\ud800")) == len("sha256:") + 64  # what a header may hold, however odd


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer app-key"},
        {"Authorization": "bearer app-key"},
        {"Authorization": "Bearer   app-key "},
        {"X_API_Key": "app-key"},
        {"X_API_Key": " app-key "},
        {"x_api_key": "app-key"},
        {"Authorization": "Basic dTpw", "X_API_Key": "app-key"},
    ],
)
def test_a_key_comes_as_a_bearer_token_or_in_a_header_of_its_own(keyring, headers):
    assert keyring.admit(request(**headers), SUBMIT) == APP


@pytest.mark.parametrize(
    "headers, code",
    [
        ({}, "missing_key"),
        ({"Authorization": ""}, "missing_key"),
        ({"Authorization": "Bearer "}, "missing_key"),
        ({"Authorization": "Basic app-key"}, "missing_key"),
        ({"X_API_Key": " "}, "missing_key"),
        ({"Authorization": "Bearer nobody"}, "unknown_key"),
        ({"Authorization": "Bearer app-key2"}, "unknown_key"),
        ({"Authorization": "Bearer APP-KEY"}, "unknown_key"),
        ({"Authorization": "Bearer schlüssel"}, "unknown_key"),
        ({"Authorization": "Bearer nobody", "X_API_Key": "app-key"}, "unknown_key"),
        ({"X_API_Key": digest("app-key")}, "unknown_key"),  # knowing the hash opens nothing
    ],
)
def test_without_a_good_key_nobody_gets_in(keyring, headers, code):
    with pytest.raises(Unauthorized) as caught:
        keyring.admit(request(**headers), SUBMIT)
    assert (caught.value.http, caught.value.code) == (401, code)
    assert "Authorization: Bearer" in caught.value.hint
    assert "key2" not in str(caught.value)


@pytest.mark.parametrize(
    "key, roles, opens",
    [
        ("app-key", SUBMIT, True),
        ("app-key", REVIEW, False),
        ("app-key", ADMIN, False),
        ("app-key", SUBMIT | REVIEW, True),
        ("desk-key", REVIEW, True),
        ("desk-key", SUBMIT, False),
        ("boss-key", SUBMIT, True),
        ("boss-key", REVIEW, True),
        ("boss-key", ADMIN, True),
    ],
)
def test_a_role_opens_its_own_routes_and_admin_opens_all(keyring, key, roles, opens):
    if opens:
        assert keyring.admit(bearer(key), roles).name == key.removesuffix("-key")
        return
    with pytest.raises(Forbidden) as caught:
        keyring.admit(bearer(key), roles)
    assert (caught.value.http, caught.value.code) == (403, "missing_role")
    assert all(role in caught.value.detail for role in roles)


def test_a_key_may_be_configured_as_its_hash():
    configured = "sha256:" + sha256(b"secret").hexdigest()  # as `modgate keys create` prints it
    assert Keyring({configured: APP}).admit(bearer("secret"), SUBMIT) == APP


def test_keys_made_on_the_command_line_come_and_go(keyring):
    keyring.renew({digest("made-key"): MADE})
    assert keyring.admit(bearer("made-key"), SUBMIT) == MADE
    assert keyring.admit(bearer("app-key"), SUBMIT) == APP
    keyring.renew({})
    with pytest.raises(Unauthorized):
        keyring.admit(bearer("made-key"), SUBMIT)


def test_an_empty_list_of_keys_still_asks_for_one():
    empty = Keyring({})
    assert empty.asks
    with pytest.raises(Unauthorized):
        empty.admit(request(), SUBMIT)


def test_without_keys_everybody_may_do_everything():
    open_door = Keyring(None)
    assert not open_door.asks
    assert open_door.admit(request(), ADMIN) == open_door.admit(bearer("any"), REVIEW) == ANONYMOUS
    assert (ANONYMOUS.tenant, ANONYMOUS.roles) == ("default", frozenset(Role))


@pytest.mark.parametrize(
    "said, header, locale",
    [
        ("de", "fr", "de"),
        ("de_AT", None, "de-AT"),
        ("zh-Hant-TW", None, "zh-Hant-TW"),
        (None, "fr", "fr"),
        (None, "fr-CH, fr;q=0.9, en;q=0.8, *;q=0.5", "fr-CH"),
        (None, "en;q=0.1,de;q=0.9", "de"),
        (None, "en;q=0.1, de; q=0.9", "de"),  # RFC 9110 §12.4.2: space may stand around the semicolon
        (None, "en;q=0.1, de ;q=0.9", "de"),
        (None, "de;q=0, en;q=0.1", "en"),
        (None, "de;q=0", None),  # "not acceptable": RFC 9110 §12.4.2
        (None, "*", None),
        (None, "", None),
        (None, "\x00;q=1, de;q=0.1", "de"),
        (None, "de;q=x, en;q=0.1", "en"),
        (None, "a" * 10_000, None),
        ("not a language", "fr", "fr"),
        ("../../etc", "fr", "fr"),
        ("", "fr", "fr"),
        (7, "fr", "fr"),
        (["de"], "fr", "fr"),
        (None, None, None),
    ],
)
def test_the_language_is_the_contexts_else_the_most_wanted_of_the_header(said, header, locale):
    context = {} if said is None else {"locale": said}
    headers = {} if header is None else {"Accept_Language": header}
    assert locale_of(context, request(**headers)) == locale
