"""A YAML file read, and its values as models."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from gateway.suggest import did_you_mean
from gateway.yamlfile.nodes import Node, grow, plain
from gateway.yamlfile.problem import MOST_TOLD, Problem, first_of, together
from gateway.yamlfile.tree import Tree, Where
from gateway.yamlfile.wording import explain

MAX_BYTES = 5_000_000

M = TypeVar("M", bound=BaseModel)


class Document(Tree):
    """A file that is YAML and whose root is a mapping. `data` is plain Python, secrets in clear; `text` as it came."""

    def __init__(self, root: Node, file: str, text: str):
        super().__init__(root, file)
        self.data: dict[str, Any] = plain(root)
        self.text = text

    def parse(self, model: type[M], path: Where = (), context: Mapping[str, Any] | None = None) -> M:
        """What stands at this path, as this model. Raises Problem with everything that does not fit.

        `context` is handed to the model's validators. KeyError or IndexError where the path leads nowhere.
        """
        value: Any = self.data
        for part in path:
            value = value[part]
        try:
            return model.model_validate(value, context=None if context is None else dict(context))
        except ValidationError as invalid:
            found = invalid.errors(include_url=False)
        # raised out here, so that no traceback carries pydantic's error, which quotes what it read
        raise together(first_of(explain(self, path, model, found[: MOST_TOLD + 1])))


def load(path: Path, *, env: Mapping[str, str] | None) -> Document:
    """Read a file of at most 5 MB, UTF-8. Raises Problem. Variables are expanded only where `env` is given."""
    file = str(path)
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise Problem(
            f"cannot be read: {error.strerror}", code="bad_file", file=file, hint=_instead(path, error)
        ) from None
    if len(data) > MAX_BYTES:
        raise Problem("is larger than 5 MB", code="bad_file", file=file)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, before = data.count(b"\n", 0, error.start) + 1, data[: error.start].rpartition(b"\n")[2]
        column = len(before.decode("utf-8-sig")) + 1
        detail = "is not UTF-8 here"
        raise Problem(detail, code="bad_file", file=file, line=line, column=column, hint="save it as UTF-8") from None
    return loads(text, file=file, env=env)


def _instead(path: Path, error: OSError) -> str:
    """What may have been meant by what is no file."""
    if isinstance(error, IsADirectoryError):
        return "name the files in it"
    if isinstance(error, FileNotFoundError) and path.parent.is_dir():
        return did_you_mean(path.name, (each.name for each in path.parent.glob(f"*{path.suffix}")))
    return ""


def loads(text: str, *, file: str, env: Mapping[str, str] | None = None) -> Document:
    """The same for a text that is at hand; `file` is what messages call it."""
    return Document(grow(text, file, env), file, text)
