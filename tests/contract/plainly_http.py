"""What an answer under fixtures/http says, read without the code under test."""

import json


def by_own_shape(body: bytes) -> dict[str, float] | None:
    """In one of the four shapes that the cases there describe under `read`; None where it is in none of them."""
    try:
        said = json.loads(body, parse_constant=float.fromhex)  # which refuses NaN, as JSON does
        if isinstance(said, list):
            pairs = [(entry["label"], entry["score"]) for entry in said]
        elif "results" in said:
            scores = said["results"][0]["scores"].items()
            pairs = [(label, value["probability"] if isinstance(value, dict) else value) for label, value in scores]
        else:
            found = said["output"]
            pairs = [("adult", found["nsfw"]["value"]), ("violence", found["gore"]), ("hate", found["hate"])]
        best = {}
        for label, value in pairs:
            if not isinstance(label, str) or type(value) not in (int, float):
                return None
            if label != "fine" and not -1e-6 <= value <= 1 + 1e-6:  # "fine" means nothing to the table
                return None
            best[label] = max(value, best.get(label, value))
        return best
    except (ValueError, LookupError, TypeError, AttributeError):
        return None
