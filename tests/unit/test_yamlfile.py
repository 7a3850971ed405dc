"""The one YAML reader: what it takes, and where it says that something is wrong.

In the tables a § stands at every place where a problem is expected; it is taken out before the text is read.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.errors import ConfigError
from gateway.suggest import did_you_mean
from gateway.yamlfile import MAX_BYTES, Document, Problem, Problems, load, loads, together

CANARY = "sk-canary-5ecret"


def marked(text: str) -> tuple[str, list[tuple[int, int]]]:
    """The text without its §, and the line and column of each."""
    pieces = text.split("§")
    before = ("".join(pieces[:count]) for count in range(1, len(pieces)))
    return "".join(pieces), [(upto.count("\n") + 1, len(upto) - upto.rfind("\n")) for upto in before]


def problems_of(text: str, env: dict[str, str] | None = None) -> tuple[Problem, ...]:
    with pytest.raises(Problem) as caught:
        loads(text, file="x.yaml", env=env)
    return caught.value.problems


BROKEN = [
    # text, code, words of the first message
    ("a: b§: c", "bad_yaml", "mapping values are not allowed; quotes"),
    ("a:\n§\t- x", "bad_yaml", "cannot start any token; indent by spaces"),
    ("a: §@x", "bad_yaml", "cannot start any token; quotes"),
    ("a: §[1, 2,\nb: 3\n", "bad_yaml", "did not find expected ',' or ']'"),
    ("a: [1, 2\nb§: 3\n", "bad_yaml", "while parsing a flow sequence that begins at 1:4"),
    ("a: §'x\nb: 1\nc: 2", "bad_yaml", "unexpected end of stream; the quote that begins here is not closed"),
    ('a:\n  when: "scores["§hate"] >= 0.5"', "bad_yaml", "ends at its second quote"),
    ('{when: "a" §in lists.x}', "bad_yaml", "ends at its second quote"),
    ("a: {key: $§{X}}", "bad_yaml", 'a value like "${NAME}" needs quotes'),
    ("a: [$§{X}]", "bad_yaml", 'a value like "${NAME}" needs quotes'),
    ("a: 1\n b§: 2", "bad_yaml", "check the indentation"),
    ("a: 1\n§b\nc: 2", "bad_yaml", "could not find expected ':'; a key needs a colon"),
    ('a: "§\\q"', "bad_yaml", "unknown escape"),
    ("a: §\x07", "bad_yaml", "U+0007"),
    ("a: é\nb: '§\x00'", "bad_yaml", "U+0000"),
    ("a: 1\n§---\nb: 1", "bad_yaml", "second document"),
    ("§", "wrong_type", "empty"),
    ("§# only a comment\n", "wrong_type", "empty"),
    ("§- 1\n- 2", "wrong_type", "should be a mapping"),
    ("§just text", "wrong_type", "should be a mapping"),
    ("a: 1\nb: 2\n§a: 3", "duplicate_key", "'a' is already at 1:1"),
    ("x:\n  - {k: 1, §k: 2}", "duplicate_key", "'k' is already at 2:6"),
    ("a: 1\n§'a': 3", "duplicate_key", "'a'"),
    ("a: §!foo 1", "bad_yaml", "tags; quotes"),
    ("a: §!!str 1", "bad_yaml", "tags"),
    ("a: §!!python/object/apply:os.system [ls]", "bad_yaml", "tags"),
    ("a: §!flagged", "bad_yaml", "tags"),
    ("§!!str a: 1", "bad_yaml", "key takes no tag"),
    ("§&x a: 1", "bad_yaml", "no anchor"),
    ("a: §*nowhere", "bad_yaml", "*nowhere names nothing above it"),
    ("a: &x [1, §*x]", "bad_yaml", "*x stands inside what it names"),
    ("b: &b {c: 1}\na:\n  §<<: *b\n  d: 2", "bad_yaml", "merges (<<)"),
    ("§[a]: 1", "bad_yaml", "key should be text"),
    ("§{a: 1}: 1", "bad_yaml", "key should be text"),
]


@pytest.mark.parametrize(("text", "code", "words"), BROKEN, ids=range(len(BROKEN)))
def test_broken_files_are_refused_where_they_break(text: str, code: str, words: str):
    plain, places = marked(text)
    problems = problems_of(plain)
    assert [(each.line, each.column) for each in problems] == places
    assert problems[0].code == code
    for word in words.split("; "):
        assert word in str(problems[0])
    assert str(problems[0]).startswith(f"x.yaml:{problems[0].line}:{problems[0].column}: ")


def test_everything_that_can_be_read_past_comes_at_once_in_file_order():
    text, places = marked("a: 1\n§a: 2\nb: §${NOPE}\nc: §!t x\nd: §[1,\ne: 2")
    with pytest.raises(Problems) as caught:
        loads(text, file="x.yaml", env={})
    assert [(each.line, each.column) for each in caught.value.problems] == places
    assert [each.code for each in caught.value.problems] == ["duplicate_key", "unset_variable", "bad_yaml", "bad_yaml"]
    assert str(caught.value).splitlines() == [str(each) for each in caught.value.problems]
    assert (caught.value.line, caught.value.column) == places[0]
    assert isinstance(caught.value, ConfigError)


def test_a_problem_says_the_same_as_json():
    [problem] = problems_of("x: 1\nx: 2")
    assert json.loads(json.dumps(problem.as_dict())) == {
        "file": "x.yaml",
        "line": 2,
        "column": 1,
        "severity": "error",
        "code": "duplicate_key",
        "message": "the key 'x' is already at 1:1",
        "hint": "keep one",
    }


def test_a_message_is_one_line_whatever_the_file_holds():
    [problem] = problems_of('"a\\nb": 1\n"a\\nb": 2')
    assert "\n" not in str(problem)


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? ", "[{a: "])
def test_deep_nesting_is_refused_and_does_not_end_the_process(opening: str):
    [problem] = problems_of("a:\n  " + opening * 100_000)
    assert problem.code == "bad_yaml"


def test_alias_bombs_are_refused():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    [problem] = problems_of("\n".join(lines))
    assert "more than 250000 values, aliases included" in str(problem)


def test_too_many_values_are_refused():
    assert "more than 250000" in str(problems_of("a: [" + "1," * 250_000 + "1]")[0])


def test_files_that_are_no_text_of_ours(tmp_path: Path):
    with pytest.raises(Problem, match=r"gone\.yaml: cannot be read: No such file") as caught:
        load(tmp_path / "gone.yaml", env=None)
    assert (caught.value.code, caught.value.line) == ("bad_file", 0)
    (tmp_path / "social.yaml").write_text("a: 1")
    with pytest.raises(Problem, match=r"No such file or directory; did you mean 'social\.yaml'\?"):
        load(tmp_path / "socail.yaml", env=None)
    with pytest.raises(Problem, match="cannot be read: Is a directory; name the files in it"):
        load(tmp_path, env=None)
    file = tmp_path / "x.yaml"
    file.write_bytes("a: é\nb: ü".encode() + b"\xff\n")
    with pytest.raises(Problem, match=r"x\.yaml:2:5: is not UTF-8 here"):
        load(file, env=None)
    file.write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(Problem, match="larger than 5 MB"):
        load(file, env=None)
    file.write_bytes(b"\xef\xbb\xbfa: 1")
    assert load(file, env=None).data == {"a": 1}


def test_scalars_mean_what_they_look_like():
    text = """
        words: [no, NO, off, yes, on, y, N, 1:30, 2026-11-02, 007, .inf, .nan, 1e999, 1_000, -, "1", 'true', "~"]
        booleans: [true, True, FALSE]
        empty: [null, ~, NULL, Null]
        nothing:
        whole: [0, -3, +4, 0x1F, 0o17]
        broken: [1.5, -.5, 2., 1e3, 6.02E+23]
        folded: >
          a
          b
    """
    data = loads(text, file="x.yaml").data
    assert data["words"] == ["no", "NO", "off", "yes", "on", "y", "N", "1:30", "2026-11-02", "007", ".inf", ".nan",
                             "1e999", "1_000", "-", "1", "true", "~"]  # fmt: skip
    assert data["booleans"] == [True, True, False]
    assert data["empty"] == [None, None, None, None]
    assert data["nothing"] is None
    assert data["whole"] == [0, -3, 4, 31, 15]
    assert data["broken"] == [1.5, -0.5, 2.0, 1000.0, 6.02e23]
    assert data["folded"] == "a b\n"


def test_keys_are_text_as_written():
    assert loads("no: 1\n1: 2\ntrue: 3\n~: 4\n'': 5", file="x").data == {"no": 1, "1": 2, "true": 3, "~": 4, "": 5}


def test_aliases_share_a_value():
    document = loads("some: &some [a, b]\nmore: {x: *some, y: *some}\nn: &n 5\nm: *n", file="x")
    assert document.data["more"] == {"x": ["a", "b"], "y": ["a", "b"]}
    assert document.data["m"] == 5
    assert document.at(("more", "y", 1)) == (1, 17)


def test_places_of_keys_and_values_and_the_nearest_above():
    document = loads("a:\n  b: [x, {c: 'é', d: 1}]\n😀: {e: 2}\nf:\n", file="x.yaml")
    assert document.at(()) == (1, 1)
    assert document.at(("a",)) == (2, 3)
    assert document.at(("a",), key=True) == (1, 1)
    assert document.at(("a", "b", 1, "d")) == (2, 22)
    assert document.at(("a", "b", 1, "d"), key=True) == (2, 19)
    assert document.at(("a", "b", 7, "d")) == (2, 6)
    assert document.at(("a", "zz"), key=True) == (2, 3)
    assert document.at(("a", "b", "zz")) == (2, 6)
    assert document.at(("😀", "e")) == (3, 8)
    assert document.at(("f",)) == (4, 3)
    error = document.error(("a", "b", 0), "is not good", hint="did you mean 'y'?")
    assert str(error) == "x.yaml:2:7: is not good; did you mean 'y'?"
    assert (error.code, error.severity, error.problems) == ("bad_value", "error", (error,))


ENV = {"HOST": "example.org", "PORT": "8080", "EMPTY": "", "ODD": "${HOST} $$ \\1 # no: [comment", "APP_KEY": CANARY}
EXPANDED = [
    ("${HOST}", "example.org"),
    ("'${HOST}'", "example.org"),
    ('"${HOST}:${PORT}/${HOST}"', "example.org:8080/example.org"),
    ("${PORT}", "8080"),
    ("${NOPE:-a default}", "a default"),
    ("${NOPE:-}", ""),
    ("${EMPTY}", ""),
    ("${EMPTY:-filled}", "filled"),
    ("${HOST:-other}", "example.org"),
    ("${NOPE:-http://x:1/}", "http://x:1/"),
    ("$${HOST}", "${HOST}"),
    ("$${", "${"),
    ("$HOST and $ and }", "$HOST and $ and }"),
    ("${ODD}", ENV["ODD"]),
    ("|\n  ${HOST}\n  ${PORT}\n", "example.org\n8080\n"),
    ("1 # ${NOPE}", 1),
]


@pytest.mark.parametrize(("written", "value"), EXPANDED)
def test_variables_are_expanded(written: str, value: Any):
    assert loads(f"a: {written}", file="x", env=ENV).data == {"a": value}


def test_without_an_environment_nothing_is_expanded():
    assert loads("a: ${HOST}\nb: $${X\n${c}: 1", file="x").data == {"a": "${HOST}", "b": "$${X", "${c}": 1}


NOT_EXPANDED = [
    ("a: §${NOPE}", "unset_variable", "the environment variable NOPE is not set; set NOPE"),
    ("a: §${HOTS}", "unset_variable", "HOTS is not set; did you mean 'HOST'?"),
    ("a: §${app_key}", "unset_variable", "did you mean 'APP_KEY'?"),
    ("a: [x, §'${HOST} ${NOPE}']", "unset_variable", "NOPE"),
    ("a: §${HOST", "bad_variable", "$${ is a literal ${"),
    ("a: §${}", "bad_variable", "begins no variable"),
    ("a: §${sk-canary-5ecret}", "bad_variable", "begins no variable"),
    ("a: §${1X}", "bad_variable", "begins no variable"),
    ("a: §${HOST-x}", "bad_variable", "begins no variable"),
    ("a: §${NOPE:-${HOST}}", "bad_variable", "without another variable inside"),
    ("§${HOST}: 1", "bad_variable", "in values, not in keys"),
]


@pytest.mark.parametrize(("text", "code", "words"), NOT_EXPANDED)
def test_variables_that_do_not_expand(text: str, code: str, words: str):
    plain, places = marked(text)
    [problem] = problems_of(plain, ENV)
    assert [(problem.line, problem.column)] == places
    assert problem.code == code
    assert words in str(problem)
    assert CANARY not in str(problem)


def test_did_you_mean_says_nothing_where_nothing_is_near():
    assert did_you_mean("sexual/nudty", ["sexual/nudity", "hate"]) == "did you mean 'sexual/nudity'?"
    assert did_you_mean("HOTS", ["host"]) == "did you mean 'host'?"
    assert did_you_mean("xyz", ["host", "port"]) == ""
    assert did_you_mean("x" * 1_000_000, ["host"]) == ""


def test_together_keeps_one_as_it_is():
    problem = Problem("a", code="bad_value")
    assert together([problem]) is problem


@given(st.one_of(st.binary(), st.text().map(lambda text: text.encode("utf-8", "surrogatepass"))))
@example(b"a: &a [*a]")
@example(b"? ")
@example(b"%YAML 9.9\n---\na: 1")
@example(b"a: \xed\xa0\x80")
def test_any_bytes_load_or_are_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes):
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_bytes(data)
    loads_or_refuses(lambda: load(file, env={"A": "x"}))


PIECES = [*"ab:-[]{},#?>%~1é'\"\t\n\x85\u2028", "  ", ": ", "- ", ", ", "? ", "|\n", "---\n", "...", "<<"]
PIECES += ["&a ", "*a", "!t ", "${A}", "${B}", "$${", "${"]


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
def test_anything_like_yaml_loads_or_is_refused(text: str):
    loads_or_refuses(lambda: loads(text, file="any.yaml", env={"A": "x"}))


def loads_or_refuses(read: Any) -> None:
    try:
        document = read()
    except ConfigError as error:
        assert all("any.yaml" in line for line in str(error).splitlines())
        return
    assert isinstance(document, Document)
    assert isinstance(document.data, dict)


# beyond U+FFFF JSON escapes a character as two halves, which YAML does not know
WORDS = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]))
HELD = st.integers(1 - 2**63, 2**63 - 1)  # what is beyond is text


@given(
    st.recursive(
        st.none() | st.booleans() | HELD | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
        lambda inner: st.lists(inner) | st.dictionaries(WORDS, inner),
        max_leaves=20,
    )
)
def test_json_means_the_same(value: Any):
    read = loads(json.dumps({"value": value}), file="x").data["value"]
    assert read == value
