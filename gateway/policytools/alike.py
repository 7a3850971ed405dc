"""What readers take for something else: ids that read like other reasons, and two overlays for the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gateway.policy.reading import Checked
from gateway.policytools.warning import warning
from gateway.yamlfile import Problem

_REASONS = ("thresholds.", "rules.", "coverage.", "combine.", "exempt.")  # how their names begin


def alike(checked: Checked) -> Iterator[Problem]:
    """A warning for each, at the id or the match of the second."""
    yield from _ids(checked)
    yield from _twice(checked)


def _ids(checked: Checked) -> Iterator[Problem]:
    """Ids of rules that read like the names reasons have."""
    for place, row in enumerate(checked.said.rules):
        if row.id.startswith(_REASONS):
            detail = f"the id '{row.id}' reads like the name of another reason: this rule's is rules.{row.id}"
            hint = f"call it without '{row.id.split('.')[0]}.', like {row.id.split('.', 1)[1].replace('.', '-')}"
            yield warning(checked, ("rules", place, "id"), detail, hint, "like_a_reason")


def _twice(checked: Checked) -> Iterator[Problem]:
    """Overlays for the very same as an earlier one."""
    first: dict[Any, int] = {}
    for place, overlay in enumerate(checked.said.overlays):
        match = overlay.match
        whom = tuple(None if each is None else frozenset(each) for each in (match.surface, match.country, match.tenant))
        if first.setdefault(whom, place) < place:
            line, column = checked.document.at(("overlays", first[whom]))
            detail = f"this overlay is for the same as the one at {line}:{column}"
            hint = "make one of the two: where both set something, the later one counts"
            yield warning(checked, ("overlays", place, "match"), detail, hint, "same_match", key=True)
