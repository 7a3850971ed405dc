"""A YAML document read into a model: what does not fit is told in words, at its place, and never shows a secret."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, RootModel, SecretStr, field_validator, model_validator

from gateway.units import Duration
from gateway.yamlfile import Problem, Problems, loads
from tests.unit.test_yamlfile import CANARY, marked


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Inner(Strict):
    host: str
    port: int = Field(default=1, ge=1, le=65_535)
    wait: Duration = 1.0


class Cat(Strict):
    kind: Literal["cat"]
    claws: int = 18


class Dog(Strict):
    kind: Literal["dog"]
    tricks: list[str] = []


class Pets(RootModel[dict[str, Inner]]):
    pass


class Shape(Strict):
    inner: Inner | None = None
    several: dict[str, Inner] = {}
    listed: list[Inner] = []
    pet: Annotated[Cat | Dog, Field(discriminator="kind")] | None = None
    pets: list[Annotated[Cat | Dog, Field(discriminator="kind")]] = []
    kept: Pets | None = None
    name: str = Field(default="x", pattern="^[a-z]+$", min_length=1, max_length=5, alias="label")
    mode: Literal["all", "first"] = "all"
    flag: bool = False
    ratio: float = Field(default=0.5, gt=0, lt=1)
    words: str | list[str] = ""
    pair: tuple[str, int] = ("", 0)
    some: list[int] = Field(default=[1], min_length=1, max_length=3)
    slugs: dict[Annotated[str, Field(pattern="^[a-z]+$")], int] = {}
    api_key: str = ""
    user: SecretStr = SecretStr("")
    odd: int = 1

    @field_validator("odd")
    @classmethod
    def _odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError(f"{value} is even, and an odd number is wanted")
        return value


UNFIT = [
    ("inner: {host: a, §prot: 1}", "unknown_key", "unknown key \"prot\" in inner; did you mean 'port'?"),
    ("inner: {host: a, §zzz: 1}", "unknown_key", "known are host, port, wait"),
    ("§inerr: {}", "unknown_key", "unknown key \"inerr\"; did you mean 'inner'?"),
    ("§labl: a", "unknown_key", "did you mean 'label'?"),
    ("several:\n  one: {host: a}\n  two: {host: b, §hots: 1}", "unknown_key", "in several.two; did you mean 'host'?"),
    ("listed:\n  - {host: a}\n  - {host: b, §wiat: 1}", "unknown_key", "in listed[1]; did you mean 'wait'?"),
    ("pet: {kind: cat, §claw: 1}", "unknown_key", "in pet; did you mean 'claws'?"),
    ("pets:\n  - kind: dog\n    §trick: []", "unknown_key", "in pets[0]; did you mean 'tricks'?"),
    ("kept: {rex: {host: a, §prot: 1}}", "unknown_key", "in kept.rex; did you mean 'port'?"),
    ("§inner: {port: 1}", "missing_key", "'host' is missing in inner"),
    ("several:\n  §two:\n    port: 1", "missing_key", "'host' is missing in several.two"),
    ("listed:\n  - §port: 1", "missing_key", "'host' is missing in listed[0]"),
    ("§pet: {claws: 1}", "missing_key", "'kind' is missing in pet"),
    ("pet: {kind: §act}", "bad_value", "pet.kind should be cat, dog, but is \"act\"; did you mean 'cat'?"),
    ("inner: {host: a, port: §eighty}", "wrong_type", 'inner.port should be a whole number, but is "eighty"'),
    ("inner: {host: a, port: §1.5}", "wrong_type", "should be a whole number, but is 1.5"),
    ("inner: {host: a, port: §[1]}", "wrong_type", "should be a whole number, but is a list"),
    ("inner: {host: a, port: §}", "wrong_type", "should be a whole number, but is empty"),
    ("inner: {host: a, port: §99999}", "bad_value", "inner.port should be at most 65535, but is 99999"),
    ("inner: {host: a, port: §0}", "bad_value", "should be at least 1"),
    ("inner: {host: §12}", "wrong_type", "inner.host should be text, but is 12; put quotes round it"),
    ("inner: {host: §true}", "wrong_type", "should be text, but is true; put quotes round it"),
    ("inner: {host: a, wait: §3}", "bad_value", "inner.wait is 3: a duration is a number above 0 with its unit"),
    ("inner: §text", "wrong_type", 'inner should be a mapping, but is "text"'),
    ("listed: §{host: a}", "wrong_type", "listed should be a list, but is a mapping"),
    ("some: §3", "wrong_type", "some should be a list, but is 3; write it in [ ]"),
    ("some: §[]", "bad_value", "some should be at least 1 long, but is an empty list"),
    ("some: §[1, 2, 3, 4]", "bad_value", "some should be at most 3 long"),
    ("some: [1, §x]", "wrong_type", "some[1] should be a whole number"),
    ("pair: [a, §b]", "wrong_type", "pair[1] should be a whole number"),
    ("label: §ABC", "bad_value", "label should be of the form ^[a-z]+$"),
    ("label: §''", "bad_value", "label should be at least 1 long"),
    ("label: §abcdef", "bad_value", "label should be at most 5 characters long"),
    ("mode: §frist", "bad_value", "mode should be all or first, but is \"frist\"; did you mean 'first'?"),
    ("flag: §maybe", "wrong_type", 'flag should be true or false, but is "maybe"'),
    ("ratio: §half", "wrong_type", "ratio should be a number"),
    ("ratio: §1", "bad_value", "ratio should be below 1"),
    ("ratio: §0", "bad_value", "ratio should be above 0"),
    ("words: §5", "wrong_type", "words should be text or a list, but is 5"),
    ("words: [a, §5]", "wrong_type", "words[1] should be text"),
    ("slugs: {§A1: 1}", "bad_value", 'the key "A1" should be of the form'),
    ("odd: §4", "bad_value", "odd is 4: 4 is even, and an odd number is wanted"),
]


@pytest.mark.parametrize(("text", "code", "words"), UNFIT, ids=range(len(UNFIT)))
def test_what_does_not_fit_a_model_is_told_in_words_at_its_place(text: str, code: str, words: str):
    plain, places = marked(text)
    document = loads(plain, file="x.yaml")
    with pytest.raises(Problem) as caught:
        document.parse(Shape)
    [problem] = caught.value.problems
    assert [(problem.line, problem.column)] == places
    assert problem.code == code
    assert words in str(problem)
    assert caught.value.__context__ is None  # pydantic's error quotes its input


def test_all_problems_of_a_model_come_at_once():
    text, places = marked("inner:\n  §prot: 1\n  host: §5\nmode: §x\n§extra: 1")
    with pytest.raises(Problems) as caught:
        loads(text, file="x.yaml").parse(Shape)
    assert [(each.line, each.column) for each in caught.value.problems] == places


def test_booleans_are_words_only_where_one_is_expected():
    shape = loads("flag: off\nlabel: no", file="x").parse(Shape)
    assert (shape.flag, shape.name) == (False, "no")
    assert loads("flag: yes", file="x").parse(Shape).flag is True


def test_a_part_of_a_document_is_parsed_at_its_own_place():
    document = loads("a:\n  - host: h\n    prot: 1", file="x.yaml")
    with pytest.raises(Problem, match=r"x\.yaml:3:5: unknown key \"prot\" in a\[0\]; did you mean 'port'\?"):
        document.parse(Inner, ("a", 0))


def test_validators_get_the_context():
    class Told(Strict):
        a: str

        @model_validator(mode="after")
        def _refuse(self, info: Any) -> Any:
            raise ValueError(f"heard {info.context['word']}")

    with pytest.raises(Problem, match=r"x\.yaml:1:1: the file: heard this"):
        loads("a: b", file="x.yaml").parse(Told, context={"word": "this"})


SECRETIVE = [
    f"api_key: [{CANARY}]",
    f"api_key: {{{CANARY}: {CANARY}}}",
    "api_key: 987654321",
    f"user: [{CANARY}]",
    "user: 987654321",
    "inner: {host: a, port: '${APP_KEY}'}",
    "inner: {host: a, wait: '${APP_KEY}'}",
    "mode: ${APP_KEY}",
    "odd: ${NUMBER}",
    "label: x${APP_KEY}",
    f"inner: {{host: a, port: 'https://me:{CANARY}@host/'}}",
]


@pytest.mark.parametrize("text", SECRETIVE)
def test_secrets_and_what_variables_hold_are_in_no_message(text: str):
    document = loads(text, file="x.yaml", env={"APP_KEY": CANARY, "NUMBER": "987654322"})
    with pytest.raises(Problem) as caught:
        document.parse(Shape)
    for problem in (caught.value, *caught.value.problems):
        said = f"{problem}{problem!r}{problem.as_dict()}{vars(problem)}{document!r}"
        assert CANARY not in said
        assert "98765432" not in said


def test_a_variable_is_shown_as_it_is_written():
    document = loads("mode: ${MODE:-all}\nodd: ${NUMBER}", file="x.yaml", env={"MODE": CANARY, "NUMBER": "4444"})
    with pytest.raises(Problem) as caught:
        document.parse(Shape)
    first, second = (str(each) for each in caught.value.problems)
    assert first == 'x.yaml:1:7: mode should be all or first, but is "${MODE:-all}"'
    assert 'odd is "${NUMBER}": ${NUMBER} is even' in second
