"""Somebody's own endpoint: what is put into its body, what is read out of its answer, and settings that cannot work.

Whole exchanges are under fixtures/http. In the tables a § stands where a problem is expected.
"""

import asyncio
import json
from pathlib import Path

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from adapters.http import Adapter, HttpSettings
from adapters.http_shape.answer import AnswerShape, at
from adapters.http_shape.answer import Path as AnswerPath
from adapters.http_shape.body import filled, places, values_of
from gateway import domain, paths, registry
from gateway.adapter import Reply
from gateway.config import load_config
from gateway.domain import Finding, Minimum, Modality
from gateway.errors import ConfigError, VendorDrift, VendorRejected
from gateway.mapping import VendorTable
from gateway.service import load_tables
from gateway.taxonomy import Taxonomy
from tests.contract.replay import listening
from tests.gateway import image, response, serving

TAXONOMY = Taxonomy.from_file(paths.TAXONOMY)
OURS = Path(__file__).parents[2] / "fixtures" / "http" / "our-model.yaml"
CANARY = "sk-canary-5ecret"
LOCAL = (
    *("sexual", "hate", "hate/threatening", "harassment", "harassment/threatening", "violence", "self-harm"),
    "profanity",
)


def view(data=b"one", url=None):
    return domain.View(data, "image/jpeg", 8, 8, url)


def picture(*views, url=None):
    return domain.Image("0" * 64, views or (view(),), "image/jpeg", url=url)


def adapter(**written):
    given = {"adapter": "http", "base_url": "http://127.0.0.1:9/", "accepts": ["text", "image"], "table": OURS}
    given |= {"body": {"t": "{text}", "i": "{image_base64}"}, "read": {"scores": "."}}
    return Adapter(HttpSettings.model_validate(given | written))


def asked(of, *parts):
    return list(of.ask(domain.Content(parts)))


# What is put into the body


@pytest.mark.parametrize(
    ("template", "body"),
    [
        (
            {"input": "{text}", "n": 1, "deep": [{"x": None}, True]},
            {"input": "hi", "n": 1, "deep": [{"x": None}, True]},
        ),
        ({"prompt": "Rate «{text}», again: {text}"}, {"prompt": "Rate «hi», again: hi"}),
        ({"t": "{text}", "image": {"data": "{image_base64}"}}, {"t": "hi", "image": {}}),
        (["{text}", "{image_url}", {"u": "{image_url}", "t": "{text}"}], ["hi", {"t": "hi"}]),
        ({"{text}": "{text}", "json": '{"a": "{text}"}'}, {"{text}": "hi", "json": '{"a": "hi"}'}),
        ({"a": "{image_url} of {text}"}, {}),
    ],
)
def test_places_are_filled_and_what_there_is_nothing_for_is_left_out(template, body):
    assert filled(template, {"text": "hi"}) == body


@given(st.text(), st.dictionaries(st.text(), st.text()))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_whatever_a_caller_writes_stays_a_value(text, others):
    template = {**{f"k{key}": value for key, value in others.items() if not places(value)}, "t": ["{text}"], "n": 1}
    body = filled(template, {"text": text, "image_url": "https://example.com"})
    assert body == {**template, "t": [text]}


@pytest.mark.parametrize("text", ["{text}", "{image_url}", '"}, {"admin": true', "${HOME}", "{", "\\u0022"])
def test_a_caller_cannot_open_a_place_or_end_a_string(text):
    [call] = asked(adapter(body={"a": "x {text} y", "b": "{image_url}"}, accepts=["text"]), domain.Text(text))
    assert json.loads(call.body) == {"a": f"x {text} y"}


def test_a_picture_comes_as_bytes_or_address_each_view_in_a_call():
    of = adapter(body={"d": "{image_data_uri}", "m": "{image_media_type}", "u": "{image_url}"}, accepts=["image"])
    calls = asked(of, picture(view(b"one"), view(b"two", "https://here.example/2"), url="https://example.com/a.png"))
    assert [call.json for call in calls] == [
        {"d": "data:image/jpeg;base64,b25l", "m": "image/jpeg", "u": "https://example.com/a.png"},
        {"d": "data:image/jpeg;base64,dHdv", "m": "image/jpeg", "u": "https://here.example/2"},
    ]


