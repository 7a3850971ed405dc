"""What the finished local text model does on sets it never saw, as Markdown for its card: see train_local_text.py."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from time import process_time
from typing import Any

from sklearn.metrics import average_precision_score, roc_auc_score

from adapters.local_text_model.language import ENGLISH
from adapters.local_text_model.model import Judgement, TextModel
from adapters.local_text_model.normalise import fold, plain

ENGLISH_HEADS = ("sexual", "hate", "harassment", "violence", "self-harm", "toxicity")
# Texts in another language inside these sets are few, and counted here as if they were English
ENGLISH_SETS = ("hatecheck", "xstest", "wikipedia_toxicity", "surge_toxicity", "toxigen_demonstrations", "edos_sexism")
TEST_SETS = ENGLISH_SETS[:3]
SHORT = "You did a great job on the garden, the tomatoes look wonderful and the kids love the swing."
LONG = ((SHORT + " ") * 100)[:1500]

Judged = tuple[dict[str, Any], Judgement]


def figures(model: TextModel, data: Path, check: dict[str, list[str]]) -> str:
    """All sections, in the card's order."""
    judged = {name: _judge(model, _rows(data, name)) for name in TEST_SETS}
    foreign = _judge(model, _rows(data, "multilingual_hatecheck"))
    return "\n".join(
        [
            "Sets never trained on, even halves, the model as shipped:\n",
            _ranking(judged),
            "False positives on texts that are not hateful or not unsafe:\n",
            _false_positives(judged),
            "Detection of HateCheck's hateful texts, by what they do (hate ≥ 0.5 · any English head ≥ 0.5):\n",
            _hateful(judged["hatecheck"]),
            "Called another language than English:\n",
            _languages(model, data, foreign),
            "Evasion folding, any English head at or above 0.5:\n",
            _folding(model, judged),
            "Plain sentences of our own, never drawn for training (highest of the English heads):\n",
            _check(model, check),
            "Cost, one thread of a machine that others used too:\n",
            _cost(model),
        ]
    )


def table(head: str, lines: Iterable[Iterable[object]]) -> str:
    """A Markdown table; `head` is its first line without the outer bars."""
    ruled = [head, " | ".join("---" for _ in head.split("|")), *(" | ".join(map(str, line)) for line in lines)]
    return "".join(f"| {line} |\n" for line in ruled)


def _rows(data: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (data / name / "even.jsonl").read_text("utf-8").splitlines()]


def _judge(model: TextModel, rows: list[dict[str, Any]]) -> list[Judged]:
    return [(row, model.judge(row["text"])) for row in rows]


def _share(flags: Iterable[bool]) -> str:
    counted = list(flags)
    return f"{100 * sum(counted) / len(counted):.1f} %"


def _value(judgement: Judgement, label: str) -> float:
    return judgement.values[label] or 0.0


def _any(judgement: Judgement) -> float:
    return max(_value(judgement, head) for head in ENGLISH_HEADS)


def _ranking(judged: dict[str, list[Judged]]) -> str:
    lines = []
    for name, label, head in (
        ("hatecheck", "hate", "hate"),
        ("wikipedia_toxicity", "toxic", "toxicity"),
        ("wikipedia_toxicity", "toxic", "harassment"),
    ):
        truth = [row["labels"][label] for row, _ in judged[name]]
        values = [_value(judgement, head) for _, judgement in judged[name]]
        recall = _share(value >= 0.5 for value, true in zip(values, truth, strict=True) if true)
        wrong = _share(value >= 0.5 for value, true in zip(values, truth, strict=True) if not true)
        ranked = f"{roc_auc_score(truth, values):.3f}", f"{average_precision_score(truth, values):.3f}"
        lines.append((name, head, len(truth), sum(truth), *ranked, recall, wrong))
    return table("set | head | texts | positive | AUROC | AUPRC | recall at 0.5 | false positives at 0.5", lines)


