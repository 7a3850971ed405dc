"""Text judged here, by the small model in local_text_model/: no key, no network.

Wire:    none; a thread of the workshop, 0.3 ms for a comment and about 2 ms for 1,500 characters
Reports: sexual, hate, harassment, violence, self-harm, toxicity, 0..1, 0.5 being each one's threshold; hate/threatening
         and harassment/threatening, derived as the lower of the two they are made of; profanity, by word list.
         All but profanity are English only: on other languages, and where no word is known, they did not look
Source:  local_text_model/README.md, the model card
"""

from __future__ import annotations

from functools import cache
from time import perf_counter

import orjson

from adapters.local_text_model.model import Judgement, TextModel
from gateway.adapter import LocalAdapter, Workshop
from gateway.domain import Content, Exchange, Finding, Look, Modality
from gateway.errors import VendorRejected
from gateway.wire import Transport

_WARM_UP = "Good morning, here is the first text of the day."


@cache
def _loaded() -> TextModel:
    """One in a process, however many providers use it: nothing in it changes, and it takes 80 MB."""
    return TextModel.load()


class Adapter(LocalAdapter):
    """`open` before `look`."""

    accepts = frozenset({Modality.TEXT})
    _model: TextModel
    _workshop: Workshop

    async def open(self, workshop: Workshop) -> None:
        """Load in a thread (0.7 s) and judge one text. Raises ConfigError where a file is missing or another."""
        self._workshop = workshop
        self._model = await workshop.think(_loaded)
        await workshop.think(self._model.judge, _WARM_UP)

    async def look(self, content: Content, send: Transport) -> Look:
        """One finding a label. A text without a word (blank, or signs only) gives None for what needs words."""
        if content.text is None:
            raise VendorRejected("there is no text to look at")
        began = perf_counter()
        judgement = await self._workshop.think(self._model.judge, content.text)
        said = Exchange(200, _said(judgement), (perf_counter() - began) * 1000)
        return Look(
            findings=tuple(Finding(label, value) for label, value in judgement.values.items()),
            model=f"local-text-{self._model.version}",
            exchanges=(said,),
        )


def _said(judgement: Judgement) -> str:
    """The evidence: scores to four places and the language; neither the text nor the words that were found in it."""
    scores = {label: None if value is None else round(value, 4) for label, value in judgement.values.items()}
    return orjson.dumps({"language": judgement.language, "scores": scores}).decode()
