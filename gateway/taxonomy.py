"""Our categories, from config/taxonomy.yaml: what they mean, how they nest, what law calls them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from gateway.domain import Modality
from gateway.suggest import did_you_mean
from gateway.yamlfile import load


class Kind(StrEnum):
    """What a category is to a policy."""

    HARM = "harm"
    SENSITIVE = "sensitive"
    REGULATED = "regulated"
    ESCALATE = "escalate"
    CONTEXT = "context"


class Dsa(BaseModel):
    """The statement of reasons a category leads to in the EU transparency database."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    category: str
    keywords: tuple[str, ...] = ()


class Category(BaseModel):
    """One node. `dsa` is None where no statement of reasons arises from this category alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: Kind
    modality: frozenset[Modality]
    means: str
    dsa: Dsa | None = None


class TaxonomyFile(BaseModel):
    """The shape of taxonomy.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    version: str
    open: tuple[str, ...]
    categories: dict[str, Category]


@dataclass(frozen=True)
class Taxonomy:
    """The categories by slug. Slugs under an open root (`label/knife`) exist without being listed."""

    version: str
    open_roots: frozenset[str]
    categories: Mapping[str, Category]

    @classmethod
    def from_file(cls, path: Path) -> Taxonomy:
        """Read a taxonomy; ConfigError with its place where a category lacks its parent."""
        document = load(path, env=None)
        read = document.parse(TaxonomyFile)
        for slug in read.categories:
            missing = [parent for parent in lineage(slug) if parent not in read.categories]
            if missing:
                raise document.error(("categories", slug), f"category '{slug}' has no parent '{missing[0]}'", key=True)
        for place, root in enumerate(read.open):
            if root not in read.categories:
                raise document.error(("open", place), f"'{root}' is not one of the categories")
        return cls(read.version, frozenset(read.open), read.categories)

    def knows(self, slug: str) -> bool:
        """Whether a policy or a mapping may speak of this category."""
        return slug in self.categories or slug.split("/", 1)[0] in self.open_roots

    def category(self, slug: str) -> Category:
        """The node, or for an open slug its root."""
        return self.categories.get(slug) or self.categories[slug.split("/", 1)[0]]

    def suggest(self, slug: str) -> str:
        """`did you mean '…'?` for a slug that is not known, or nothing."""
        return did_you_mean(slug, self.categories)


@lru_cache(4096)  # bounded: open slugs hold words of vendors
def kin(slug: str) -> tuple[str, ...]:
    """A slug and its ancestors, nearest first: `hate/symbols/nazi`, `hate/symbols`, `hate`."""
    parts = slug.split("/")
    return tuple("/".join(parts[:depth]) for depth in range(len(parts), 0, -1))


def lineage(slug: str) -> tuple[str, ...]:
    """Its ancestors alone."""
    return kin(slug)[1:]


def roll_up(scores: Mapping[str, int]) -> dict[str, int]:
    """Scores by category with every ancestor at least as high as its highest descendant."""
    rolled = dict(scores)
    for slug, score in scores.items():
        for ancestor in lineage(slug):
            if score > rolled.get(ancestor, -1):
                rolled[ancestor] = score
    return rolled
