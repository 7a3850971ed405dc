"""A policy file → what it says, checked: every name known, every expression typed, every list read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.policy.cel import TypedTree, Vocabulary
from gateway.policy.checks import Checks
from gateway.policy.expressions import Expressions
from gateway.policy.schema import PolicyFile
from gateway.policy.wordlists import BadList, file_of, words
from gateway.taxonomy import Taxonomy
from gateway.yamlfile import Document, Problem, first_of, load, together


@dataclass(frozen=True)
class Checked:
    """A file in which nothing is wrong. `conditions` are the trees of rules and exemptions, by their ids.

    `files` are the lists it read: they are part of it.
    """

    document: Document
    said: PolicyFile
    lists: Mapping[str, tuple[str, ...]]
    rules: Mapping[str, TypedTree]
    exemptions: Mapping[str, TypedTree]
    files: tuple[Path, ...]


def read(path: Path, taxonomy: Taxonomy, providers: frozenset[str] | None = None) -> Checked:
    """Read and check one policy file. Raises Problem with everything that is wrong in it.

    `providers` are the names there are; None where any may come.
    """
    return examine(load(path, env=None), path, taxonomy, providers)


def examine(document: Document, path: Path, taxonomy: Taxonomy, providers: frozenset[str] | None = None) -> Checked:
    """The same of a file that is read already."""
    said = document.parse(PolicyFile)
    checks = Checks(document, said, taxonomy, providers)
    problems = first_of(checks.all())
    lists, files = _lists(path, document, said, problems)
    context, wrong_context = checks.declared("context")
    user, wrong_user = checks.declared("user")
    vocabulary = Vocabulary(taxonomy, lists, context, user, providers=providers)
    expressions = Expressions(document, vocabulary)
    rules = {row.id: expressions.tree(("rules", place, "when"), row.when) for place, row in enumerate(said.rules)}
    lifted = {row.id: expressions.tree(("exempt", place, "when"), row.when) for place, row in enumerate(said.exempt)}
    problems += [*wrong_context, *wrong_user, *expressions.problems]
    if problems:
        raise together(problems)
    return Checked(document, said, lists, _whole(rules), _whole(lifted), files)


def _lists(
    path: Path, document: Document, said: PolicyFile, problems: list[Problem]
) -> tuple[dict[str, tuple[str, ...]], tuple[Path, ...]]:
    """The words of each list and the files they came from; one that cannot be read is empty, and a problem."""
    found: dict[str, tuple[str, ...]] = {}
    files = []
    for name, row in said.lists.items():
        try:
            file = file_of(path, row)
            found[name] = words(path, row)
            files += [file] if file else []
        except BadList as bad:
            found[name] = ()
            problems.append(document.error(("lists", name, "file"), bad.message, bad.hint, code="bad_file"))
    return found, tuple(files)


def _whole(trees: Mapping[str, TypedTree | None]) -> dict[str, TypedTree]:
    return {name: tree for name, tree in trees.items() if tree is not None}
