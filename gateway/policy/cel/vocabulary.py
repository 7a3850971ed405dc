"""What an expression may speak of: the categories, the policy's lists, and the fields of a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from gateway.policy.cel.shapes import TEXTS, Declared, Kind, Many, Record
from gateway.taxonomy import Taxonomy

LABELS, HASHES, OCR, CONTEXT, USER = "labels", "hashes", "ocr", "context", "user"
Path = tuple[str, str]  # root and field; the field of labels and hashes is ""

OCR_FIELDS: Mapping[str, Declared] = {
    "terms": Declared(TEXTS),
    "has_phone": Declared(Kind.BOOL),
    "has_email": Declared(Kind.BOOL),
    "has_url": Declared(Kind.BOOL),
}


@dataclass(frozen=True)
class Vocabulary:
    """What is known when expressions are checked.

    `context` and `user` are the declared fields. Where none is declared any may be used, and each is of the kind of
    what it is first compared with: `learnt`. `providers`, `label_names` and `hash_lists` are all there are, None where
    any may come. `lists` holds the values of each.
    """

    taxonomy: Taxonomy
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    context: Mapping[str, Declared] = field(default_factory=dict)
    user: Mapping[str, Declared] = field(default_factory=dict)
    ocr: Mapping[str, Declared] = field(default_factory=lambda: OCR_FIELDS)
    providers: frozenset[str] | None = None
    label_names: frozenset[str] | None = None
    hash_lists: frozenset[str] | None = None
    learnt: Mapping[Path, Declared] = field(default_factory=dict)

    def fields(self, root: str) -> Mapping[str, Declared]:
        """The known fields of context, user or ocr."""
        learnt = {name: said for (where, name), said in self.learnt.items() if where == root}
        return {**self._declared[root], **learnt}

    def known(self, root: str, name: str) -> Declared | None:
        """What is known of a field; None where nothing is."""
        return self.learnt.get((root, name)) or self._declared[root].get(name)

    def allows_more(self, root: str) -> bool:
        """Whether undeclared fields may be used there."""
        return root != OCR and not self._declared[root]

    @property
    def _declared(self) -> Mapping[str, Mapping[str, Declared]]:
        return {CONTEXT: self.context, USER: self.user, OCR: self.ocr}

    @cached_property
    def streams(self) -> Mapping[str, Declared]:
        """The lists of records a request brings."""
        label = Record(
            "label",
            {
                "name": Declared(Kind.TEXT, self.label_names),
                "confidence": Declared(Kind.SCORE),
                "provider": Declared(Kind.TEXT, self.providers),
            },
        )
        hit = Record("hash", {"list": Declared(Kind.TEXT, self.hash_lists)})
        return {LABELS: Declared(Many(label)), HASHES: Declared(Many(hit))}

    def knowing(self, learnt: Mapping[Path, Declared]) -> Vocabulary:
        """The same with what one expression showed of undeclared fields, for the next of the same policy."""
        return replace(self, learnt={**self.learnt, **learnt}) if learnt else self
