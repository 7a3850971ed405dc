"""gateway.yaml: what it takes, what it refuses and where, and that it keeps its secrets.

In the tables a § stands at every place where a problem is expected; it is taken out before the file is read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from gateway.adapter import VendorSettings
from gateway.config import Config, check_exposure, load_config
from gateway.domain import Modality
from gateway.errors import ConfigError
from gateway.settings import AuthSettings, KeySettings
from gateway.yamlfile.problem import Problem

CANARY = "sk-canary-5ecret"
SHIPPED = Path(__file__).parents[2] / "config" / "gateway.yaml"
DIGEST = "sha256:" + "0f" * 32


class RemoteSettings(VendorSettings):
    """As an adapter with an account would have them."""

    base_url: str
    api_key: SecretStr
    api_user: SecretStr | None = None
    session_token: str | None = None


ADAPTERS: Mapping[str, type[VendorSettings]] = {
    "local_text": VendorSettings,
    "local_image": VendorSettings,
    "remote": RemoteSettings,
}
ENVIRONMENT = {"APP_KEY": CANARY, "PORT": "9000", "WIDE": "0.0.0.0", "NAME": "strangers"}


def read(folder: Path, text: str) -> Config:
    file = folder / "gateway.yaml"
    file.write_text(text, encoding="utf-8")
    return load_config(file, ENVIRONMENT, ADAPTERS.__getitem__, ADAPTERS)


def places(text: str) -> list[tuple[int, int]]:
    """Line and column of every § of the text, as if none of them were there."""
    pieces = text.split("§")
    before = ("".join(pieces[:count]) for count in range(1, len(pieces)))
    return [(upto.count("\n") + 1, len(upto) - upto.rfind("\n")) for upto in before]


def refused(folder: Path, text: str) -> Problem:
    with pytest.raises(Problem) as caught:
        read(folder, text.replace("§", ""))
    assert CANARY not in f"{caught.value}{caught.value!r}{[each.as_dict() for each in caught.value.problems]}"
    assert [(each.line, each.column) for each in caught.value.problems] == places(text), str(caught.value)
    return caught.value


PROVIDERS = "providers:\n  text: {adapter: local_text}\n  image: {adapter: local_image}\n"
ROUTES = "routes: {default: {text: {ask: [text]}}}\n"
GOOD = PROVIDERS + ROUTES

TOP = [
    # lines before a good file, code, words
    ("§sever: {}\n", "unknown_key", "unknown key \"sever\"; did you mean 'server'?"),
    ("§rate_limits: {}\n", "unknown_key", 'unknown key "rate_limits"'),
    ("server: {§prot: 1}\n", "unknown_key", "in server; did you mean 'port'?"),
    ("server: {port: §eighty}\n", "wrong_type", 'server.port should be a whole number, but is "eighty"'),
    ("server: {port: §65536}\n", "bad_value", "server.port should be at most 65535"),
    ("server: {port: §-1}\n", "bad_value", "server.port should be at least 0"),
    ("server: {port: §true}\n", "wrong_type", "server.port should be a whole number"),
    ("server: {port: §'${PORTS}'}\n", "unset_variable", "PORTS is not set; did you mean 'PORT'?"),
    ("server: {host: §''}\n", "bad_value", "server.host should be at least 1 long"),
    ("server: {host: §8080}\n", "wrong_type", "server.host should be text, but is 8080; put quotes round it"),
    ("server: {host: §0.0.0.0}\n", "bad_value", 'server.host is "0.0.0.0": without auth only a loopback host'),
    ("server: {host: §'::'}\n", "bad_value", "add keys under auth, or use 127.0.0.1"),
    ("server: {host: §gateway.internal}\n", "bad_value", "loopback"),
    ('server: {host: §"${WIDE}"}\n', "bad_value", 'server.host is "${WIDE}": '),
    ("server: §8080\n", "wrong_type", "server should be a mapping, but is 8080"),
    ("§auth:\n", "bad_value", "auth is empty; take the line away to ask for no key"),
    ("auth: {keys: §{}}\n", "wrong_type", "auth.keys should be a list"),
    ("auth: {keys: [§{key: a}]}\n", "missing_key", "'name' is missing in auth.keys[0]"),
    ("auth: {keys: [§{name: a}]}\n", "bad_value", "auth.keys[0]: a key has exactly one of key and hash"),
    (f"auth: {{keys: [§{{name: a, key: b, hash: '{DIGEST}'}}]}}\n", "bad_value", "exactly one of key and hash"),
    ("auth: {keys: [{name: a, hash: §abc}]}\n", "bad_value", "auth.keys[0].hash: a hash is sha256: and 64 hex"),
    ("auth: {keys: [{name: a, key: §''}]}\n", "bad_value", "auth.keys[0].key should be at least 1 long"),
    ("auth: {keys: [{name: a, key: §12345}]}\n", "wrong_type", "should be text, but is a number (not shown)"),
    ("auth: {keys: [{name: §'a b', key: x}]}\n", "bad_value", "auth.keys[0].name should be of the form"),
    ("auth: {keys: [{name: a, key: x, roles: [§root]}]}\n", "bad_value", "roles[0] should be submit, review or admin"),
    ("auth: {keys: [{name: a, key: x, roles: [§amdin]}]}\n", "bad_value", "did you mean 'admin'?"),
    ("auth: {keys: [{name: a, key: x, roles: §admin}]}\n", "wrong_type", "should be a list; write it in [ ]"),
    ("auth: {keys: [{name: a, key: x, roles: §[]}]}\n", "bad_value", "roles should be at least 1 long"),
    ("auth: {keys: [{name: a, key: x, §role: [admin]}]}\n", "unknown_key", "did you mean 'roles'?"),
    ("auth: {keys: [{name: a, key: x, rate_limit: §50}]}\n", "bad_value", "a rate is a number above 0 per s, m or h"),
    ("auth: {keys: [{name: a, key: x, daily_spend: §0}]}\n", "bad_value", "daily_spend should be above 0"),
    ("auth: {keys: [{name: a, key: x, daily_spend: §.inf}]}\n", "wrong_type", "daily_spend should be a number"),
    ("auth: {keys: [{name: a, key: x, priority: §bacht}]}\n", "bad_value", "did you mean 'batch'?"),
    ("auth: {keys: [{name: a, key: x}, {name: §a, key: y}]}\n", "bad_value", 'a key named "a" is already above'),
    (f"auth: {{keys: [{{name: a, key: {CANARY}}}, {{name: b, key: §{CANARY}}}]}}\n", "bad_value", "has this key"),
    ("storage: {database: §postgresql+asyncpg://me:sk-canary-5ecret@db/x}\n", "not_available", "storage.database"),
    ("storage: {objects: §s3://bucket/prefix}\n", "not_available", "storage.objects is not available in this version"),
    ("storage: {redis: §http://me:sk-canary-5ecret@r}\n", "bad_value", "storage.redis: a Redis is redis[s]://"),
    ("storage: {redis: §'redis://me:sk-canary-5ecret@r/0?db=1'}\n", "bad_value", "[:port][/number], or unix:// and"),
    ("storage: {redis: §5}\n", "wrong_type", "storage.redis should be text, but is a number (not shown)"),
    ("storage: {dir: §5}\n", "wrong_type", "storage.dir should be a path, but is 5"),
    ("fetch: {allow_networks: [§localhost]}\n", "bad_value", "a network is an address with its length"),
    ("fetch: {allow_networks: [§10.0.0.1/8]}\n", "bad_value", 'fetch.allow_networks[0] is "10.0.0.1/8"'),
    ("fetch: {allow_networks: [§10]}\n", "bad_value", "like 10.1.0.0/16"),
    ("fetch: {allow_ports: [80, §70000]}\n", "bad_value", "fetch.allow_ports[1] should be at most 65535"),
    ("fetch: {§allow_port: [80]}\n", "unknown_key", "did you mean 'allow_ports'?"),
    ("limits: {image_bytes: §10485760}\n", "bad_value", "a size is a number above 0 with its unit, like 500KB"),
    ("limits: {image_bytes: §10 mb}\n", "bad_value", 'limits.image_bytes is "10 mb"'),
    ("limits: {images: §0}\n", "bad_value", "limits.images should be at least 1"),
    ("limits: {wait: §0s}\n", "bad_value", "a duration is a number above 0"),
    ("debt: {most: §-1}\n", "bad_value", "debt.most should be at least 0"),
    ("debt: {keep: §24}\n", "bad_value", "debt.keep is 24: a duration is a number above 0"),
    ("limits: {text_chars: §50k}\n", "wrong_type", "limits.text_chars should be a whole number"),
    ("policies: {§defualt: social}\n", "unknown_key", "did you mean 'default'?"),
]


@pytest.mark.parametrize(("lines", "code", "words"), TOP, ids=range(len(TOP)))
def test_mistakes_in_the_sections(tmp_path: Path, lines: str, code: str, words: str):
    problem = refused(tmp_path, lines + GOOD)
    assert problem.code == code
    for word in words.split("; "):
        assert word in str(problem)


PROVIDER = [
    ("x: {adapter: §local_txt}", "unknown_name", "unknown adapter \"local_txt\"; did you mean 'local_text'?"),
    ("x: {adapter: §zzz}", "unknown_name", "there are local_image, local_text, remote"),
    ('x: {adapter: §"${NAME}"}', "unknown_name", 'unknown adapter "${NAME}"'),
    ("§x: {timeout: 3s}", "missing_key", "'adapter' is missing in providers.x"),
    ("§x: {adaptor: local_text}", "missing_key", "'adapter' is missing in providers.x"),
    ("x: {adapter: §[local_text]}", "wrong_type", "providers.x.adapter should be text, but is a list"),
    ("x: §local_text", "wrong_type", 'providers.x should be a mapping, but is "local_text"'),
    ("x:§", "wrong_type", "providers.x should be a mapping, but is empty"),
    ("§a b: {adapter: local_text}", "bad_value", '"a b" is not a provider\'s name'),
    ("§-x: {adapter: local_text}", "bad_value", "a letter or digit begins it"),
    ("§ſ: {adapter: local_text}", "bad_value", "is not a provider's name"),
    ("x: {adapter: local_text, §time_out: 3s}", "unknown_key", "in providers.x; did you mean 'timeout'?"),
    ("x: {adapter: local_text, timeout: §3}", "bad_value", "providers.x.timeout is 3: a duration is"),
    ("x: {adapter: local_text, rate_limit: §50}", "bad_value", "like 50/s"),
    ("x: {adapter: local_text, retry: {attempts: §9}}", "bad_value", "retry.attempts should be at most 5"),
    ("x: {adapter: local_text, circuit: {§enable: no}}", "unknown_key", "did you mean 'enabled'?"),
    ("x: {adapter: local_text, transport: §sdk}", "bad_value", 'transport is "sdk": this vendor has no client'),
    ("x: {adapter: local_text, enabled: §perhaps}", "wrong_type", "enabled should be true or false"),
    ("§x: {adapter: remote, base_url: 'https://x'}", "missing_key", "'api_key' is missing in providers.x"),
    ("x: {adapter: remote, base_url: u, api_key: k, §apikey: sk-canary-5ecret}", "unknown_key", "mean 'api_key'?"),
    ("x: {adapter: remote, base_url: u, api_key: §[sk-canary-5ecret]}", "wrong_type", "should be text, but is a list"),
    ("x: {adapter: remote, base_url: u, api_key: k, api_user: §123}", "wrong_type", "is a number (not shown)"),
    ("x: {adapter: remote, base_url: u, api_key: k, session_token: §456}", "wrong_type", "is a number (not shown)"),
    ("x: {adapter: remote, base_url: u, api_key: k, timeout: §'${APP_KEY}'}", "bad_value", 'timeout is "${APP_KEY}"'),
    ("x: {adapter: remote, base_url: u, api_key: §'${NOT_SET}'}", "unset_variable", "NOT_SET is not set"),
]


@pytest.mark.parametrize(("line", "code", "words"), PROVIDER, ids=range(len(PROVIDER)))
def test_mistakes_in_a_provider(tmp_path: Path, line: str, code: str, words: str):
    problem = refused(tmp_path, f"{PROVIDERS}  {line}\n{ROUTES}")
    assert problem.code == code
    for word in words.split("; "):
        assert word in str(problem)


ROUTE = [
    ("default: {text: {ask: [§txet]}}", "unknown_name", "unknown provider \"txet\"; did you mean 'text'?"),
    ("default: {text: {ask: [§zzz]}}", "unknown_name", "there are text, image, off"),
    ('default: {text: {ask: [§"${NAME}"]}}', "unknown_name", 'unknown provider "${NAME}"'),
    ("default: {text: {ask: [text], fallback: [§txt]}}", "unknown_name", "did you mean 'text'?"),
    ("default: {text: {ask: [§off]}}", "bad_value", 'the provider "off" is disabled'),
    ("default: {text: {ask: [text, §text]}}", "bad_value", '"text" is named twice'),
    ("default: {text: {ask: [text], fallback: [§text]}}", "bad_value", '"text" is named twice'),
    ("default: {text: {ask: [text], need: §2}}", "bad_value", "need is 2, more than the 1 in ask and fallback"),
    ("default: {text: {ask: [text], need: §0}}", "bad_value", "routes.default.text.need should be at least 1"),
    ("default: {text: {ask: §[]}}", "bad_value", "routes.default.text.ask should be at least 1 long"),
    ("default: {text: {ask: §text}}", "wrong_type", 'should be a list, but is "text"; write it in [ ]'),
    ("default: {§text: {need: 1}}", "missing_key", "'ask' is missing in routes.default.text"),
    ("default: {text: {§aks: [text], ask: [text]}}", "unknown_key", "did you mean 'ask'?"),
    ("default: {text: {ask: [text], deadline: §5}}", "bad_value", "a duration is a number above 0 with its unit"),
    ("default: {text: {ask: [text], deadline: §0s}}", "bad_value", "a duration is a number above 0"),
    ("default: {text: {ask: [text], strategy: §frist}}", "bad_value", "did you mean 'first'?"),
    ("default: {text: {ask: [text], strategy: §split}}", "bad_value", "strategy split lacks its weights"),
    ("default: {text: {strategy: all, §split: {text: 1}}}", "bad_value", "split is not for strategy all"),
    ("default: {text: {§ask: [image], split: {text: 1}}}", "bad_value", "split names whom to ask; leave ask out"),
    ("default: {text: {split: {§txt: 1}}}", "unknown_name", "did you mean 'text'?"),
    ("default: {text: {split: {text: §0}}}", "bad_value", "should be above 0"),
    ("default: {text: {ask: [text], §hedge_after: 1s}}", "bad_value", "hedge_after is for strategy hedge"),
    ("default: {text: {ask: [text], cache: {§near_duplicates: true}}}", "bad_value", "near_duplicates is for image"),
    ("default: {image: {ask: [image], cache: {near_duplicates: true, distance: §32}}}", "bad_value", "at most 31"),
    ("default: {image: {ask: [image], cache: {§near: true}}}", "unknown_key", "in routes.default.image.cache"),
    ("default: {text: {ask: [text], shadow: [§text]}}", "bad_value", '"text" is named twice'),
    ("default: {§txt: {ask: [text]}, text: {ask: [text]}}", "unknown_key", "in routes.default; did you mean 'text'?"),
    ("§default: {}", "missing_key", 'the route "default" names neither text nor image'),
    ("default: §[text]", "wrong_type", "routes.default should be a mapping, but is a list"),
]


@pytest.mark.parametrize(("line", "code", "words"), ROUTE, ids=range(len(ROUTE)))
def test_mistakes_in_a_route(tmp_path: Path, line: str, code: str, words: str):
    problem = refused(tmp_path, f"{PROVIDERS}  off: {{adapter: local_text, enabled: false}}\nroutes:\n  {line}\n")
    assert problem.code == code
    for word in words.split("; "):
        assert word in str(problem)


WHOLE = [
    ("§" + ROUTES.replace("[text]", "[§text]"), "there are no providers to ask"),
    ("§providers: {}\n" + ROUTES.replace("[text]", "[§text]"), "name at least one"),
    ("§" + PROVIDERS, "there are no routes"),
    (PROVIDERS + "§routes:\n", "there are no routes"),
    (PROVIDERS + "§routes: {defualt: {text: {ask: [text]}}}\n", "there is no route 'default'"),
    ("providers: §[a]\n" + ROUTES, "providers should be a mapping, but is a list"),
    (PROVIDERS + "routes: §[a]\n", "routes should be a mapping, but is a list"),
    ("§", "the file is empty"),
    ("§[]", "the file should be a mapping"),
]


@pytest.mark.parametrize(("text", "words"), WHOLE, ids=range(len(WHOLE)))
def test_mistakes_of_the_whole(tmp_path: Path, text: str, words: str):
    assert words in str(refused(tmp_path, text))


def test_everything_wrong_comes_at_once_in_file_order(tmp_path: Path):
    text = """
