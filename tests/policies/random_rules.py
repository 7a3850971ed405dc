"""Rules and rows at random, for asking several back ends the same.

A rule comes as two texts: ours, and the same for the oracle, where only the reachable form of votes is spelt out:
`votes(c, t) >= k` is `reachable(c, t).all(n, n >= k) || (reachable(c, t).exists(n, n >= k) && <an error>)`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from random import Random
from typing import Any

from gateway.paths import TAXONOMY
from gateway.policy.cel import Vocabulary
from gateway.policy.cel.shapes import TEXTS, Declared, Kind
from gateway.policy.cel.vocabulary import OCR_FIELDS
from gateway.policy.compile.columns import Columns
from gateway.policy.compile.facts import Facts, HashHit, Label
from gateway.taxonomy import Taxonomy

WORDS = (
    *("DE", "AT", "de", "", "ä", "it's", 'a"b', "straße", "😀", "a b\n", "\\", "z" * 30),
    *("weapon/knife", "person/face", "kitchen", "watches", "minors", "curated_art"),
)
CATEGORIES = ("hate", "spam", "sexual/nudity", "violence/graphic", "weapons")
COLUMNS = Columns(
    {
        "hate": ("acme", "beta", "cone"),
        "spam": ("acme",),
        "sexual/nudity": ("beta", "cone"),
        "violence/graphic": ("acme", "cone"),
    }
)
LISTS = {
    "few": ("DE", "weapon/knife"),
    "many": (*WORDS, *(f"word {n}" for n in range(40))),
    "none": (),
    "prohibited": ("weapon/knife", "weapon/handgun"),
    "banned_goods": ("weapon/handgun", "weapon/ammunition", "drug/pills", "animal/ivory", "weapon/knife", "straße"),
    "contact_terms": ("it's", "de"),
}
SCORES = (0, 1, 500, 2999, 3000, 3001, 5000, 7000, 9000, 9999, 10_000)
INTS = (-(2**63), -7, 0, 1, 2, 3, 7, 2**53 + 1, 2**63 - 1)
DOUBLES = (-1.5, 0.0, 0.1, 1.0, 2.5, 3.0, 7.0, 1e17)
FLAGS = ("has_phone", "has_email", "has_url")
UNREACHABLE = 'scores["?"] > 0.0'

VOCABULARY = Vocabulary(
    Taxonomy.from_file(TAXONOMY),
    lists=LISTS,
    context={
        "country": Declared(Kind.TEXT),
        "age": Declared(Kind.INT),
        "trust": Declared(Kind.DOUBLE),
        "minor": Declared(Kind.BOOL),
        "tags": Declared(TEXTS),
        "category": Declared(Kind.TEXT),
        "audience": Declared(Kind.TEXT),
        "surface": Declared(Kind.TEXT),
        "language": Declared(Kind.TEXT, default="DE"),
        "tries": Declared(Kind.INT, default=3),
    },
    user={
        "home": Declared(Kind.TEXT),
        "strikes": Declared(Kind.INT),
        "karma": Declared(Kind.DOUBLE),
        "strikes_90d": Declared(Kind.DOUBLE),  # as it is learnt where nothing is declared
        "account_age_days": Declared(Kind.DOUBLE),
    },
)


@dataclass(frozen=True)
class Rule:
    """One rule in both texts."""

    ours: str
    oracle: str

    def __str__(self) -> str:
        return self.ours


@dataclass
class Row:
    """One submission, by column. None is null."""

    columns: dict[str, Any] = field(default_factory=dict)

    @property
    def facts(self) -> Facts:
        """The same as rules are asked about it."""
        voices = {c: [v for v in map(self.columns.get, COLUMNS.voices(c)) if v is not None] for c in CATEGORIES}
        labels = self.columns["labels"]
        hashes = self.columns["hashes"]
        return Facts(
            scores=self.beginning("s.", CATEGORIES),
            voices=voices,
            silent={c: len(COLUMNS.voices(c)) - len(voices[c]) for c in CATEGORIES},
            labels=labels
            and tuple(
                Label(e["name"], -1 if e["confidence"] is None else e["confidence"], e["provider"]) for e in labels
            ),
            hashes=hashes and tuple(HashHit(e["list"]) for e in hashes),
            ocr=self.beginning("ocr.", OCR_FIELDS),
            context=self.beginning("context.", VOCABULARY.context),
            user=self.beginning("user.", VOCABULARY.user),
        )

    def beginning(self, prefix: str, names: Any) -> dict[str, Any]:
        """The columns of this beginning which are not null."""
        return {name: self.columns[prefix + name] for name in names if self.columns[prefix + name] is not None}


def row(random: Random) -> Row:
    """One submission, a quarter of it missing."""
    columns: dict[str, Any] = {}

    def put(name: str, value: Any) -> None:
        columns[name] = None if random.random() < 0.25 else value

    for category in CATEGORIES:
        put(f"s.{category}", random.choice(SCORES))
        for voice in COLUMNS.voices(category):
            put(voice, random.choice(SCORES))
    for name, declared in {**_prefixed("context", VOCABULARY.context), **_prefixed("user", VOCABULARY.user)}.items():
        put(name, _value(random, declared))
    for name in FLAGS:
        put(f"ocr.{name}", random.random() < 0.5)
    put("ocr.terms", random.choices(WORDS, k=random.randrange(4)))
    put("labels", [_label(random) for _ in range(random.randrange(4))])
    put("hashes", [{"list": random.choice(("ncmec", "iwf", "own"))} for _ in range(random.randrange(3))])
    return Row(columns)


def _prefixed(root: str, fields: Any) -> dict[str, Declared]:
    return {f"{root}.{name}": declared for name, declared in fields.items()}


def _value(random: Random, declared: Declared) -> Any:
    if declared.shape == TEXTS:
        return random.choices(WORDS, k=random.randrange(4))
    choices = {Kind.TEXT: WORDS, Kind.INT: INTS, Kind.DOUBLE: DOUBLES, Kind.BOOL: (True, False)}
    return random.choice(choices[declared.shape])  # type: ignore[index,arg-type]


def _label(random: Random) -> dict[str, Any]:
    confidence = None if random.random() < 0.2 else random.choice(SCORES)
    return {"name": random.choice(WORDS), "confidence": confidence, "provider": random.choice(("acme", "beta"))}


class Rules:
    """A source of rules."""

    def __init__(self, random: Random):
        self._random = random

    def rule(self, depth: int = 3) -> Rule:
        """One rule of at most so many levels."""
        pick = self._random.random()
        if depth == 0 or pick < 0.2:
            return self._random.choice(self._atoms)(self)
        if pick < 0.35:
            part = self.rule(depth - 1)
            return Rule(f"!({part.ours})", f"!({part.oracle})")
        word = self._random.choices(("&&", "||", "==", "!="), (6, 6, 1, 1))[0]
        one, other = self.rule(depth - 1), self.rule(depth - 1)
        return Rule(f"({one.ours}) {word} ({other.ours})", f"({one.oracle}) {word} ({other.oracle})")

    # values

    def _op(self) -> str:
        return self._random.choice(("==", "!=", "<", "<=", ">", ">="))

    def _category(self) -> str:
        return quoted(self._random.choice(CATEGORIES))

    def _threshold(self) -> str:
        score = self._random.choice(SCORES)
        return (
            f"{score / 10_000:.4f}".rstrip("0").rstrip(".") if self._random.random() < 0.7 else f"{score / 10_000:.4f}"
        )

    def _word(self) -> str:
        return quoted(self._random.choice(WORDS))

    def _number(self) -> str:
        return repr(self._random.choice((*INTS[1:7], *DOUBLES, 0.5, -0.5, 2.9, 1e300)))

    def _text_field(self) -> str:
        return self._random.choice(("context.country", "context.language", "user.home"))

    def _same(self, text: str) -> Rule:
        return Rule(text, text)

    def _compared(self, one: str, other: str) -> Rule:
        one, other = self._random.choice(((one, other), (other, one)))
        return self._same(f"{one} {self._op()} {other}")

    # atoms

    def _score(self) -> Rule:
        return self._compared(f"scores[{self._category()}]", self._threshold())

    def _two_scores(self) -> Rule:
        return self._compared(f"scores[{self._category()}]", f"scores[{self._category()}]")

    def _score_in(self) -> Rule:
        return self._same(f"scores[{self._category()}] in [{self._threshold()}, {self._threshold()}]")

    def _present(self) -> Rule:
        return self._same(f"{self._category()} in scores")

    def _votes(self) -> Rule:
        category, threshold, least, op = self._category(), self._threshold(), self._random.randrange(-1, 5), self._op()
        flip = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
        ours = f"votes({category}, {threshold}) {op} {least}"
        if self._random.random() < 0.3:
            ours = f"{least} {flip.get(op, op)} votes({category}, {threshold})"
        return Rule(ours, spelt_out(category, threshold, op, str(least)))

    def _coverage(self) -> Rule:
        return self._compared(
            f"coverage({self._category()})", self._random.choice(("0", "1", "2", "3", "1.5", "-1", "1e30"))
        )

    def _text(self) -> Rule:
        return self._compared(self._text_field(), self._word())

    def _two_texts(self) -> Rule:
        return self._compared(self._text_field(), self._text_field())

    def _text_in(self) -> Rule:
        return self._same(f"{self._text_field()} in {self._list()}")

    def _list(self) -> str:
        words = [self._word() for _ in range(self._random.randrange(8))]
        return self._random.choice((f"[{', '.join(words)}]", "lists.few", "lists.many", "lists.none"))

    def _method(self) -> Rule:
        return self._same(self._method_of(self._text_field()))

    def _method_of(self, text: str) -> str:
        method = self._random.choice(("startsWith", "endsWith", "contains"))
        part = quoted(
            self._random.choice(
                ("D", "E", "s", "'", '"', "ä", "ße", "😀", "\n", "\\", "knife", "weapon/knife", "z" * 31)
            )
        )
        return f"{text}.{method}({part})"

    def _numeric(self) -> Rule:
        field = self._random.choice(("context.age", "context.trust", "context.tries", "user.strikes", "user.karma"))
        return self._compared(field, self._number())

    def _two_numbers(self) -> Rule:
        pair = self._random.choice(
            (("context.age", "user.strikes"), ("context.trust", "user.karma"), ("context.age", "context.tries"))
        )
        return self._compared(*pair)

    def _number_in(self) -> Rule:
        field = self._random.choice(("context.age", "context.trust", "context.tries"))
        return self._same(f"{field} in [{', '.join(self._number() for _ in range(3))}]")

    def _bool(self) -> Rule:
        return self._same(
            self._random.choice(
                ("context.minor", "ocr.has_phone", "ocr.has_url", "context.minor == true", "ocr.has_url != false")
            )
        )

    def _in_tags(self) -> Rule:
        return self._same(f"{self._word()} in {self._random.choice(('context.tags', 'ocr.terms'))}")

    def _constant(self) -> Rule:
        return self._same(
            self._random.choice(
                ("true", "false", "1 < 2", "1.0 == 1", '"a" > "b"', "3 in [1, 2]", "[1, 2] == [1, 2]", "2 >= 2.5")
            )
        )

    def _categories(self) -> Rule:
        kinds = ", ".join(self._category() for _ in range(self._random.randrange(1, 4)))
        return self._same(f"[{kinds}].{self._macro()}(c, scores[c] {self._op()} {self._threshold()})")

    def _listed(self) -> Rule:
        return self._same(f"lists.few.{self._macro()}(w, {self._text_field()} {self._op()} w)")

    def _macro(self) -> str:
        return self._random.choice(("exists", "all", "exists_one"))

    def _labels(self) -> Rule:
        body = self._body(self._of_label, self._random.randrange(3))
        return self._macro_over("labels", body)

    def _terms(self) -> Rule:
        body = self._body(self._of_text, self._random.randrange(2))
        return self._macro_over(self._random.choice(("ocr.terms", "context.tags")), body)

    def _hashes(self) -> Rule:
        return self._macro_over("hashes", self._same('l.list in ["ncmec", "iwf"]'))

    def _macro_over(self, over: str, body: Rule) -> Rule:
        macro = self._macro()
        return Rule(f"{over}.{macro}(l, {body.ours})", f"{over}.{macro}(l, {body.oracle})")

    def _body(self, atom: Any, depth: int) -> Rule:
        """A condition on an element; at most one in it is not about the element."""
        parts = [self._same(atom()) for _ in range(depth + 1)]
        if self._random.random() < 0.3:
            parts.append(self._random.choice(self._plain)(self))
        self._random.shuffle(parts)
        whole = parts[0]
        for part in parts[1:]:
            word = self._random.choice(("&&", "||"))
            whole = Rule(f"({whole.ours}) {word} ({part.ours})", f"({whole.oracle}) {word} ({part.oracle})")
        if self._random.random() < 0.2:
            whole = Rule(f"!({whole.ours})", f"!({whole.oracle})")
        return whole

    def _of_label(self) -> str:
        kind = self._random.randrange(6)
        if kind == 0:
            return f"l.confidence {self._op()} {self._threshold()}"
        if kind == 1:
            return f"l.name in {self._list()}"
        if kind == 2:
            return self._method_of("l.name")
        if kind == 3:
            return f'l.provider {self._op()} "acme"'
        if kind == 4:
            return self._random.choice(("l.name < l.provider", "true", "false", "l.confidence >= l.confidence"))
        return f"{self._threshold()} {self._op()} l.confidence"

    def _of_text(self) -> str:
        return self._random.choice((f"l {self._op()} {self._word()}", f"l in {self._list()}", self._method_of("l")))

    _plain = (_score, _votes, _text, _numeric, _bool, _present, _terms)
    _atoms = (
        *(_score, _score, _two_scores, _score_in, _present, _votes, _votes, _coverage, _text, _two_texts, _text_in),
        *(_method, _numeric, _numeric, _two_numbers, _number_in, _bool, _in_tags, _constant, _categories, _listed),
        *(_labels, _labels, _labels, _terms, _hashes),
    )


def spelt_out(category: str, threshold: str, op: str, least: str) -> str:
    """A comparison of votes for the oracle."""
    counts, test = f"reachable({category}, {threshold})", f"(n, n {op} {least})"
    return f"({counts}.all{test} || ({counts}.exists{test} && {UNREACHABLE}))"


def as_written(text: str) -> Rule:
    """A rule that somebody wrote."""
    pattern = r'votes\(("[^"]+"), ([0-9.]+)\) (>=|<=|==|!=|>|<) ([0-9]+)'
    return Rule(text, re.sub(pattern, lambda match: spelt_out(*match.groups()), text))


def quoted(text: str) -> str:
    """A text as CEL writes it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'