def _false_positives(judged: dict[str, list[Judged]]) -> str:
    kinds = {
        "HateCheck, neutral identity statements": ("hatecheck", "ident_neutral_nh"),
        "HateCheck, positive identity statements": ("hatecheck", "ident_pos_nh"),
        "HateCheck, profanity without hate": ("hatecheck", "profanity_nh"),
        "HateCheck, reclaimed slurs": ("hatecheck", "slur_reclaimed_nh"),
        "HateCheck, denouncing by quoting": ("hatecheck", "counter_quote_nh"),
        "HateCheck, denouncing by referring": ("hatecheck", "counter_ref_nh"),
    }
    groups = {
        title: [one for row, one in judged[name] if row["meta"]["functionality"] == kind]
        for title, (name, kind) in kinds.items()
    }
    groups["XSTest, safe prompts"] = [one for row, one in judged["xstest"] if not row["labels"]["any"]]
    groups["Wikipedia, not toxic"] = [one for row, one in judged["wikipedia_toxicity"] if not row["labels"]["toxic"]]
    lines = (
        (title, len(ones), *(_share(_value(one, head) >= 0.5 for one in ones) for head in ENGLISH_HEADS))
        for title, ones in groups.items()
    )
    return table(f"texts at or above 0.5 | texts | {' | '.join(ENGLISH_HEADS)}", lines)


def _hateful(judged: list[Judged]) -> str:
    kinds = sorted({row["meta"]["functionality"] for row, _ in judged if row["labels"]["hate"]})
    lines = []
    for kind in kinds:
        ones = [one for row, one in judged if row["meta"]["functionality"] == kind]
        lines.append(
            (kind, len(ones), _share(_value(o, "hate") >= 0.5 for o in ones), _share(_any(o) >= 0.5 for o in ones))
        )
    return table("kind | texts | hate | any", lines)


def _folding(model: TextModel, judged: dict[str, list[Judged]]) -> str:
    spelt = ("spell_leet_h", "spell_space_add_h")
    groups = {kind: [row for row, _ in judged["hatecheck"] if row["meta"]["functionality"] == kind] for kind in spelt}
    groups["XSTest, safe prompts"] = [row for row, _ in judged["xstest"] if not row["labels"]["any"]]
    groups["Wikipedia, not toxic"] = [row for row, _ in judged["wikipedia_toxicity"] if not row["labels"]["toxic"]]
    lines = []
    for title, rows in groups.items():
        spellings = [[plain(row["text"]) for row in rows], [fold(row["text"], model.known) for row in rows]]
        found = (
            _share(max((model.heads.values(t) or {"": 0.0}).values()) >= 0.5 for t in texts) for texts in spellings
        )
        lines.append((title, len(rows), *found))
    return table("texts | number | as written | folded", lines)


def _languages(model: TextModel, data: Path, foreign: list[Judged]) -> str:
    lines = []
    for name in ENGLISH_SETS:
        rows = _rows(data, name)
        called = _share(model.judge(row["text"]).language != ENGLISH for row in rows)
        lines.append((f"English: {name}", len(rows), called, "", ""))
    for language in sorted({row["meta"]["language"] for row, _ in foreign}):
        ones = [(row["meta"]["functionality"], one) for row, one in foreign if row["meta"]["language"] == language]
        found = [_value(one, "profanity") >= 0.5 for kind, one in ones if kind.startswith("profanity_")]
        wrong = [_value(one, "profanity") >= 0.5 for kind, one in ones if kind in ("ident_neutral_nh", "ident_pos_nh")]
        lines.append(
            (language, len(ones), _share(o.language != ENGLISH for _, o in ones), _share(found), _share(wrong))
        )
    columns = "profanity ≥ 0.5 where there is some | on statements of identity"
    return table(f"set or language | texts | called another language | {columns}", lines)


def _check(model: TextModel, check: dict[str, list[str]]) -> str:
    judged = {kind: [model.judge(text) for text in texts] for kind, texts in check.items()}
    lines = []
    for kind, ones in judged.items():
        highest = sorted(_any(one) for one in ones)
        threat = sorted(_value(one, "harassment/threatening") for one in ones)
        lines.append((kind, len(ones), *(f"{v:.2f}" for v in (highest[0], highest[-1], threat[0], threat[-1]))))
    return table("kind | texts | lowest | highest | lowest harassment/threatening | highest", lines)


def _cost(model: TextModel) -> str:
    lines = ((len(text), f"{min(_cpu(model, text) for _ in range(20)):.2f}") for text in (SHORT, LONG))
    return table("characters | CPU milliseconds, best of 20 rounds", lines)


def _cpu(model: TextModel, text: str) -> float:
    """Milliseconds a text, mean of 20."""
    began = process_time()
    for _ in range(20):
        model.judge(text)
    return (process_time() - began) * 50