server: {§prot: 1}
providers:
  text: {adapter: §local_txt}
  §b b: {adapter: local_text}
  c: {adapter: remote, base_url: u, api_key: §1, §apikey: 2}
routes:
  default: {text: {ask: §text, need: §none}}
"""
    problem = refused(tmp_path, text)
    assert str(problem).splitlines() == [str(each) for each in problem.problems]


def test_what_is_left_out(tmp_path: Path):
    config = read(tmp_path, GOOD)
    assert (config.server.host, config.server.port) == ("127.0.0.1", 8080)
    assert config.auth is None
    assert config.storage.dir == tmp_path / "var"
    assert (config.policies.dir, config.policies.default) == (tmp_path / "policies", "social")
    assert config.fetch.allow_networks == config.fetch.allow_hosts == config.fetch.allow_ports == ()
    limits = config.limits
    assert (limits.image_bytes, limits.body_bytes) == (10_000_000, 64_000_000)
    assert (limits.text_chars, limits.images, limits.concurrency) == (50_000, 16, 256)
    leg = config.leg("default", Modality.TEXT)
    assert leg is not None
    assert (leg.ask, leg.strategy, leg.fallback, leg.need, leg.deadline) == (("text",), "all", (), 1, 5.0)
    assert config.providers["text"].timeout == 3.0


def test_sections_with_every_line_commented_out(tmp_path: Path):
    config = read(tmp_path, "server:\nstorage:\nfetch:\nlimits:\npolicies:\n" + GOOD)
    assert config.storage.dir == tmp_path / "var"


def test_everything_said(tmp_path: Path):
    text = f"""