def test_views_of_one_address_are_asked_about_once_and_a_picture_without_one_not_at_all():
    of = adapter(body={"u": "{image_url}"}, accepts=["image"])
    assert len(asked(of, picture(view(b"one"), view(b"two"), url="https://example.com/a.png"))) == 1
    with pytest.raises(VendorRejected, match="address only"):
        asked(of, picture())


def test_text_and_picture_go_together_only_where_the_model_takes_both():
    both = domain.Text("hi"), picture()
    with pytest.raises(VendorRejected, match="apart"):
        asked(adapter(), *both)
    of = adapter(together=True)
    assert of.together
    assert [call.json for call in asked(of, *both)] == [{"t": "hi", "i": "b25l"}]


def test_no_bytes_are_encoded_that_no_place_asks_for():
    assert values_of(domain.Content((domain.Text("hi"), picture(url="https://e.x/"))), {"image_url"}) == {
        "image_url": "https://e.x/"
    }


# What is read out of the answer


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".", {"a": [{"b.c": 1, "0": 2}]}),
        ("a.0.0", 2),
        (["a", 0, "b.c"], 1),
        (["a", "0"], {"b.c": 1, "0": 2}),
    ],
)
def test_a_path_leads_through_objects_and_lists(path, found):
    assert at({"a": [{"b.c": 1, "0": 2}]}, TypeAdapter(AnswerPath).validate_python(path)) == found


@pytest.mark.parametrize("path", ["a.1", "a.-1", "b", "a.0.b", "a.x", "c.0", "d.e", "a.9999999999"])
def test_a_path_that_leads_nowhere_is_no_answer(path):
    with pytest.raises((LookupError, TypeError)):
        at({"a": [0], "c": "text", "d": None}, tuple(path.split(".")))


@pytest.mark.parametrize(
    ("shape", "answer", "findings"),
    [
        ({"scores": "."}, {"a": 0.5, "b": 1}, {"a": 0.5, "b": 1}),
        ({"scores": "."}, {}, {}),
        ({"scores": "x", "score": "p.0"}, {"x": {"a": {"p": [0.5]}}}, {"a": 0.5}),
        ({"scores": "0", "name": "label", "score": "score"}, [[{"label": "a", "score": 0.5}]], {"a": 0.5}),
        (
            {"scores": ".", "name": "0", "score": "1"},
            [["a", 0.2], ["b", 0], ["a", 0.9], ["a", 0.1]],
            {"a": 0.9, "b": 0},
        ),
        ({"labels": {"a": "x.y", "b": "z"}}, {"x": {"y": 0.5}, "z": 0.25}, {"a": 0.5, "b": 0.25}),
    ],
)
def test_labels_and_numbers_are_found(shape, answer, findings):
    assert list(AnswerShape.model_validate(shape).findings(answer)) == [Finding(*pair) for pair in findings.items()]


@pytest.mark.parametrize(
    ("shape", "answer"),
    [
        ({"scores": "."}, [0.5]),
        ({"scores": "."}, {"a": None}),
        ({"scores": "."}, {"a": True}),
        ({"scores": "."}, {"a": "0.5"}),
        ({"scores": "."}, {"a": {"score": 0.5}}),
        ({"scores": "x"}, {"a": 0.5}),
        ({"scores": ".", "score": "p"}, {"a": {"q": 0.5}}),
        ({"scores": ".", "name": "n", "score": "s"}, {"n": "a", "s": 0.5}),
        ({"scores": ".", "name": "n", "score": "s"}, [{"n": 7, "s": 0.5}]),
        ({"scores": ".", "name": "n", "score": "s"}, ["a"]),
        ({"labels": {"a": "x"}}, {"b": 0.5}),
    ],
)
def test_another_shape_is_drift_and_never_clean(shape, answer):
    of = adapter(read=shape)

    async def send(address, call):
        return Reply(200, {}, json.dumps(answer).encode())

    with pytest.raises(VendorDrift, match="not of the documented shape"):
        asyncio.run(of.look(domain.Content((domain.Text("hi"),)), send))


