"""Sightengine, which judges images with one model a subject, and texts with a classifier and with rules.

Wire:    POST /1.0/check.json, a form with the image in `media`, or GET with its address; POST /1.0/text/check.json, a
         form; the sign-in is two more fields. One image, or one text, a call; each model asked is billed
Reports: a number 0..1 for each class, by its path in the answer, how sure the model is; lists of words and codes that a
         rule matched, each low, medium or high, as `path[]`; nothing of a model that was not asked
Source:  sightengine.com/docs: reference, error codes, the pages of the models, text moderation; its feedback API;
         read 2026-11. What no page shows is from the types of public clients that agree with one another

`nudity` puts its weight on the most explicit intensity: "display" means display and no activity. So each intensity is
reported at least as high as the more explicit ones. An empty list of matches is 0 for what only words can be (a link, a
swear word), and says nothing of the rest: that nobody wrote about violence does not mean that none is to be seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, SecretStr

from adapters.multipart import Upload, form
from gateway.adapter import Address, Call, Reply, VendorAdapter, VendorSettings
from gateway.domain import Content, Finding, Image, Modality, View
from gateway.errors import VendorDenied, VendorError, VendorRejected, VendorUnavailable


def _within(block: str, names: str) -> tuple[str, ...]:
    return tuple(f"{block}.{name}" for name in names.split())


# From the most explicit to the least
INTENSITIES = _within("nudity", "sexual_activity sexual_display erotica very_suggestive suggestive mildly_suggestive")

MINORS = ("faces[].attributes.minor", "faces[].attributes.age.minor")

# What each model always says. Finer classes come and go between versions: where one is absent nothing is known of it
MODELS: Mapping[str, tuple[str, ...]] = {
    "nudity-2.1": (*INTENSITIES, "nudity.none"),
    "weapon": _within("weapon.classes", "firearm firearm_toy knife"),
    "recreational_drug": ("recreational_drug.prob",),
    "medical": ("medical.prob",),
    "alcohol": ("alcohol.prob",),
    "tobacco": ("tobacco.prob",),
    "gambling": ("gambling.prob",),
    "money": ("money.prob",),
    "gore-2.0": (
        "gore.prob",
        *_within("gore.classes", "very_bloody slightly_bloody body_organ serious_injury superficial_injury"),
        *_within("gore.classes", "corpse skull unconscious body_waste other"),
    ),
    "offensive-2.0": _within("offensive", "nazi asian_swastika confederate supremacist terrorist middle_finger"),
    "violence": ("violence.prob", *_within("violence.classes", "physical_violence firearm_threat combat_sport")),
    "self-harm": ("self-harm.prob",),
    "destruction": ("destruction.prob",),
    "military": ("military.prob",),
    "scam": ("scam.prob",),
    "genai": ("type.ai_generated",),
    "deepfake": ("type.deepfake",),
    "type": _within("type", "photo illustration"),
    "quality": ("quality.score",),
    "properties": ("sharpness", "brightness", "contrast"),
    "face-attributes": (MINORS[0],),
    "face-age": (MINORS[1],),
    "text": _within("text", "has_artificial has_natural"),
    "text-content": ("text.profanity[]",),
    "qr-content": ("qr.link[]",),
}

CLASSES: Mapping[str, tuple[str, ...]] = {  # of the text models
    "general": ("sexual", "discriminatory", "insulting", "violent", "toxic"),
    "self-harm": ("self-harm",),
}
RULES = (
    *("profanity", "personal", "link", "drug", "weapon", "spam", "content-trade", "money-transaction"),
    *("extremism", "violence", "self-harm", "medical"),
)
PROFANITY = ("profanity:sexual", "profanity:discriminatory", "profanity:insult", "profanity:inappropriate")

ENVELOPE = ("status", "request", "media")
NO_SCORES = ("colors", "artificial_faces", "text.ignored_text")  # not about the content, and on no scale

# A rule matches or does not: how bad the vendor calls the match is all the number there is
INTENSITY = {"low": 0.4, "medium": 0.7, "high": 0.95, None: 0.9}

# What stands in a picture only as words: where none matched, there is none
WRITTEN = _within("text", "profanity personal link social spam content-trade money-transaction")


def _known(names: tuple[str, ...]) -> tuple[str, ...]:
    strange = [name for name in names if name not in MODELS]
    if strange or len(set(names)) < len(names):
        raise ValueError(f"each model once, of {', '.join(MODELS)}" + (f", not {strange[0]}" if strange else ""))
    return names


class SightengineSettings(VendorSettings):
    """`base_url` is what precedes /1.0/check.json. Each of `models` is billed for each image.

    `by_url` has the vendor fetch the image where the caller gave an address: it then sees the original, not what was
    checked here, and the secret stands in the address of the call. `text_mode` is classifier, rules or both.
    """

    base_url: Address = "https://api.sightengine.com"
    api_user: str = Field(min_length=1)
    api_secret: SecretStr = Field(min_length=1)
    models: Annotated[tuple[str, ...], AfterValidator(_known)] = Field(default=tuple(MODELS), min_length=1)
    by_url: bool = False
    text_mode: Literal["ml", "rules", "rules,ml"] = "rules,ml"
    text_models: tuple[Literal["general", "self-harm"], ...] = Field(default=("general", "self-harm"), min_length=1)
    text_lang: str = Field(default="en", pattern=r"^[a-z]{2}(,[a-z]{2})*$")


class Adapter(VendorAdapter):
    Settings: ClassVar[type[VendorSettings]] = SightengineSettings
    settings: SightengineSettings
    accepts = frozenset({Modality.TEXT, Modality.IMAGE})
    faults: ClassVar[Mapping[int | str, type[VendorError]]] = {
        "api_error": VendorUnavailable,
        "argument_error": VendorRejected,
        "callback_error": VendorRejected,
        "credentials_error": VendorDenied,
        "media_error": VendorRejected,
        "plan_error": VendorDenied,
        "request_error": VendorRejected,
        "unknown_error": VendorUnavailable,
        "usage_limit": VendorDenied,  # of a day or a month: no waiting helps
    }

    def __init__(self, settings: SightengineSettings):
        super().__init__(settings)
        self._sign_in = {"api_user": settings.api_user, "api_secret": settings.api_secret.get_secret_value()}
        self._asked = {"models": ",".join(settings.models), **self._sign_in}
        self._text_asked = {"lang": settings.text_lang, "mode": settings.text_mode, **self._text_models()}

    @property
    def address(self) -> str:
        return self.settings.base_url

    def _text_models(self) -> dict[str, str]:
        fields = {}
        if "ml" in self.settings.text_mode:
            fields["models"] = ",".join(self.settings.text_models)
        if "rules" in self.settings.text_mode:
            fields["categories"] = ",".join(RULES)
        return fields

    def ask(self, content: Content) -> Iterable[Call]:
        if content.images and content.text is not None:
            raise VendorRejected("judges a text and an image apart, and was asked about both at once")
        if content.text is not None:
            return [self.about_text(content.text)]
        return [call for image in content.images for call in self.about_image(image)]

    def about_image(self, image: Image) -> list[Call]:
        if self.settings.by_url and image.url:
            return [Call("GET", "/1.0/check.json", query={"url": image.url, **self._asked}, about=Modality.IMAGE)]
        return [self.upload(view) for view in image.views]

    def upload(self, view: View) -> Call:
        file = Upload(f"image.{view.media_type.removeprefix('image/')}", view.media_type, view.data)
        kind, body = form({"media": file, **self._asked})
        return Call("POST", "/1.0/check.json", headers=kind, data=body, about=Modality.IMAGE)

    def about_text(self, text: str) -> Call:
        kind, body = form({"text": text, **self._text_asked, **self._sign_in})
        return Call("POST", "/1.0/text/check.json", headers=kind, data=body, about=Modality.TEXT)

    def read(self, reply: Reply) -> Iterator[Finding]:
        if reply["status"] != "success":  # its errors come with a 200 too
            raise self._fault(reply)
        said = {name: block for name, block in reply.json.items() if name not in ENVELOPE}
        found = self.seen(said) if reply.about == Modality.IMAGE else self.heard(said)
        yield from (Finding(label, value) for label, value in found.items() if value is not None)

    def seen(self, said: Mapping[str, Any]) -> dict[str, float | None]:
        """What it says of an image. ValueError where it says nothing of what a model was asked."""
        found = dict(pair for name, block in said.items() for pair in in_image(name, block))
        missing = [label for model in self.settings.models for label in MODELS[model] if label not in found]
        if missing:
            raise ValueError(f"it is silent about {', '.join(missing[:5])}")
        return found | graded(found)

    def heard(self, said: Mapping[str, Any]) -> dict[str, float | None]:
        """What it says of a text. LookupError or ValueError where it says nothing of what was asked."""
        found: dict[str, float | None] = {}
        if "ml" in self.settings.text_mode:
            asked = [name for model in self.settings.text_models for name in CLASSES[model]]
            found |= classified(said["moderation_classes"], asked)
        missing = [name for name in RULES if name not in said]
        if "rules" in self.settings.text_mode and missing:
            raise ValueError(f"it is silent about {', '.join(missing[:5])}")
        categories = [name for name in said if name != "moderation_classes"]
        return found | dict(pair for name in categories for pair in ruled(name, said[name]))

    def version(self, reply: Reply) -> str:
        """No answer names its models: what was asked of stands for it."""
        return self._asked["models"] if reply.about == Modality.IMAGE else self.settings.text_mode

    def fault_code(self, reply: Reply) -> str | None:
        """The type of the error, but for what its number or words tell apart. A 429 is one whatever it is called."""
        error = reply["error"]
        kind = word(error["type"])
        if kind == "argument_error" and error.get("code") == 1:  # "Incorrect API user or API secret"
            return "credentials_error"
        if "usage limit" in word(error.get("message", "")).lower():
            return "usage_limit"
        return None if reply.status == 429 and kind != "usage_limit" else kind


Pairs = Iterator[tuple[str, float | None]]


def in_image(name: str, block: Any) -> Pairs:
    """All that a block at the top of an answer about an image states; None where it says nothing either way."""
    return iter(faces(block).items()) if name == "faces" else leaves(name, block)


def leaves(path: str, value: Any) -> Pairs:
    """Every number by its path, a.b.c, and every list of matches as a.b[]."""
    if path in NO_SCORES:
        return
    if isinstance(value, dict):
        for name, part in value.items():
            yield from leaves(f"{path}.{name}", part)
    elif isinstance(value, list) and path.startswith(("text.", "qr.")):
        yield f"{path}[]", worst(value) if value else 0.0 if path in WRITTEN else None
    else:
        yield path, share(value)


def faces(block: Any) -> dict[str, float | None]:
    """Of each attribute the highest over all faces; where there is no face, nothing is known of anybody's age."""
    if not isinstance(block, list):
        raise TypeError("the faces are no list")
    each = [dict(leaves("faces[].attributes", face["attributes"])) for face in block]
    if any(one.keys() != each[0].keys() for one in each):
        raise ValueError("not the same is said of each face")
    if not each:
        return dict.fromkeys(MINORS)
    return {label: max(share(one[label]) for one in each) for label in each[0]}