server: {{host: 0.0.0.0, port: "${{PORT}}"}}
auth:
  keys:
    - {{name: app, key: "${{APP_KEY}}", tenant: acme, roles: [submit, review], rate_limit: 300/m,
       daily_spend: 5.00, priority: batch}}
    - {{name: ci, hash: "{DIGEST}"}}
storage: {{dir: ../data, database: , objects: null}}
fetch: {{allow_networks: [127.0.0.1/32, "fd00::/8"], allow_hosts: [media.internal], allow_ports: [8000]}}
limits: {{image_bytes: 5MiB, text_chars: 100, images: 2, concurrency: 8, wait: 2s, body_bytes: 20MB}}
debt: {{keep: 1h, most: 10, bytes: 1MB}}
providers:
  Far-1: {{adapter: remote, base_url: "https://me:5ecret@x/v1", api_key: "${{APP_KEY}}", timeout: 500ms,
          rate_limit: 50/s, session_token: 5ecret, circuit: {{enabled: off}}, retry: {{attempts: 1}}}}
  text: {{adapter: local_text}}
  off: {{adapter: local_text, enabled: false}}
routes:
  default: {{text: {{ask: [Far-1], strategy: first, fallback: [text], need: 2, deadline: 1500ms, shadow: []}}}}
  images: {{image: {{ask: [Far-1]}}}}
