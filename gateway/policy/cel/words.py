"""The table of the expression language: every word a rule may use, with what it means.

A *predicate* says something of values and is unknown where one of them is missing. It is one typed function and one
row: the checker takes the kinds of its values from the function's annotations, values that are all written out are
judged by the function itself, each back end prints the row's template, and the reference page prints the row. The
other words are grammar: they have their places in the checker and the back ends, and here what the page says of them.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, get_type_hints

from gateway.policy.cel.shapes import Kind, Plain


class Form(StrEnum):
    """How a word is written."""

    OPERATOR = "operator"
    METHOD = "method"
    MACRO = "macro"
    FUNCTION = "function"
    NAME = "name"


@dataclass(frozen=True)
class Word:
    """A word, what it says in one sentence, and an expression that uses it."""

    name: str
    form: Form
    says: str
    example: str


@dataclass(frozen=True, eq=False, repr=False)
class Predicate(Word):
    """A word said of values. {0} and {1} in the templates are its operands.

    `python` may be asked of a missing operand where that makes it false by itself: `no_score` of -1, `no_value` of
    None. `opposite` is the word that is true where this one is false. `sqlite` is `sql` unless given.
    """

    mean: Callable[..., bool]
    python: str
    polars: Callable[..., Any]
    sql: str
    sqlite: str = ""
    opposite: str = ""
    no_score: bool = False
    no_value: bool = False

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> tuple[Any, ...]:
        return _predicate, (self.name,)

    @property
    def takes(self) -> tuple[Kind, ...]:
        """The kinds of a method's receiver and arguments."""
        hints = get_type_hints(self.mean)
        return tuple(_KINDS[hint] for name, hint in hints.items() if name != "return")


_KINDS = {bool: Kind.BOOL, int: Kind.INT, float: Kind.DOUBLE, str: Kind.TEXT}


def starts_with(text: str, part: str) -> bool:
    return text.startswith(part)


def ends_with(text: str, part: str) -> bool:
    return text.endswith(part)


def contains(text: str, part: str) -> bool:
    return part in text


def within(value: Plain, values: Collection[Plain]) -> bool:
    return value in values


_PREDICATES = (
    Predicate(
        *("==", Form.OPERATOR, "Equal.", 'context.audience == "minors"'),
        *(operator.eq, "{0} == {1}", operator.eq, "{0} = {1}"),
        opposite="!=",
        no_score=True,
        no_value=True,
    ),
    Predicate(
        *("!=", Form.OPERATOR, "Not equal.", 'context.surface != "direct_message"'),
        *(operator.ne, "{0} != {1}", operator.ne, "{0} <> {1}"),
        opposite="==",
    ),
    Predicate(
        *("<", Form.OPERATOR, "Less than.", "user.account_age_days < 7"),
        *(operator.lt, "{0} < {1}", operator.lt, "{0} < {1}"),
        opposite=">=",
    ),
    Predicate(
        *("<=", Form.OPERATOR, "At most.", 'scores["spam"] <= 0.2'),
        *(operator.le, "{0} <= {1}", operator.le, "{0} <= {1}"),
        opposite=">",
    ),
    Predicate(
        *(">", Form.OPERATOR, "More than.", "user.strikes_90d > 3"),
        *(operator.gt, "{0} > {1}", operator.gt, "{0} > {1}"),
        opposite="<=",
        no_score=True,
    ),
    Predicate(
        *(">=", Form.OPERATOR, "At least: a score equal to its threshold is inside.", 'scores["hate"] >= 0.7'),
        *(operator.ge, "{0} >= {1}", operator.ge, "{0} >= {1}"),
        opposite="<",
        no_score=True,
    ),
    Predicate(
        *(
            "in",
            Form.OPERATOR,
            "One of a list that is written out, or of the policy's lists.",
            'context.country in ["DE", "AT"]',
        ),
        *(within, "{0} in {1}", lambda value, values: value.is_in(values), "{0} IN {1}"),
        no_score=True,
        no_value=True,
    ),
    Predicate(
        *("startsWith", Form.METHOD, "Whether a text begins with this one.", 'context.surface.startsWith("chat_")'),
        *(starts_with, "{0}.startswith({1})", lambda text, part: text.str.starts_with(part), "starts_with({0}, {1})"),
        sqlite="substr({0}, 1, length({1})) = {1}",
    ),
    Predicate(
        *("endsWith", Form.METHOD, "Whether a text ends with this one.", 'context.surface.endsWith("_test")'),
        *(ends_with, "{0}.endswith({1})", lambda text, part: text.str.ends_with(part), "ends_with({0}, {1})"),
        sqlite="substr({0}, -length({1})) = {1}",
    ),
    Predicate(
        *("contains", Form.METHOD, "Whether a text has this one in it.", 'context.surface.contains("profile")'),
        *(contains, "{1} in {0}", lambda text, part: text.str.contains(part, literal=True), "contains({0}, {1})"),
        sqlite="instr({0}, {1}) > 0",
    ),
)

