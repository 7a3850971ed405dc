"""A policy's own tests, tried before it comes into force."""

from __future__ import annotations

from gateway.policy.policy import Policy
from gateway.policy.version import TestsFailed
from gateway.policytools.casefile import tests_of
from gateway.policytools.trial import try_cases

NONE = "none"
_MOST_TOLD = 5


def try_own(policy: Policy) -> str:
    """What the tests beside it came to, like `20 passed`; `none` where there are none.

    That the cases show less of the policy than the file asks for is for `policy test` to refuse: it says nothing of
    what the policy does. Raises TestsFailed with the cases that came out otherwise, and Problem where the file cannot
    be used.
    """
    tests = tests_of(policy.file)
    if not tests.is_file():
        return NONE
    trial = try_cases(policy, tests)
    failed = [outcome for outcome in trial.outcomes if not outcome.ok]
    if not failed:
        return " · ".join([f"{len(trial.outcomes)} passed", *trial.short])
    told = [f"line {each.line}, '{each.case.name}': {'; '.join(each.wrong)}" for each in failed[:_MOST_TOLD]]
    rest = [f"and {len(failed) - _MOST_TOLD} more"] if len(failed) > _MOST_TOLD else []
    detail = f"{policy.file.name} does not do what its tests expect: {' · '.join([*told, *rest])}"
    hint = f"mend the policy or {tests.name}; modgate policy test {tests.name} tries them"
    raise TestsFailed(detail, file=str(tests), hint=hint)
