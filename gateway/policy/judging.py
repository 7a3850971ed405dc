"""One input under a policy: every threshold, every rule, every gap, and what is lifted of them.

Nothing stops at the first: all that holds is a reason, and what is missing is one too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import itemgetter

from gateway.domain import Action, Reason
from gateway.policy.compile.facts import MISSING as NO_SCORE
from gateway.policy.compile.facts import Facts
from gateway.policy.compile.slots import Highest, kth_highest
from gateway.policy.evidence import facts_of
from gateway.policy.messages import keys_for
from gateway.policy.policy import Bound, Clause, Policy, Rule
from gateway.policy.tally import Heard, Seen, tally

MISSING = "coverage_missing"
NO_ANSWER, TOO_FEW = "coverage_no_answer", "coverage_too_few"
UNKNOWN = "coverage_unknown"
ESCALATE = "escalate"

_ALLOW = Action.ALLOW

Rank = tuple[int, int, int, int, int]  # sorts: strictest, highest priority, largest margin, order of the file, input


by_rank: Callable[[tuple[Rank, Reason]], Rank] = itemgetter(0)


class Judgement:
    """What one input comes to, worked out as it is made.

    `over` are categories over their threshold; `missing` those that too few looked at; `reasons` stand with their
    rank; `hits` and `unknown` are bits of rules. `exempted` reads `<exemption>: <what it lifted>`.
    """

    __slots__ = (
        *("seen", "reasons", "over", "missing", "effects", "exempted", "shadow", "hits", "unknown"),
        *("fact", "_policy", "_index", "_locale"),
    )

    def __init__(self, policy: Policy, heard: Heard, locale: str | None = None):
        self._policy = policy
        self._index = heard.index
        self.fact = heard.fact
        self._locale = locale
        self.seen: Seen = tally(policy, heard)
        self.reasons: list[tuple[Rank, Reason]] = []
        self.over: dict[str, Action] = {}
        self.missing: list[str] = []
        self.effects: list[str] = []
        self.exempted: list[str] = []
        self.shadow: list[str] = []
        self.hits = self.unknown = 0
        self._work()

    @property
    def action(self) -> Action:
        """The strictest of its reasons."""
        return min(self.reasons, key=by_rank)[1].action if self.reasons else _ALLOW

    def _work(self) -> None:
        policy, seen, fact = self._policy, self.seen, self.fact
        lifted = self._rules() if policy.asks else _NOTHING
        if seen.judged:
            self._thresholds(lifted)
        for slug in seen.undecided:
            self._miss(f"combine.{slug}", slug, Action.REVIEW)
        if fact.unseen or len(seen.heard.said) < fact.need:
            self._gaps()
        for slug, least, action in seen.outline.wants:
            if seen.covered(slug) < least:
                self._miss(f"coverage.{slug}", slug, action)

    # thresholds

    def _thresholds(self, lifted: Mapping[str, str]) -> None:
        lines = self._policy.lines
        for slug, (score, category) in self.seen.judged.items():
            rule = lines[slug].rule
            assert rule is not None  # noqa: S101 - a category without a threshold is not judged
            bound = rule.reached(score, lifted)
            if bound is None:
                continue
            self.over[slug] = bound.action
            if rule.category == slug:
                if lines[category].escalates:
                    self.effects.append(ESCALATE)
                self._exceeded(rule, bound, score, category)

    def _exceeded(self, rule: Rule, bound: Bound, score: int, category: str) -> None:
        words = self._words(keys_for(rule.code, category, bound.action, rule.message))
        reason = Reason(rule.code, bound.action, bound.name, words, category, score, bound.least, self._index)
        self._add(reason, 0, score - bound.least, rule.order)

    # gaps

    def _gaps(self) -> None:
        fact, answered = self.fact, self.seen.heard.said
        if len(answered) < fact.need:
            code = TOO_FEW if answered else NO_ANSWER
            self._gap(code, "coverage.need", Action.REVIEW)
            statuses = {answer.failure.http for answer in fact.answers if answer.failure and answer.failure.http}
            for status in sorted(statuses - {200}):
                self._gap(f"api_error_{status}", "coverage.need", Action.REVIEW)
        if fact.unseen:
            self._gap("coverage_unseen_frames", "coverage.frames", Action.REVIEW)

    def _miss(self, rule: str, slug: str, action: Action) -> None:
        self.missing.append(slug)
        self._gap(MISSING, rule, action, slug)

    def _gap(self, code: str, rule: str, action: Action, category: str | None = None) -> None:
        """A gap is told as a check to come, not as a fault of the content."""
        own = self._policy.lines[category].rule if category else None
        reason = Reason(code, action, rule, self._words((code, "coverage")), category, input=self._index)
        self._add(reason, 0, 0, own.order if own else -1)

    # rules

    def _rules(self) -> Mapping[str, str]:
        """Ask all of them. Gives what is lifted, and by which exemption."""
        policy = self._policy
        facts = facts_of(policy, self.seen, policy.needs.names)
        hits, unknown = policy.program.ask(facts)
        if not hits and not unknown:
            return _NOTHING
        lifted: dict[str, str] = {}
        for exemption in policy.exemptions:
            if hits >> exemption.bit & 1:
                lifted.update(dict.fromkeys(exemption.names, exemption.id))
        self.hits, self.unknown = hits, unknown = hits & policy.live, unknown & policy.live
        for clause in policy.clauses:
            if (hits | unknown) >> clause.bit & 1:
                self._heed(clause, facts, lifted, true=bool(hits >> clause.bit & 1))
        if lifted:
            self._note_lifted(lifted)
        return lifted

    def _heed(self, clause: Clause, facts: Facts, lifted: Mapping[str, str], *, true: bool) -> None:
        """A rule that is true, or unknown: that is not taken for false."""
        if clause.shadow:
            self.shadow += [clause.id] if true else []
        elif not true and clause.if_unknown is None:
            return
        elif clause.name in lifted and not clause.hard:
            self.exempted.append(f"{lifted[clause.name]}: {clause.name}")
        elif true:
            self._hit(clause, facts)
        else:
            self._unsure(clause, clause.if_unknown or Action.REVIEW)

    def _hit(self, clause: Clause, facts: Facts) -> None:
        category, score, bound = cause(clause, facts)
        words = self._words(keys_for(clause.code, category, clause.action, clause.message))
        margin = score - bound if score is not None and bound is not None else 0
        reason = Reason(clause.code, clause.action, clause.name, words, category, score, bound, self._index)
        self._add(reason, clause.priority, margin, clause.order)
        self.effects += clause.effects
        if any(self._policy.lines[slug].escalates for slug, _, _ in clause.compared):
            self.effects.append(ESCALATE)

    def _unsure(self, clause: Clause, action: Action) -> None:
        reason = Reason(UNKNOWN, action, clause.name, self._words((UNKNOWN, "coverage")), input=self._index)
        self._add(reason, clause.priority, 0, clause.order)

    def _note_lifted(self, lifted: Mapping[str, str]) -> None:
        """Which thresholds would have counted, were they not lifted."""
        rules = self._policy.rules
        for slug in self.seen.judged.keys() & rules.keys():
            for least, _, name in rules[slug].bounds:
                if name in lifted and self.seen.judged[slug][0] >= least:
                    self.exempted.append(f"{lifted[name]}: {name}")

    # what is said

    def _words(self, keys: tuple[str, ...]) -> str:
        return self._policy.messages.say(keys, self._locale, self.fact.modality)

    def _add(self, reason: Reason, priority: int, margin: int, order: int) -> None:
        rank = (-reason.action.strictness, -priority, -margin, order, self._index)
        self.reasons.append((rank, reason))


_NOTHING: Mapping[str, str] = {}


def cause(clause: Clause, facts: Facts) -> tuple[str | None, int | None, int | None]:
    """The comparison by which a rule holds, if by one: category, score and threshold of the largest margin."""
    best: tuple[int, str, int, int] | None = None
    for category, bound, least in clause.compared:
        slot = Highest(category, least, False)
        score = kth_highest(slot, facts) if least else facts.scores.get(category, NO_SCORE)
        if score >= bound and (best is None or score - bound > best[0]):
            best = (score - bound, category, score, bound)
    return best[1:] if best else (None, None, None)
