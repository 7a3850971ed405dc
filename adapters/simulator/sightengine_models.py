"""Sightengine's models of images, and the numbers and lists that each puts into an answer, by path.

Source: sightengine.com/docs, the pages of the models; where those show no class, public clients that agree.
"""

from __future__ import annotations

from collections.abc import Mapping


def _within(block: str, names: str) -> tuple[str, ...]:
    return tuple(f"{block}.{name}" for name in names.split())


_CLASSES = "nudity.suggestive_classes"
INTENSITIES = _within("nudity", "sexual_activity sexual_display erotica very_suggestive suggestive mildly_suggestive")
_DAMAGE = "major_damage minor_damage on_fire burned"

MODELS: Mapping[str, tuple[str, ...]] = {
    "nudity-2.1": (
        *INTENSITIES,
        *_within(
            _CLASSES, "visibly_undressed sextoy suggestive_focus suggestive_pose lingerie male_underwear cleavage"
        ),
        *_within(f"{_CLASSES}.cleavage_categories", "very_revealing revealing"),
        f"{_CLASSES}.male_chest",
        *_within(f"{_CLASSES}.male_chest_categories", "very_revealing revealing slightly_revealing"),
        *_within(_CLASSES, "nudity_art schematic bikini swimwear_one_piece swimwear_male minishort miniskirt other"),
        *_within("nudity.context", "sea_lake_pool outdoor_other indoor_other"),
    ),
    "weapon": (
        *_within("weapon.classes", "firearm firearm_gesture firearm_toy knife"),
        "weapon.firearm_type.animated",
        *_within(
            "weapon.firearm_action",
            "aiming_threat aiming_camera aiming_safe in_hand_not_aiming worn_not_in_hand not_worn",
        ),
    ),
    "recreational_drug": (
        "recreational_drug.prob",
        *_within(
            "recreational_drug.classes",
            "cannabis cannabis_logo_only cannabis_plant cannabis_drug recreational_drugs_not_cannabis",
        ),
    ),
    "medical": ("medical.prob", *_within("medical.classes", "pills paraphernalia")),
    "alcohol": ("alcohol.prob",),
    "tobacco": ("tobacco.prob", *_within("tobacco.classes", "regular_tobacco ambiguous_tobacco")),
    "gambling": ("gambling.prob",),
    "money": ("money.prob",),
    "gore-2.0": (
        "gore.prob",
        *_within("gore.classes", "very_bloody slightly_bloody body_organ serious_injury superficial_injury corpse"),
        *_within("gore.classes", "skull unconscious body_waste other"),
        *_within("gore.type", "animated fake real"),
    ),
    "offensive-2.0": _within("offensive", "nazi asian_swastika confederate supremacist terrorist middle_finger"),
    "violence": ("violence.prob", *_within("violence.classes", "physical_violence firearm_threat combat_sport")),
    "self-harm": ("self-harm.prob", *_within("self-harm.type", "real fake animated")),
    "destruction": (
        "destruction.prob",
        *(f"destruction.classes.{thing}_{how}" for thing in ("building", "vehicle") for how in _DAMAGE.split()),
        *_within("destruction.classes", "wildfire unsafe_fire violent_protest"),
    ),
    "military": (
        "military.prob",
        *_within("military.classes", "military_equipment military_personnel military_profile_photo"),
    ),
    "scam": ("scam.prob",),
    "genai": ("type.ai_generated",),
    "deepfake": ("type.deepfake",),
    "type": _within("type", "photo illustration"),
    "quality": ("quality.score",),
    "properties": ("sharpness", "brightness", "contrast"),
    "face-attributes": ("faces[].attributes.minor", "faces[].attributes.sunglasses"),
    "face-age": ("faces[].attributes.age.minor",),
    "text": _within("text", "has_artificial has_natural"),
    "text-content": tuple(
        f"text.{name}[]"
        for name in (
            *("profanity", "personal", "link", "social", "extremism", "medical", "drug", "weapon", "content-trade"),
            *("money-transaction", "spam", "violence", "self-harm"),
        )
    ),
    "qr-content": tuple(f"qr.{name}[]" for name in ("personal", "link", "social", "spam", "profanity", "blacklist")),
}

HIGHEST_OF = {  # path → those of which it is the highest
    "violence.prob": tuple(path for path in MODELS["violence"] if ".classes." in path),
    "destruction.prob": tuple(path for path in MODELS["destruction"] if ".classes." in path),
}

REMAINS_OF = {  # path → what it makes one whole with
    "nudity.none": INTENSITIES,
    f"{_CLASSES}.cleavage_categories.none": _within(f"{_CLASSES}.cleavage_categories", "very_revealing revealing"),
    f"{_CLASSES}.male_chest_categories.none": _within(
        f"{_CLASSES}.male_chest_categories", "very_revealing revealing slightly_revealing"
    ),
}

PLAIN = ("nudity.context.indoor_other", "type.photo", "quality.score", "sharpness", "brightness", "contrast")

CLASSES: Mapping[str, tuple[str, ...]] = {  # the text models
    "general": ("sexual", "discriminatory", "insulting", "violent", "toxic"),
    "self-harm": ("self-harm",),
}

RULES: Mapping[str, tuple[str, ...]] = {  # category of rules → the labels of its matches
    "profanity": ("profanity:sexual", "profanity:discriminatory", "profanity:insult", "profanity:inappropriate"),
    **{
        name: (name,)
        for name in (
            *(
                "personal",
                "link",
                "drug",
                "weapon",
                "spam",
                "content-trade",
                "money-transaction",
                "extremism",
                "violence",
            ),
            *("self-harm", "medical"),
        )
    },
}
