"""Amazon Rekognition's words: the tree of moderation model 7.0, and a few of the things DetectLabels 3.0 knows.

Source: the moderation label list of the Developer Guide (10 at the top, 20 below, 22 below those). Which things are
whose children is not published; these chains are as in the guide's examples, the others assumed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

_TREE: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "Explicit": {
        "Explicit Nudity": (
            *("Exposed Male Genitalia", "Exposed Female Genitalia", "Exposed Buttocks or Anus"),
            "Exposed Female Nipple",
        ),
        "Explicit Sexual Activity": (),
        "Sex Toys": (),
    },
    "Non-Explicit Nudity of Intimate parts and Kissing": {
        "Non-Explicit Nudity": (
            *("Bare Back", "Exposed Male Nipple", "Partially Exposed Buttocks", "Partially Exposed Female Breast"),
            "Implied Nudity",
        ),
        "Obstructed Intimate Parts": ("Obstructed Female Nipple", "Obstructed Male Genitalia"),
        "Kissing on the Lips": (),
    },
    "Swimwear or Underwear": {"Female Swimwear or Underwear": (), "Male Swimwear or Underwear": ()},
    "Violence": {
        "Weapons": (),
        "Graphic Violence": (
            *("Weapon Violence", "Physical Violence", "Self-Harm", "Blood & Gore", "Explosions and Blasts"),
        ),
    },
    "Visually Disturbing": {"Death and Emaciation": ("Emaciated Bodies", "Corpses"), "Crashes": ("Air Crash",)},
    "Drugs & Tobacco": {"Products": ("Pills",), "Drugs & Tobacco Paraphernalia & Use": ("Smoking",)},
    "Alcohol": {"Alcohol Use": ("Drinking",), "Alcoholic Beverages": ()},
    "Rude Gestures": {"Middle Finger": ()},
    "Gambling": {},
    "Hate Symbols": {"Nazi Party": (), "White Supremacy": (), "Extremist": ()},
}


class Place(NamedTuple):
    """Where a moderation label stands: its parent, empty at the top, and its level, 1 to 3."""

    parent: str
    level: int


def _places() -> Iterator[tuple[str, Place]]:
    for top, below in _TREE.items():
        yield top, Place("", 1)
        for middle, leaves in below.items():
            yield middle, Place(top, 2)
            yield from ((leaf, Place(middle, 3)) for leaf in leaves)


MODERATION: Mapping[str, Place] = dict(_places())


class Thing(NamedTuple):
    """A thing's ancestors, nearest first, and its category."""

    parents: tuple[str, ...]
    category: str


_ARMS, _FOOD, _CLOTHES = "Weapons and Military", "Food and Beverage", "Apparel and Accessories"
_OUTSIDE, _PLANTS, _PETS, _GAMES = (
    "Nature and Outdoors",
    "Plants and Flowers",
    "Animals and Pets",
    "Hobbies and Interests",
)

THINGS: Mapping[str, Thing] = {
    "Weapon": Thing((), _ARMS),
    "Gun": Thing(("Weapon",), _ARMS),
    "Handgun": Thing(("Gun", "Weapon"), _ARMS),
    "Rifle": Thing(("Gun", "Weapon"), _ARMS),
    "Firearm": Thing(("Gun", "Weapon"), _ARMS),
    "Blade": Thing(("Weapon",), _ARMS),
    "Knife": Thing(("Blade", "Weapon"), _ARMS),
    "Beverage": Thing((), _FOOD),
    "Alcohol": Thing(("Beverage",), _FOOD),
    "Beer": Thing(("Alcohol", "Beverage"), _FOOD),
    "Wine": Thing(("Alcohol", "Beverage"), _FOOD),
    "Medication": Thing((), "Medical"),
    "Pill": Thing(("Medication",), "Medical"),
    "Smoke Pipe": Thing((), "Everyday Objects"),
    "Gambling": Thing((), _GAMES),
    "Casino": Thing(("Gambling",), _GAMES),
    "Clothing": Thing((), _CLOTHES),
    "Underwear": Thing(("Clothing",), _CLOTHES),
    "Lingerie": Thing(("Underwear", "Clothing"), _CLOTHES),
    "Swimwear": Thing(("Clothing",), _CLOTHES),
    "Nature": Thing((), _OUTSIDE),
    "Outdoors": Thing((), _OUTSIDE),
    "Beach": Thing(("Nature", "Outdoors"), _OUTSIDE),
    "Plant": Thing((), _PLANTS),
    "Flower": Thing(("Plant",), _PLANTS),
    "Animal": Thing((), _PETS),
    "Dog": Thing(("Animal",), _PETS),
    "Cup": Thing((), "Kitchen and Dining"),
}

HARMLESS = ("Beach", "Flower", "Dog", "Cup")  # one of them is seen in every picture
