"""What a policy is measured on is what comes: nearly everything is calm, and nothing the policy asks for is missing."""

from __future__ import annotations

import pytest

from gateway.domain import Modality
from gateway.mapping import VendorTable
from gateway.policy.decide import decide
from gateway.policytools.drawn import context, fact, inputs
from gateway.policytools.given import asked
from gateway.yamlfile import loads
from tests.policies.saying import ALLOW, TAXONOMY_READ, policy, rule


@pytest.mark.parametrize(
    "when",
    [
        "ocr.has_phone || ocr.has_email",
        'ocr.terms.exists(t, t == "whatsapp")',
        "user.strikes >= 3",
        'context.audience == "minors"',
        'labels.exists(l, l.name == "gun" && l.confidence >= 0.5)',
        'votes("hate", 0.5) >= 2',
    ],
)
@pytest.mark.parametrize("many", [1, 4])
def test_the_calm_are_allowed_and_the_first_is_not(when, many):
    rules = policy(rule(when), "{spam: {review: 0.5}}", f"{{providers: {['acme', 'beta'][:many]}}}")
    labels = ", ".join(f'"{slug}": {slug}' for slug in asked(rules, Modality.IMAGE))
    said = f"measures: confidence\nscale: [0, 1]\nsilence: drift\nlabels: {{{labels}}}\n"
    translate = VendorTable("vendor", loads(said, file="vendor.yaml"), TAXONOMY_READ).translate
    decisions = [
        decide(rules, [fact(looks, [translate(look, name, {Modality.IMAGE: 0}) for name, look in looks], given)])
        for given in [context(rules)]
        for looks in inputs(rules, many)
    ]
    assert [decision.action is ALLOW for decision in decisions] == [False] + [True] * 15
    assert not any(decision.unknown for decision in decisions)
