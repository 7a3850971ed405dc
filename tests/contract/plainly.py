"""What an answer says, read without the code under test: for vendors whose answers have a long shape of their own.

Each takes a body and tells the value of each label; None where it is not an answer.
"""

import json
from itertools import accumulate

BROKEN = (ValueError, LookupError, TypeError, AttributeError)
LIKELIHOODS = ("UNKNOWN", "VERY_UNLIKELY", "UNLIKELY", "POSSIBLE", "LIKELY", "VERY_LIKELY")
LIKELY = {1: 0.02, 2: 0.2, 3: 0.5, 4: 0.75, 5: 0.95}  # what each is worth, by its place

GRADES = ("sexual_activity", "sexual_display", "erotica", "very_suggestive", "suggestive", "mildly_suggestive")
INTENSITY = {"low": 0.4, "medium": 0.7, "high": 0.95, None: 0.9}
ONLY_WORDS = ("profanity", "personal", "link", "social", "spam", "content-trade", "money-transaction")
SWEARING = ("profanity:sexual", "profanity:discriminatory", "profanity:insult", "profanity:inappropriate")


def by_likelihood(body: bytes) -> dict[str, int | None] | None:
    """One image, and for each label of it one of six words; the first says that nobody looked."""
    try:
        [said] = json.loads(body)["responses"]
        places = {label: LIKELIHOODS.index(word) for label, word in said["safeSearchAnnotation"].items()}
        broken = "error" in said or not any(places.values())
        return None if broken else {label: place or None for label, place in places.items()}
    except BROKEN:
        return None


def by_path(body: bytes) -> dict[str, float] | None:
    """Numbers and lists of matches in blocks; or, of a text, matches by category and numbers by class."""
    try:
        said = json.loads(body)
        if said["status"] != "success":
            return None
        blocks = {name: block for name, block in said.items() if name not in ("status", "request", "media")}
        of_text = [block for block in blocks.values() if isinstance(block, dict) and "matches" in block]
        return _heard(blocks) if of_text or "moderation_classes" in blocks else _seen(blocks)
    except BROKEN:
        return None


def _seen(blocks):
    found = {}
    todo = list(blocks.items())
    for path, value in todo:  # it grows while it is read
        if path in ("colors", "artificial_faces", "text.ignored_text"):
            continue
        if isinstance(value, dict):
            todo += [(f"{path}.{name}", part) for name, part in value.items()]
        elif path == "faces":
            todo += [("faces[].attributes", face["attributes"]) for face in value]
        elif isinstance(value, list):
            block, name = path.split(".", 1)
            if value or (block == "text" and name in ONLY_WORDS):
                found[f"{path}[]"] = _worst(value)
        else:
            found[path] = max(_share(value), found.get(path, value))
    grades = [f"nudity.{name}" for name in GRADES if f"nudity.{name}" in found]
    return found | dict(zip(grades, accumulate([found[label] for label in grades], max), strict=True))


def _heard(blocks):
    classes = blocks.pop("moderation_classes", {})
    found = {f"moderation_classes.{name}": _share(classes[name]) for name in classes if name != "available"}
    for category, block in blocks.items():
        if category == "profanity":
            kinds = {f"profanity:{match['type']}": [] for match in block["matches"]}
            for match in block["matches"]:
                kinds[f"profanity:{match['type']}"].append(match)
            found |= dict.fromkeys(SWEARING, 0.0) | {kind: _worst(matches) for kind, matches in kinds.items()}
            continue
        found[category] = _worst(block["matches"])
        for kind in {match.get("category") for match in block["matches"]} - {None} if category == "link" else ():
            found[f"link:{kind}"] = _worst([match for match in block["matches"] if match.get("category") == kind])
    return found


def _worst(matches):
    return max([INTENSITY[match.get("intensity")] for match in matches if isinstance(match["match"], str)], default=0.0)


def _share(value):
    if type(value) not in (int, float) or not -1e-6 <= value <= 1 + 1e-6:
        raise ValueError(value)
    return value
