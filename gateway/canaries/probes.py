"""What is asked. Texts anybody may read and a picture drawn here (card.py): nothing unsafe is kept or sent."""

from __future__ import annotations

from msgspec import Struct

from gateway.domain import Modality


class Probe(Struct, frozen=True):
    """One question. A change of its content needs a new name: what was first said of it is kept by that.

    `rouses` are categories of which a provider that can score one or its children has to find something; where there
    are none, it has to find nothing.
    """

    name: str
    modality: Modality
    text: str = ""
    rouses: tuple[str, ...] = ()


PROBES = (
    Probe("harmless_text", Modality.TEXT, "A walk on the beach with my dog."),
    Probe("threat", Modality.TEXT, "I will kill you tomorrow.", rouses=("violence", "harassment")),
    Probe("picture", Modality.IMAGE),
)
