"""What stands in a policy and does nothing: lists, messages, exemptions, overlays, halts, and hard rules that watch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from gateway.domain import Action
from gateway.policy.cel.lexer import tokens
from gateway.policy.judging import MISSING, NO_ANSWER, TOO_FEW, UNKNOWN
from gateway.policy.messages import Messages
from gateway.policy.overlays import laid
from gateway.policy.policy import Policy
from gateway.policy.reading import Checked
from gateway.policy.schema import Overlay, RulePatch, RuleRow, Threshold
from gateway.policytools.warning import warning
from gateway.yamlfile import Problem
from gateway.yamlfile.tree import Where

# Words that gaps are told by, beside the codes of thresholds and rules
_GAPS = ("coverage", MISSING, UNKNOWN, TOO_FEW, NO_ANSWER)
_STRICT = (Action.REVIEW, Action.BLOCK)
_ALWAYS = (*_GAPS, "coverage_unseen_frames", "default", "review", "block")


def idle(checked: Checked, policy: Policy, shipped: Messages) -> Iterator[Problem]:
    """A warning for each such entry, at its key."""
    yield from _lists(checked)
    yield from _messages(checked, policy, shipped)
    yield from _exemptions(checked, policy)
    yield from _overlays(checked)
    yield from _hard(checked)
    if checked.said.rollout.halt and not checked.said.rollout.canary:
        detail, hint = "there is no canary to halt", "say its canary_percent, below 100, or take halt: away"
        yield warning(checked, ("rollout", "halt"), detail, hint, "halts_nothing", key=True)


# ---- lists


def _lists(checked: Checked) -> Iterator[Problem]:
    said = checked.said
    asked = [*(row.when for row in said.rules), *(row.when for row in said.exempt)] if said.lists else []
    used = {name for when in asked for name in _named(when)}
    for name in said.lists:
        if name not in used:
            hint = f"ask for it as lists.{name}, or take it away"
            yield warning(checked, ("lists", name), f"no rule uses the list '{name}'", hint, "unused_list", key=True)


def _named(when: str) -> Iterator[str]:
    """The policy's lists an expression names."""
    written = [token.written for token in tokens(when)]
    yield from (
        name
        for root, dot, name in zip(written, written[1:], written[2:], strict=False)
        if (root, dot) == ("lists", ".")
    )


# ---- messages


def _messages(checked: Checked, policy: Policy, shipped: Messages) -> Iterator[Problem]:
    said = checked.said
    rows: list[Threshold | RuleRow | RulePatch] = [*said.thresholds.values(), *said.rules]
    for overlay in said.overlays:
        rows += [*overlay.thresholds.values(), *overlay.rules.values()]
    used = {word for row in rows for word in (row.message, row.reason) if word}
    used |= {rule.code for rule in policy.rules.values()} | {clause.code for clause in policy.clauses}
    used |= {*_ALWAYS, *shipped.texts, *policy.taxonomy.categories}
    used |= {slug.replace("/", "_") for overlay in said.overlays for slug in overlay.thresholds}
    places: list[tuple[Where, Iterable[str]]] = [(("messages",), said.messages)]
    places += [(("overlays", place, "messages"), each.messages) for place, each in enumerate(said.overlays)]
    for where, names in places:
        for name in names:
            if name not in used and not policy.taxonomy.knows(name):
                hint = "messages are called as a reason, a category, or what a threshold or rule names as its message"
                yield warning(
                    checked, (*where, name), f"nothing says the message '{name}'", hint, "unused_message", key=True
                )


# ---- exemptions


def _exemptions(checked: Checked, policy: Policy) -> Iterator[Problem]:
    """Names of which neither the policy nor an overlay makes anything that could be lifted."""
    shadows = {clause.name for clause in policy.clauses if clause.shadow}
    bounds = {bound.name for rule in policy.rules.values() for bound in rule.bounds}
    for overlay in checked.said.overlays:
        bounds |= {f"thresholds.{slug}.{name}" for slug, row in overlay.thresholds.items() for name in _set(row)}
    for place, exemption in enumerate(policy.exemptions):
        for number, name in enumerate(exemption.names):
            if name in shadows:
                detail = f"'{name}' only watches: there is nothing to lift"
            elif name.startswith("thresholds.") and name not in bounds:
                detail = f"'{name}' is never, so there is nothing to lift"
            else:
                continue
            where: Where = ("exempt", place, "from", number)
            yield warning(checked, where, detail, "take the name away", "lifts_nothing")


def _set(row: Threshold) -> Iterator[str]:
    """The actions a threshold has a number for."""
    yield from (action.value for action in _STRICT if getattr(row, action.value) is not None)


# ---- rules


def _hard(checked: Checked) -> Iterator[Problem]:
    """Rules that nothing is to lift, and that decide nothing."""
    hard = [(place, row) for place, row in enumerate(checked.said.rules) if row.hard]
    for place, row in hard:
        if row.mode == "shadow":
            detail = f"the rule '{row.id}' is hard and only watches: it decides nothing"
            hint = "take hard: away while it is tried, or mode: when it counts"
            yield warning(checked, ("rules", place, "hard"), detail, hint, "hard_watches", key=True)
    if hard and checked.said.rollout.shadow:
        names = ", ".join(f"'{row.id}'" for _, row in hard)
        detail = f"a shadow decides nothing, its hard rules neither: {names}"
        hint = "bring them into the version that is in force"
        yield warning(checked, ("rollout", "shadow"), detail, hint, "hard_watches", key=True)


# ---- overlays


def _overlays(checked: Checked) -> Iterator[Problem]:
    """Those that set only what is so anyway, and what no other overlay sets otherwise."""
    said = checked.said
    touched = [set(_touches(overlay)) for overlay in said.overlays]
    often = Counter(name for names in touched for name in names)
    for place, overlay in enumerate(said.overlays):
        if any(often[name] > 1 for name in touched[place]):
            continue
        whole, disabled = laid(said, [overlay])
        if whole == said and not disabled:
            detail = "this overlay changes nothing: what it says is so anyway"
            hint = "let it say something else, or take it away"
            yield warning(checked, ("overlays", place), detail, hint, "same_overlay")


def _touches(overlay: Overlay) -> Iterator[tuple[str, ...]]:
    yield from (("thresholds", slug) for slug in overlay.thresholds)
    yield from (("coverage", slug) for slug in overlay.coverage)
    yield from (("rules", name) for name in (*overlay.rules, *overlay.disable))
    yield from (("messages", code) for code in overlay.messages)