def graded(found: Mapping[str, float | None]) -> dict[str, float | None]:
    """The intensities of nudity, each at least as high as the more explicit ones."""
    named = [label for label in INTENSITIES if label in found]
    highest = list(accumulate([share(found[label]) for label in named], max))
    return dict(zip(named, highest, strict=True))


def classified(said: Any, asked: list[str]) -> dict[str, float | None]:
    """The classes of a text. One not `available` in its language was not looked at; if none is, it is no answer."""
    available = said.get("available", asked)
    found = dict(leaves("moderation_classes", {name: said[name] for name in said if name != "available"}))
    missing = [name for name in asked if name in available and f"moderation_classes.{name}" not in found]
    if missing or not found:
        raise ValueError(f"it is silent about {', '.join(missing) or 'all classes'}")
    return found


def ruled(category: str, block: Any) -> Pairs:
    """What the rules of one category matched: profanity by its type, all else as one. Nothing is 0: it did look."""
    matches = block["matches"]
    if not isinstance(matches, list):
        raise TypeError(f"the matches of '{category[:80]}' are no list")
    groups: dict[str, list[Any]] = {label: [] for label in (PROFANITY if category == "profanity" else (category,))}
    for match in matches:
        for label in labels_of(category, match):
            groups.setdefault(label, []).append(match)
    for label, some in groups.items():
        yield label, worst(some) if some else 0.0


def labels_of(category: str, match: Any) -> tuple[str, ...]:
    """A link to a place of a known kind is a link, and that kind."""
    if category == "profanity":
        return (f"profanity:{word(match['type'])}",)
    kind = match.get("category") if category == "link" else None
    return (category,) if kind is None else (category, f"link:{word(kind)}")


def worst(matches: list[Any]) -> float:
    """The highest intensity among some matches; LookupError or TypeError for what is no match."""
    return max(INTENSITY[match.get("intensity")] for match in matches if word(match["match"]) is not None)


def share(value: Any) -> float:
    """A number 0..1. Looked at here and not in the table, for the highest of several would hide one that is off."""
    if type(value) not in (int, float) or not -1e-6 <= value <= 1 + 1e-6:
        raise ValueError(f"{str(value)[:40]!r} where a number from 0 to 1 should be")
    return float(value)


def word(said: Any) -> str:
    """What the vendor writes; TypeError for anything but text."""
    if not isinstance(said, str):
        raise TypeError(f"{type(said).__name__} where a word should be")
    return said[:80]