_GRAMMAR = (
    Word(
        "&&",
        Form.OPERATOR,
        "Both. False as soon as one is false, even beside an unknown.",
        'scores["hate"] >= 0.7 && ocr.has_url',
    ),
    Word(
        "||",
        Form.OPERATOR,
        "Either. True as soon as one is true, even beside an unknown.",
        "ocr.has_phone || ocr.has_email",
    ),
    Word("!", Form.OPERATOR, "Not. Of an unknown it is unknown.", '!(context.category in ["kitchen", "tools"])'),
    Word(
        *("exists", Form.MACRO, "For some element of the list."),
        "labels.exists(l, l.name in lists.prohibited && l.confidence >= 0.7)",
    ),
    Word(
        *("all", Form.MACRO, "For every element of the list; true of an empty one."),
        'labels.all(l, l.provider == "acme" || l.confidence < 0.5)',
    ),
    Word(
        *("exists_one", Form.MACRO, "For exactly one element; unknown as soon as it is unknown for any."),
        'labels.exists_one(l, l.name == "person/face")',
    ),
    Word(
        *("votes", Form.FUNCTION),
        "How many providers score the category at the threshold or higher, compared with a whole number. Unknown while "
        "providers that did not answer could still decide it.",
        'votes("hate", 0.7) >= 2',
    ),
    Word(
        "coverage",
        Form.FUNCTION,
        "How many providers answered about the category. Never unknown.",
        'coverage("hate") < 2',
    ),
    Word(
        *("scores", Form.NAME),
        "The combined score of a category, compared with 0 to 1 in at most 4 decimals. Unknown where it is missing; "
        '`"hate" in scores` asks for that, and is never unknown.',
        'scores["hate"] >= 0.7 || !("hate" in scores)',
    ),
    Word("lists", Form.NAME, "The policy's own lists of words.", "ocr.terms.exists(t, t in lists.contact_terms)"),
    Word(
        *("labels", Form.NAME),
        "What providers saw in an image: `name`, `confidence` (a score), `provider`. Unknown where nobody looked.",
        'labels.exists(l, l.name == "weapon/knife" && l.confidence >= 0.7)',
    ),
    Word(
        *("hashes", Form.NAME, "The lists of known content it is on: `list`. Unknown where nobody looked."),
        'hashes.exists(h, h.list in ["ncmec", "iwf"])',
    ),
    Word("ocr", Form.NAME, "What was read in an image: `terms`, `has_phone`, `has_email`, `has_url`.", "ocr.has_phone"),
    Word(
        "context",
        Form.NAME,
        "What the caller says of the submission. A field that is missing is unknown.",
        'context.audience == "minors"',
    ),
    Word(
        "user",
        Form.NAME,
        "What the caller says of the author. A field that is missing is unknown.",
        "user.strikes_90d >= 3",
    ),
)

WORDS: tuple[Word, ...] = (*_PREDICATES, *_GRAMMAR)
PREDICATES: Mapping[str, Predicate] = {word.name: word for word in _PREDICATES}


def _predicate(name: str) -> Predicate:
    """In another process the same word."""
    return PREDICATES[name]


METHODS = {name: word for name, word in PREDICATES.items() if word.form is Form.METHOD}
MACROS = frozenset(word.name for word in WORDS if word.form is Form.MACRO)
ROOTS = frozenset(word.name for word in WORDS if word.form is Form.NAME)
FUNCTIONS = frozenset(word.name for word in WORDS if word.form is Form.FUNCTION)
