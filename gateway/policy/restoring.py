"""A version that was in force once, made again of what was kept of it: to explain what it decided."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from gateway.errors import ConfigError
from gateway.policy.making import make
from gateway.policy.messages import Messages
from gateway.policy.policy import Policy
from gateway.policy.reading import examine
from gateway.taxonomy import Taxonomy
from gateway.yamlfile import loads


def restored(file: str, source: str, lists: Mapping[str, str], taxonomy: Taxonomy, messages: Messages) -> Policy:
    """The policy of this text, with these lists beside it. ConfigError where the taxonomy has moved on from it."""
    with TemporaryDirectory(prefix="modgate-policy-") as folder:
        home = Path(folder).resolve()
        for path, words in lists.items():
            place = (home / path).resolve()
            if not place.is_relative_to(home):
                raise ConfigError(f"its list {path} stood at an address of its own", file=file)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(words, encoding="utf-8")
        checked = examine(loads(source, file=file), home / file, taxonomy)
        return make(checked, home / file, taxonomy, messages)