SILENT = """
measures: confidence
scale: [0, 100]
silence: below_minimum
labels: {gore: violence/graphic, nude: sexual/nudity}
"""


@pytest.mark.parametrize(
    ("minimum", "signals"),
    [
        (None, {"violence/graphic": (8000, None)}),
        (20, {"violence/graphic": (8000, None), "sexual/nudity": (None, 2000)}),
    ],
)
def test_what_silence_means_is_said_by_the_table_and_from_which_value_on_by_read(tmp_path, minimum, signals):
    file = tmp_path / "silent.yaml"
    file.write_text(SILENT)
    of = adapter(read={"scores": ".", "minimum": minimum})
    words = list(of.read(Reply(200, {}, b'{"gore": 80}')))
    assert words[1:] == ([] if minimum is None else [Minimum(20)])
    look = domain.Look(tuple(words[:1]), minimum=minimum)
    found = VendorTable.from_file(file, TAXONOMY).translate(look, "ours", {Modality.IMAGE: 0})
    assert {signal.category: (signal.score, signal.below) for signal in found} == signals


# Settings

GOOD = """providers:
  ours:
    adapter: http
    base_url: http://127.0.0.1:9/v1
    headers: {Authorization: "Bearer ${KEY}", X-Team: trust}
    accepts: [text]
    body: {input: "{text}"}
    read: {scores: scores}
    table: ./our-model.yaml
routes: {default: {text: {ask: [ours]}}}
"""
WRONG = [
    # what is changed, into what, words
    ("    table: ./our-model.yaml\n", "", "providers.ours.table is missing; only you know what your labels mean"),
    ("./our-model.yaml", "§./gone.yaml", "there is no file"),
    ('{input: "{text}"}', '§{input: "{txt}"}', "{txt} is no place; there are {image_base64}, "),
    ('{input: "{text}"}', '§"{text}"', "providers.ours.body should be a mapping or a list"),
    ("accepts: [text]", "accepts: [text, §sound]", 'should be text or image, but is "sound"'),
    ("{scores: scores}", "§{}", "read takes scores, the path of all of them, or labels"),
    ("{scores: scores}", "§{scores: a, labels: {b: c}}", "one of the two"),
    ("{scores: scores}", "{scores: §a..b}", "a path is results.0.scores or"),
    ("{scores: scores}", "{scores: §[]}", "a path is results.0.scores or"),
    ("{scores: scores}", "§{scores: a, name: b}", "with name there is score"),
    ("{scores: scores}", "§{labels: {a: b}, score: c}", "there is no scores"),
    ("{scores: scores}", "{§scoers: a}", "unknown key \"scoers\" in providers.ours.read; did you mean 'scores'?"),
    ("/v1", "/v1\n    path: §predict", "a path begins with a slash"),
    ("/v1", "/v1\n    method: §GET", "should be POST or PUT"),
    ("{Authorization:", '§{"X Y":', "'X Y' is no name of a header"),
    ("{Authorization:", "§{Host:", "'Host' is a header that the connection writes itself"),
    ('"Bearer ${KEY}"', '§"a\\nb"', "printable ASCII, on one line"),
]


def load(folder, text):
    file = folder / "gateway.yaml"
    file.write_text(text)
    config = load_config(file, {"KEY": CANARY}, registry.settings_for, registry.names())
    return config, load_tables(config, TAXONOMY)


