"""What an answer says, read without the code under test: for the first five vendors.

Each takes a body and tells the value of each label, None for "did not look"; None where it is not an answer.
"""

import json


def plainly(body: bytes) -> dict[str, float | None] | None:
    """What an answer in OpenAI's dialect says of each label, None for "did not look"; None where it is not one."""
    try:
        [result] = json.loads(body, parse_constant=float.fromhex)["results"]  # which refuses NaN, as JSON does
        applied = result.get("category_applied_input_types")
        return {
            label: None if applied is not None and applied[label] == [] else number(score)
            for label, score in result["category_scores"].items()
        }
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def number(score) -> float:
    if type(score) not in (int, float) or not -1e-6 <= score <= 1 + 1e-6:
        raise ValueError(score)
    return score


def plainly_by_category(body: bytes) -> dict[str, float | None] | None:
    """The same of an answer with an object for each category: its score, and whether that is flagged."""
    try:
        said = json.loads(body, parse_constant=float.fromhex)
        if not isinstance(said["action"], str) or not said["categories"]:
            return None
        return {name: number(about["score"]) for name, about in said["categories"].items()}
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def plainly_in_percent(body: bytes) -> dict[str, float | None] | None:
    """The same of a list of labels with a confidence each, where the list is empty if there is nothing."""
    try:
        said, best = json.loads(body, parse_constant=float.fromhex), {}
        if not isinstance(said["ModerationLabels"], list) or not isinstance(said["ModerationModelVersion"], str):
            return None
        for label in said["ModerationLabels"]:
            number(label["Confidence"] / 100)
            best[label["Name"]] = max(label["Confidence"], best.get(label["Name"], 0))
        return best
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


FOUR = {"Hate", "SelfHarm", "Sexual", "Violence"}
WORTH = {0: 0.0, 1: 0.15, 2: 0.35, 3: 0.5, 4: 0.7, 5: 0.8, 6: 0.95, 7: 1.0}  # severities


def plainly_in_steps(body: bytes) -> dict[str, float | None] | None:
    """The same of an answer with a list of four severities or more, and a list of hits on blocklists."""
    try:
        said = json.loads(body, parse_constant=float.fromhex)
        hits = {f"blocklist/{match['blocklistName']}": 7 for match in said.get("blocklistsMatch", [])}
        found = {entry["category"]: entry["severity"] for entry in said["categoriesAnalysis"]}
        if hits and said["categoriesAnalysis"] == []:
            found = dict.fromkeys(FOUR)
        elif not found.keys() >= FOUR or any(type(step) is not int or step not in WORTH for step in found.values()):
            return None
        return found | hits
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def plainly_by_service(body: bytes) -> dict[str, float | None] | None:
    """The same of two lists of names, in either of two envelopes, where one number over 1 says that all are percent."""
    try:
        said = json.loads(body, parse_constant=float.fromhex)
        if not isinstance(said, dict) or said.get("success", True) is not True:
            return None
        services = said.get("services", said)
        lists = [services["detect-moderation"]["flags"], services.get("detect-labels", {"labels": []})["labels"]]
        found = {entry["name"]: entry["confidence"] for entries in lists for entry in entries}
        percent = max(found.values()) > 1 + 1e-6
        return {name: number(value / 100 if percent else value) for name, value in found.items()}
    except (ValueError, LookupError, TypeError, AttributeError):
        return None
