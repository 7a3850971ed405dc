"""What is told of an expression that cannot be used, and where: cel_mistakes.txt is the whole list."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.paths import TAXONOMY
from gateway.policy.cel import ExpressionError, Vocabulary, check, parse
from gateway.policy.cel.mistake import Mistake
from gateway.policy.cel.parser import MAX_DEPTH
from gateway.policy.cel.places import located
from gateway.policy.cel.shapes import TEXTS, Declared, Kind
from gateway.policy.compile.python import Program
from gateway.taxonomy import Taxonomy
from gateway.yamlfile.document import loads

VOCABULARY = Vocabulary(
    Taxonomy.from_file(TAXONOMY),
    lists={"prohibited": ("weapon/handgun",), "banned_goods": ("a",)},
    context={
        "audience": Declared(Kind.TEXT, frozenset({"minors", "adults"})),
        "country": Declared(Kind.TEXT),
        "age": Declared(Kind.INT),
        "trust": Declared(Kind.DOUBLE),
        "verified": Declared(Kind.BOOL),
        "tags": Declared(TEXTS),
    },
    providers=frozenset({"acme", "beta"}),
    hash_lists=frozenset({"ncmec", "iwf"}),
)


def told(text: str, vocabulary: Vocabulary = VOCABULARY) -> tuple[Mistake, ...]:
    with pytest.raises(ExpressionError) as error:
        check(parse(text), vocabulary)
    return error.value.mistakes


def listed() -> list[tuple[str, list[str]]]:
    """Marked expression and messages of each case."""
    _, *paragraphs = (Path(__file__).parent / "cel_mistakes.txt").read_text(encoding="utf-8").strip().split("\n\n")
    cases = [(paragraph, paragraph.partition("\n→ ")) for paragraph in paragraphs]
    return [(text, messages.split("\n→ ")) for _, (text, _, messages) in cases]


@pytest.mark.parametrize("marked, messages", listed(), ids=lambda part: part if isinstance(part, str) else "")
def test_what_is_told_and_where(marked, messages):
    pieces = marked.split("§")
    places = [len("".join(pieces[: number + 1])) for number in range(len(pieces) - 1)]
    found = told("".join(pieces))
    assert [(mistake.at, str(mistake)) for mistake in found] == list(zip(places, messages, strict=True))


def test_the_list_is_long():
    assert len(listed()) > 150


def test_it_is_printed_with_its_line_and_a_caret():
    text = 'ocr.has_url\n\t&& scores["hatte"] > 0.5'
    with pytest.raises(ExpressionError) as error:
        check(parse(text), VOCABULARY)
    assert str(error.value).split("\n") == [
        "2:12: unknown category 'hatte'; did you mean 'hate'?",
        ' |  && scores["hatte"] > 0.5',
        " |            ^",
    ]
    assert (error.value.position, error.value.message) == (23, "unknown category 'hatte'")
    assert error.value.hint == "did you mean 'hate'?"


@pytest.mark.parametrize(
    "yaml, line, column",
    [
        ('when: scores["hatte"] >= 0.5\n', 1, 14),
        ('when: "scores[\\"hatte\\"] >= 0.5"\n', 1, 16),
        ("when: 'scores[''hatte''] >= 0.5'\n", 1, 15),
        ('# ä\nwhen: |\n    ocr.has_url\n    && scores["hatte"] >= 0.5\n', 4, 15),
        ('when: |-2\n    ocr.has_url\n    && scores["hatte"] >= 0.5\n', 3, 15),
        ('when: >-\n  ocr.has_url\n  && scores["hatte"] >= 0.5\n', 3, 13),
        ('when: ocr.has_url\n  && scores["hatte"] >= 0.5\n', 2, 13),
        ('when: "ocr.has_url \\\n  && scores[\\"hatte\\"] >= 0.5"\n', 2, 14),
        ('when: "\\x6fcr.has_url && scores[\\"hatte\\"] >= 0.5"\n', 1, 7),
    ],
)
def test_a_mistake_is_told_where_it_stands_in_its_file(yaml, line, column):
    """However the expression is written there. After an escape by number it is the beginning of the expression."""
    document = loads(yaml, file="p.yaml")
    at = document.at(("when",))
    with pytest.raises(ExpressionError) as error:
        check(parse(document.data["when"]), VOCABULARY)
    problem = located(error.value, file="p.yaml", source=yaml, line=at[0], column=at[1])
    assert (problem.line, problem.column, problem.code) == (line, column, "unknown_name")
    assert str(problem) == f"p.yaml:{line}:{column}: unknown category 'hatte'; did you mean 'hate'?"


def test_a_decimal_comma_is_told_where_it_stands_in_its_file():
    yaml = "rules:\n  - when: |\n      ocr.has_url\n      && scores['hate'] >= 0,7\n"
    document = loads(yaml, file="p.yaml")
    with pytest.raises(ExpressionError) as error:
        parse(document.data["rules"][0]["when"])
    line, column = document.at(("rules", 0, "when"))
    problem = located(error.value, file="p.yaml", source=yaml, line=line, column=column)
    assert str(problem) == "p.yaml:4:28: '0,7': numbers are written with a point; write 0.7"


@pytest.mark.parametrize("text", ["context.age in [0,7]", "(context.age in [(0),7,9])", "[[1,2].exists(n, n > 1)]"])
def test_a_comma_between_the_numbers_of_a_list_is_none(text):
    parse(text)


def test_all_mistakes_of_an_expression_are_problems_of_its_file():
    yaml = 'when: scores["hatte"] > 0.5 &&\n      scores["spm"] > 0.5\n'
    with pytest.raises(ExpressionError) as error:
        check(parse(loads(yaml, file="p.yaml").data["when"]), VOCABULARY)
    found = located(error.value, file="p.yaml", source=yaml, line=1, column=7).problems
    assert [(each.line, each.column) for each in found] == [(1, 14), (2, 14)]


def test_how_large_an_expression_may_be():
    deep = MAX_DEPTH - 1
    check(parse("(" * deep + "true" + ")" * deep), VOCABULARY)
    assert "nested more than 50 deep" in told("(" * 3_000 + "true" + ")" * 3_000)[0].message
    assert "nested more than 50 deep" in told("!" * 5_000 + "true")[0].message
    long = "||".join(f'scores["hate"]>0.{n}' for n in range(101, 351))
    check(parse(long), VOCABULARY)
    [mistake] = told(f"{long}||ocr.has_url||ocr.has_phone||ocr.has_email")
    assert (mistake.at, "has more than 500 parts" in mistake.message) == (0, True)
    assert "longer than 8,000 characters" in told("true " * 1_601)[0].message


def test_a_macro_over_a_long_list_is_not_counted_out_without_end():
    words = tuple(f"w{n}" for n in range(2_000))
    vocabulary = Vocabulary(VOCABULARY.taxonomy, lists={"words": words})
    check(parse("context.x in lists.words"), vocabulary)
    [mistake] = told("lists.words.exists(a, lists.words.exists(b, a == b && context.x == a))", vocabulary)
    assert "has more than 500 parts" in mistake.message


PIECES = [
    *(
        'scores["hate"]',
        ">= 0.7",
        "&&",
        "||",
        "!",
        "(",
        ")",
        "[",
        "]",
        "labels",
        ".exists(l,",
        "l.name",
        "== ",
        '"x"',
        "in",
    ),
    *(
        "context.country",
        ",",
        ".",
        "votes(",
        "coverage(",
        "1",
        "-",
        "0.5",
        "'",
        '"',
        "true",
        "?",
        ":",
        "{",
        "}",
        "lists.none",
    ),
    *(
        "ocr.terms",
        "ocr.has_url",
        "=>",
        "and",
        "not",
        "\n",
        "// ",
        "\\",
        "ä",
        "\0",
        "[1, 2]",
        ".all(x, x > 1)",
        ".startsWith(",
    ),
]


@given(st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join) | st.text(max_size=20))
def test_whatever_is_written_is_a_rule_or_a_mistake_in_it(text):
    try:
        condition = check(parse(text), VOCABULARY).root
    except ExpressionError as error:
        assert all(0 <= mistake.at <= len(text) and mistake.message for mistake in error.mistakes)
        assert str(error)
    else:
        Program([condition])