@pytest.mark.parametrize(("old", "new", "words"), WRONG)
def test_settings_that_cannot_work_stop_the_start_where_they_stand(tmp_path, old, new, words):
    (tmp_path / "our-model.yaml").write_text(OURS.read_text())
    written = GOOD.replace(old, new)
    before, marked, _ = written.partition("§")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, written.replace("§", ""))
    assert words in str(caught.value)
    assert CANARY not in str(caught.value)
    line, column = (before.count("\n") + 1, len(before) - before.rfind("\n")) if marked else (3, 5)  # of the provider
    assert f"gateway.yaml:{line}:{column}: " in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"accepts": ["image"], "body": {"a": "{text}"}}, "accepts has image"),
        ({"accepts": ["text"], "body": {"a": "{image_url}"}}, "accepts has text"),
        ({"accepts": ["image"], "body": {"a": "{image_media_type}"}}, "accepts has image"),
        ({"accepts": ["text"], "together": True}, "together needs"),
        ({"accepts": []}, "at least 1"),
    ],
)
def test_a_body_that_shows_nothing_of_what_is_asked_about_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        adapter(**changes)


def test_a_table_of_its_own_counts_for_one_provider_and_keys_are_not_shown(tmp_path):
    (tmp_path / "our-model.yaml").write_text(OURS.read_text())
    (tmp_path / "other.yaml").write_text(OURS.read_text().replace("adult: sexual", "adult: sexual/nudity"))
    second = GOOD.split("  ours:")[1].split("routes")[0].replace("our-model", "other")
    config, tables = load(tmp_path, GOOD.replace("routes:", f"  theirs:{second}routes:"))
    assert tables["ours"].covers(Modality.TEXT) == {"sexual", "violence", "hate"}
    assert tables["theirs"].covers(Modality.TEXT) == {"sexual/nudity", "violence", "hate"}
    public = config.public()["providers"]["ours"]
    assert public["headers"] == {"Authorization": "***", "X-Team": "***"}
    assert CANARY not in f"{config!r}{public}"
    assert list(config.providers["ours"].secrets()) == [CANARY]


def test_any_provider_may_have_a_table_of_its_own(tmp_path):
    (tmp_path / "words.yaml").write_text(
        (paths.VENDORS / "local_text.yaml").read_text().replace("toxicity: toxicity", "")
    )
    written = (
        "providers: {mine: {adapter: local_text, table: ./words.yaml}}\nroutes: {default: {text: {ask: [mine]}}}\n"
    )
    _, tables = load(tmp_path, written)
    said = domain.Look(tuple(Finding(label, 0.5) for label in (*LOCAL, "toxicity")))
    slugs = {signal.label: signal.category for signal in tables["mine"].translate(said, "mine", {Modality.TEXT: 0})}
    assert slugs["toxicity"] == "unmapped/words/toxicity"
    assert slugs["hate"] == "hate"


# In the gateway


async def test_an_endpoint_of_somebodys_own_is_asked_and_its_key_kept(tmp_path):
    (tmp_path / "our-model.yaml").write_text(OURS.read_text())

    async def says(heard, writer):
        scores = {"adult": 0.01, "violence": 0.97 if "kill" in json.dumps(heard.json) else 0.01, "hate": 0.0}
        writer.write(response({"model": f"m {heard.headers['authorization']}", "out": [scores], "quackery": 1}))

    async with listening(says) as endpoint:
        config = f"""
providers:
  ours:
    adapter: http
    base_url: {endpoint.url}
    path: /predict
    headers: {{Authorization: "Bearer ${{KEY}}"}}
    accepts: [text, image]
    body: {{inputs: [{{text: "{{text}}", image: "{{image_base64}}"}}]}}
    read: {{scores: out.0, model: model}}
    table: ./our-model.yaml
routes: {{default: {{text: {{ask: [ours]}}, image: {{ask: [ours], deadline: 20s}}}}}}
"""
        async with serving(config, tmp_path, KEY=CANARY) as url, aiohttp.ClientSession(url) as client:
            body = {"text": "I will kill", "images": [{"data": image()}]}
            async with client.post("/v1/moderate", json=body) as answered:
                answer = await answered.json()
    assert (answer["action"], answer["max_category"]) == ("block", "violence")
    assert {call.path for call in endpoint.heard} == {"/predict"}
    assert {tuple(call.json["inputs"][0]) for call in endpoint.heard} == {("text",), ("image",)}
    assert answer["providers"][0]["model"] == "m Bearer ***"
    assert CANARY not in json.dumps(answer)
