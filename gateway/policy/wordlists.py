"""A policy's own lists of words: written in it, or in a file beside it, one a line.

A file is inside the policy's folder or below it: a policy somebody hands in may read nothing else of the machine.
"""

from __future__ import annotations

from pathlib import Path

from gateway.policy.schema import WordList

MAX_BYTES = 5_000_000


class BadList(Exception):
    """A list that cannot be used: what is wrong, and what would be right."""

    def __init__(self, message: str, hint: str = ""):
        super().__init__(message)
        self.message = message
        self.hint = hint


def file_of(policy: Path, said: WordList) -> Path | None:
    """Where its words stand, if in a file. Raises BadList where that is outside the policy's folder."""
    if said.file is None:
        return None
    folder = policy.parent.resolve()
    file = (folder / said.file).resolve()
    if not file.is_relative_to(folder):
        raise BadList(f"the list '{said.file}' is outside the policy's folder", "put it beside the policy, or below")
    return file


def words(policy: Path, said: WordList) -> tuple[str, ...]:
    """Its words, each once, sorted: the order in the file means nothing. Raises BadList."""
    file = file_of(policy, said)
    listed = said.values if file is None else _lines(file)
    return tuple(sorted(set(listed or ())))


def _lines(file: Path) -> list[str]:
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
        text = data.decode("utf-8-sig")
    except OSError as error:
        hint = "its path is relative to the policy's file"
        raise BadList(f"the list cannot be read: {error.strerror}", hint) from None
    except UnicodeDecodeError as error:
        raise BadList(f"the list is not UTF-8 at byte {error.start}", "save it as UTF-8") from None
    if len(data) > MAX_BYTES:
        raise BadList("the list is larger than 5 MB")
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]
