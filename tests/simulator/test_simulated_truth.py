"""What is true of a content, and how each vendor's words for it are found."""

import re
from pathlib import Path

import pytest

from adapters.simulator.faults import Fault
from adapters.simulator.images import NotAPicture, look
from adapters.simulator.openai import Simulated
from adapters.simulator.script import ScriptFile, read, simulated, understand
from adapters.simulator.spoiling import INSTEAD
from adapters.simulator.truth import BY_COLOUR, Bad, Oracle
from adapters.simulator.words import Words
from gateway import registry
from gateway.adapter import LocalAdapter
from gateway.domain import Modality
from gateway.errors import ConfigError
from gateway.yamlfile import loads
from tests.simulating import PAGE, digest, photo

TEXT, IMAGE = Modality.TEXT, Modality.IMAGE


@pytest.fixture(scope="module")
def oracle():
    return Oracle(simulated(), {}, ["example.com"])


def test_every_vendor_behind_http_is_simulated():
    here = {name for name in registry.names() if issubclass(registry.adapter_class(name), LocalAdapter)}
    of_the_operators_own = {"http"}
    assert set(simulated()) == set(registry.names()) - here - of_the_operators_own


@pytest.mark.parametrize(
    "text, scores, own",
    [
        ("nothing in it", {}, {}),
        ("a [[violence=0.93]] b", {"violence": 0.93}, {}),
        ("[[hate=0.4, sexual = 0.7]] [[spam=1]]", {"hate": 0.4, "sexual": 0.7, "spam": 1.0}, {}),
        ("[[rekognition:Drugs & Tobacco=88]]", {}, {"rekognition": {"Drugs & Tobacco": 88.0}}),
        ("a wiki [[link]] is no marker", {}, {}),
        ("[[label/bicycle=0.5]]", {"label/bicycle": 0.5}, {}),
    ],
)
def test_markers(oracle, text, scores, own):
    truth = oracle.of_text(text)
    assert (truth.scores, truth.own) == (scores, own)


@pytest.mark.parametrize(
    "text, words",
    [
        ("[[violense=0.9]]", "did you mean 'violence'?"),
        ("[[violence=high]]", "a marker is"),
        ("[[violence=1.01]]", "a score is 0 to 1"),
        ("[[violence=nan]]", "a score is 0 to 1"),
        ("[[rekogniton:Weapons=88]]", "did you mean 'rekognition'?"),
    ],
)
def test_a_marker_nobody_understands_is_never_read_as_nothing(oracle, text, words):
    with pytest.raises(Bad) as bad:
        oracle.of_text(text)
    assert words in str(bad.value)


@pytest.mark.parametrize("colour", BY_COLOUR)
@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_colours(oracle, colour, kind):
    assert oracle.of_picture(look(photo(colour, kind))).scores == BY_COLOUR[colour]


@pytest.mark.parametrize("colour", ["white", "olive", "grey", "pink", "brown"])
def test_other_colours_say_nothing(oracle, colour):
    assert oracle.of_picture(look(photo(colour))).scores == {}


def test_a_picture_the_script_knows_is_what_it_says_whatever_its_colour():
    known = Oracle([], {digest(photo("red")): {"hate": 0.5}}, [])
    assert known.of_picture(look(photo("red"))).scores == {"hate": 0.5}


def test_colours_can_be_turned_off():
    assert Oracle([], {}, [], colours=False).of_picture(look(photo("red"))).scores == {}


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n" + b"0" * 50, b"<svg/>"])
def test_what_is_no_picture(data):
    with pytest.raises(NotAPicture):
        look(data)


def test_a_picture_that_only_says_it_is_huge_has_that_size_and_is_not_decoded(oracle):
    header = bytes.fromhex(
        "89504e470d0a1a0a0000000d494844520000ea600000ea60080600000080d275420000000c49444154789c6360a03d00000064000186643c35"
        "0000000049454e44ae426082"
    )
    picture = look(header)
    assert (picture.width, picture.height, picture.colour) == (60_000, 60_000, None)


