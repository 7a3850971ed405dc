"""What the user is told: in their language, about the kind of problem, never a score, a threshold or a vendor."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from string import Template

from pydantic import RootModel

from gateway.domain import Action, Modality
from gateway.taxonomy import kin
from gateway.yamlfile import load

_MOST_TOLD = 2000  # texts kept ready


class MessageFile(RootModel[dict[str, dict[str, str]]]):
    """The shape of config/messages.yaml: key → language → text. `$thing` stands for the kind of content."""


class Messages:
    """Texts by key and language; what a policy does not say, the shipped ones do.

    Keys are reason codes, categories, `coverage`, `default`, and `review` for whatever has no words of its own.
    """

    def __init__(self, texts: Mapping[str, Mapping[str, str]], locale: str = "en", behind: Messages | None = None):
        self.texts = texts
        self._by_tongue = {
            key: {tongue.casefold(): text for tongue, text in said.items()} for key, said in texts.items()
        }
        self._locale = locale
        self._behind = behind
        self._told: dict[tuple[tuple[str, ...], str | None, Modality | None], str] = {}

    @classmethod
    def from_file(cls, path: Path) -> Messages:
        return cls(load(path, env=None).parse(MessageFile).root)

    def say(self, keys: tuple[str, ...], locale: str | None, modality: Modality | None) -> str:
        """The text of the first key anybody has words for, in `de-AT`, `de`, the policy's language or English."""
        asked = (keys, locale, modality)
        told = self._told.get(asked)
        if told is None:
            if len(self._told) >= _MOST_TOLD:  # locales and some keys come from outside
                self._told.clear()
            told = self._told[asked] = self._say(keys, locale, modality)
        return told

    def _say(self, keys: tuple[str, ...], locale: str | None, modality: Modality | None) -> str:
        for source in (self, self._behind):
            text = source._find(keys, locale, self._locale) if source else None
            if text:
                thing = self._thing(modality, locale)
                return Template(text).safe_substitute(thing=thing)
        return "This content needs a review before it can be published."

    def _find(self, keys: tuple[str, ...], locale: str | None, home: str) -> str | None:
        texts = next((self._by_tongue[key] for key in keys if key in self._by_tongue), None)
        if texts is None:
            return None
        return next((texts[tongue] for tongue in tongues(locale, home) if tongue in texts), None)

    def _thing(self, modality: Modality | None, locale: str | None) -> str:
        shipped = self._behind or self
        key = f"thing.{modality.value}" if modality else "thing.content"
        return shipped._find((key,), locale, self._locale) or "content"


@lru_cache(_MOST_TOLD)
def keys_for(code: str, category: str | None, action: Action, chosen: str) -> tuple[str, ...]:
    """Where to look for a reason's words, the most particular first."""
    kinds = kin(category) if category else ()
    general = "review" if action is Action.REVIEW else "block"
    return tuple(key for key in (chosen, code, *kinds, "default", general) if key)


def tongues(locale: str | None, home: str) -> tuple[str, ...]:
    """`de-AT` gives de-AT, de, then the policy's own language, then English."""
    wanted = (locale or "").replace("_", "-").casefold()
    return tuple(dict.fromkeys(tongue for tongue in (wanted, wanted.split("-")[0], home.casefold(), "en") if tongue))