policies: {{dir: /srv/policies, default: kids}}
"""
    config = read(tmp_path, text)
    assert config.server.port == 9000
    assert config.auth is not None
    first, second = config.auth.keys
    assert (first.name, first.tenant, first.roles) == ("app", "acme", ("submit", "review"))
    assert first.key is not None
    assert first.key.get_secret_value() == CANARY
    assert (first.rate_limit, first.daily_spend, first.priority) == (5.0, 5.0, "batch")
    assert (second.tenant, second.roles) == ("default", ("submit",))
    assert (second.rate_limit, second.daily_spend, second.priority) == (None, None, "live")
    assert (config.debt.keep, config.debt.most, config.debt.bytes) == (3600.0, 10, 1_000_000)
    assert config.storage.dir == tmp_path / ".." / "data"
    assert config.policies.dir == Path("/srv/policies")
    assert config.fetch.allow_networks == (ip_network("127.0.0.1/32"), ip_network("fd00::/8"))
    assert (config.limits.image_bytes, config.limits.wait) == (5 * 1024**2, 2.0)
    far = config.providers["Far-1"]
    assert isinstance(far, RemoteSettings)
    assert far.api_key.get_secret_value() == CANARY
    assert (far.timeout, far.rate_limit, far.circuit.enabled, far.retry.attempts) == (0.5, 50.0, False, 1)
    text_leg, image_leg = config.leg("images", Modality.TEXT), config.leg("images", Modality.IMAGE)
    assert text_leg is not None
    assert text_leg.deadline == 1.5
    assert image_leg is not None
    assert config.leg("default", Modality.IMAGE) is None
    with pytest.raises(KeyError):
        config.leg("nowhere", Modality.TEXT)

    public = json.dumps(config.public())
    assert "5ecret" not in public
    assert CANARY not in repr(config) + str(config) + repr(config.document) + repr(config.providers)
    assert config.public()["auth"]["keys"][0] == {
        "name": "app",
        "key": "***",
        "hash": None,
        "tenant": "acme",
        "roles": ["submit", "review"],
        "rate_limit": 5.0,
        "daily_spend": 5.0,
        "priority": "batch",
    }
    assert config.public()["providers"]["Far-1"]["api_key"] == "***"
    assert config.public()["providers"]["Far-1"]["base_url"] == "https://***@x/v1"
    error = config.document.error(("routes", "images", "image", "ask", 0), "cannot see images")
    assert (error.line, error.column) == (19, 26)


def test_an_empty_list_of_keys_still_asks_for_one(tmp_path: Path):
    config = read(tmp_path, "server: {host: 0.0.0.0}\nauth: {keys: []}\n" + GOOD)
    assert config.auth == AuthSettings()


def test_a_relative_file_has_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("conf").mkdir()
    assert read(Path("conf"), GOOD).storage.dir == tmp_path / "conf" / "var"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "localhost", "::1", "[::1]"])
def test_a_loopback_host_needs_no_keys(host: str):
    check_exposure(host, None)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "10.0.0.1", "example.org", "127.0.0.1.example.org", "127.1"])
def test_any_other_host_does(host: str):
    with pytest.raises(ConfigError, match="without auth only a loopback host is listened on; add keys under auth"):
        check_exposure(host, None)
    check_exposure(host, AuthSettings(keys=(KeySettings(name="a", key=SecretStr("b")),)))


def shipped(text: str, folder: Path) -> Config:
    class AnySettings(VendorSettings):
        """As the local adapters may have keys of their own."""

    (folder / "gateway.yaml").write_text(text, encoding="utf-8")
    known: dict[str, Any] = {"local_text": AnySettings, "local_image": AnySettings}
    return load_config(folder / "gateway.yaml", _KEYS, known.__getitem__, known)


def test_the_shipped_file_runs_as_it_is(tmp_path: Path):
    config = shipped(SHIPPED.read_text(encoding="utf-8"), tmp_path)
    assert list(config.providers) == ["local-image", "local-text"]
    assert config.storage.dir == tmp_path / "var"


_KEYS = {"APP_KEY": "a", "MODERATORS_KEY": "b", "BACKFILL_KEY": "c"}


def test_the_examples_in_the_shipped_file_are_right(tmp_path: Path):
    text = re.sub(r"(?m)^#(?! )(?=\S| {2}\S)", "", SHIPPED.read_text(encoding="utf-8"))
    text = re.sub(r"(?m)^#(?= {2,}\S)", "", text)
    config = shipped(text, tmp_path)
    assert config.auth is not None
    assert set(config.routes) == {"default", "careful"}
    assert config.limits == type(config.limits)()