CHOSEN = [
    # vendor, what it sees, category, the labels that are raised
    ("openai", TEXT, "violence/graphic", {"violence/graphic", "violence"}),
    ("openai", TEXT, "violence/threat", {"violence"}),  # no finer word
    ("openai", IMAGE, "hate", set()),  # it does not see that in images
    ("openai", IMAGE, "sexual/minors", {"sexual"}),
    ("openai", IMAGE, "sexual/swimwear_underwear", set()),  # a bikini is no pornography
    ("openai", IMAGE, "weapons", set()),
    ("azure_content_safety", TEXT, "harassment", {"Hate"}),  # which it counts under that
    ("azure_content_safety", TEXT, "sexual/minors", {"Sexual"}),
    ("rekognition", IMAGE, "hate/symbols/nazi", {"Nazi Party", "Hate Symbols"}),
    ("rekognition", IMAGE, "hate", {"Hate Symbols"}),
    ("pixicular", IMAGE, "sexual", {"Nudity"}),  # its first finer word
    ("google_vision", IMAGE, "sexual/nudity", {"adult"}),
    ("sieve", IMAGE, "hate/symbols", {"hate_symbols"}),
    ("sieve", TEXT, "violence/threat", {"threat", "violence"}),
]


@pytest.mark.parametrize("vendor, seen, category, labels", CHOSEN, ids=[f"{row[0]}-{row[2]}" for row in CHOSEN])
def test_a_category_in_a_vendors_words(oracle, vendor, seen, category, labels):
    truth = oracle.of_text(f"[[{category}=0.9]]")
    assert set(Words(vendor, oracle).named(truth, seen)) == labels


def test_a_score_on_a_vendors_scale(oracle):
    truth = oracle.of_text("x")
    assert Words("rekognition", oracle).on_scale(0.88, truth) == 88
    assert [Words("azure_content_safety", oracle).on_scale(score, truth) for score in (0, 0.3, 0.5, 0.9, 1)] == [
        0,
        2,
        3,
        6,
        7,
    ]
    assert Words("openai", oracle).on_scale(0.5, truth.shifted(0.7)) == 1


@pytest.mark.parametrize(
    "script, words",
    [
        ("faults: [{vendor: opnai, error: throttled}]", "did you mean 'openai'?"),
        ("faults: [{vendor: openai, error: throtled}]", "did you mean 'throttled'?"),
        ("faults: [{vendor: openai, error: ServerBusy}]", "openai has no error 'ServerBusy'"),
        ("faults: [{vendor: openai}]", "it does nothing"),
        ("faults: [{instead: htm}]", "instead is one of"),
        ("faults: [{remove: [results]}]", "JSON pointer"),
        ("faults: [{latency: {lognormal: {p50: 2s, p99: 1s}}}]", "p99 is above p50"),
        ("faults: [{status: 302}]", "400 to 599"),
        ('faults: [{headers: {"a b": c}}]', "should be of the form"),
        ("faults: [{latency: 5}]", "a duration is a number above 0 with its unit"),
        ("vendors: {azure: {keys: [a]}}", "there is no vendor 'azure' here"),
        ("vendors: {openai: {keyz: [a]}}", "did you mean 'keys'?"),
        ("vendors: {openai: {limit: fast}}", "a rate is"),
        ("images: {abc: {violense: 0.9}}", "did you mean 'violence'?"),
        ("imagez: {}", "did you mean 'images'?"),
    ],
)
def test_a_script_that_is_wrong_is_told_where(script, words):
    with pytest.raises(ConfigError) as wrong:
        understand(loads(script, file="script.yaml", env=None))
    assert words in str(wrong.value)
    assert str(wrong.value).startswith("script.yaml:1:")


def test_a_script_that_is_not_there():
    with pytest.raises(ConfigError, match=r"no-such-script\.yaml: cannot be read"):
        read(Path("no-such-script.yaml"))


def test_the_script_that_the_page_shows_is_one():
    [shown] = re.findall(r"```yaml\n(seed: .*?)```", PAGE.read_text(), re.S)
    script = understand(loads(shown, file="simulator.md", env=None))
    assert (script.seed, len(script.faults)) == (7, 5)


def test_all_that_a_script_may_say_is_on_the_page():
    said = PAGE.read_text()
    errors = Simulated.kinds
    words = {*Fault.model_fields, *ScriptFile.model_fields, *INSTEAD, *errors} - {"since", "put"}
    assert [word for word in sorted(words) if f"`{word}`" not in said and f"{word}:" not in said] == []
    assert [colour for colour in BY_COLOUR if f"| {colour} `#" not in said] == []
