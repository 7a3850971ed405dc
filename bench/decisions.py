"""Synthetic decisions in the layout of gateway/sweep, and the policies they are asked.

Each content has a hidden height in each category, mostly next to nothing; each provider sees it with an error of its
own and in a hundredth of a percent's steps, as providers report it. Decided by the policy itself, in columns.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from gateway.domain import Modality
from gateway.paths import MESSAGES, TAXONOMY
from gateway.policy.making import load_policy
from gateway.policy.messages import Messages
from gateway.policy.policy import Policy
from gateway.sweep import parts
from gateway.sweep.judge import Judge
from gateway.sweep.layout import FOUND, PLAIN
from gateway.sweep.manifest import Manifest, Store
from gateway.sweep.opened import Opened
from gateway.sweep.rows import Bits
from gateway.sweep.truths import Truths
from gateway.taxonomy import Taxonomy

DAY = "2026-11-01"
PROVIDERS = ("north", "east", "south", "west")
CATEGORIES = (
    *("sexual/nudity", "sexual/activity", "sexual/suggestive", "violence", "violence/graphic", "hate", "hate/symbols"),
    *("harassment", "self_harm", "drugs", "weapons", "extremism", "spam", "illicit", "alcohol", "tobacco", "gambling"),
    *("disturbing", "child_safety", "profanity"),
)
THRESHOLDS: dict[str, tuple[float, float | None]] = {
    "sexual/nudity": (0.5, 0.9),
    "sexual/activity": (0.5, 0.9),
    "violence/graphic": (0.5, 0.9),
    "hate": (0.6, None),
    "self_harm": (0.4, None),
}
RULES = (
    ("review", 'labels.exists(l, l.name in ["thing-7", "thing-19"] && l.confidence >= 0.7)'),
    ("block", 'labels.exists(l, l.name == "thing-3" && l.confidence >= 0.95)'),
    ("block", 'votes("harassment", 0.7) >= 2'),
    ("review", 'user.strikes_90d >= 3 && (scores["hate"] >= 0.3 || scores["harassment"] >= 0.3)'),
    ("block", 'context.country in ["DE", "AT"] && scores["hate/symbols"] >= 0.6'),
    ("review", 'context.audience == "minors" && scores["sexual/suggestive"] >= 0.3'),
    ("review", 'scores["weapons"] >= 0.5 && !(context.surface in ["shop", "kitchen"])'),
    ("review", 'scores["drugs"] >= 0.5 || scores["illicit"] >= 0.6 || scores["extremism"] >= 0.4'),
    ("review", 'scores["spam"] >= 0.8 && user.account_age_days < 7'),
    ("block", 'scores["violence"] >= 0.97'),
)
_SURFACES, _COUNTRIES = ("post", "avatar", "shop", "kitchen"), ("DE", "AT", "US", "FR", "BR")


def policy(folder: Path, thresholds: dict[str, tuple[float, float | None]]) -> Policy:
    """Ten rules and a table of thresholds. What is unknown is ignored, or every outage would be a review."""
    rows = [f"  {slug}: {{review: {low:.4f}, block: {high or '-'!r}}}" for slug, (low, high) in thresholds.items()]
    rules = [
        f"  - {{id: r{n}, action: {action}, when: '{when}', if_unknown: ignore, because: measured}}"
        for n, (action, when) in enumerate(RULES)
    ]
    user = "user: {strikes_90d: int, account_age_days: int}"
    context = "context: {country: string, audience: string, surface: string}"
    file = folder / "bench.yaml"
    lines = ["policy: bench", user, context, "thresholds:", *rows, "rules:", *rules]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return load_policy(file, Taxonomy.from_file(TAXONOMY), Messages.from_file(MESSAGES))


def made(rows: int, number: int, store: Store, manifest: Manifest) -> tuple[pl.DataFrame, pl.DataFrame]:
    """One file's decisions, and the labels found on them."""
    luck = np.random.default_rng(number)
    frame = pl.DataFrame([*_about(luck, rows, number), *_scores(luck, rows), *_given(luck, rows)])
    found = _labels(luck, rows)
    with_policy = _decided(frame, found, store, manifest)
    return with_policy, found


def _about(luck: np.random.Generator, rows: int, number: int) -> list[pl.Series]:
    times = 1_793_491_200_000 + number * 8_000_000 + np.sort(luck.integers(0, 8_000_000, rows))
    plain: dict[str, Any] = {
        "id.time": times,
        "id.random": luck.integers(0, 2**64, rows, dtype=np.uint64),
        "input": np.zeros(rows),
        "of": np.ones(rows),
        "action": np.zeros(rows),
        "gap": np.zeros(rows),
        "labels": np.ones(rows),
        "hashes": np.zeros(rows),
    }
    same = {"modality": "image", "route": "default"}
    words = [pl.Series(name, [word], dtype=PLAIN[name]).new_from_index(0, rows) for name, word in same.items()]
    return [*words, *(pl.Series(name, values).cast(PLAIN[name]) for name, values in plain.items())]


def _scores(luck: np.random.Generator, rows: int) -> list[pl.Series]:
    out = {name: luck.random(rows) < 0.03 for name in PROVIDERS}
    columns = [pl.Series(f"p.{name}", missing.astype(np.uint8)) for name, missing in out.items()]
    for category in CATEGORIES:
        height = luck.normal(-6.5, 1.6, rows) + 5.5 * (luck.random(rows) < 0.02)
        for name in PROVIDERS:
            seen = height + luck.normal(0, 0.5, rows)
            score = np.round(10_000 / (1 + np.exp(-seen))).astype(np.uint16)
            columns.append(pl.Series(f"s.{name}.{category}", score).set(pl.Series(out[name]), None))
    return columns


def _given(luck: np.random.Generator, rows: int) -> list[pl.Series]:
    def one_of(name: str, words: tuple[str, ...]) -> pl.Series:
        return pl.Series(words).gather(luck.integers(0, len(words), rows)).cast(pl.Categorical).alias(name)

    return [
        one_of("context.surface:string", _SURFACES),
        one_of("context.country:string", _COUNTRIES),
        one_of("context.audience:string", ("adults", "adults", "adults", "minors")),
        pl.Series("user.strikes_90d:int", luck.poisson(0.3, rows)),
        pl.Series("user.account_age_days:int", luck.exponential(300, rows).astype(np.int64)),
    ]


def _labels(luck: np.random.Generator, rows: int) -> pl.DataFrame:
    """Three on average, of forty things."""
    place = np.repeat(np.arange(rows, dtype=np.uint32), luck.poisson(3, rows))
    names = pl.Series([f"thing-{n}" for n in range(40)]).gather(luck.integers(0, 40, len(place)))
    found = pl.DataFrame({"name": names, "row": place}).with_columns(
        pl.lit("label").alias("kind"),
        pl.Series("confidence", np.round(10_000 * luck.beta(4, 2, len(place))).astype(np.uint16)),
        pl.lit("north").alias("provider"),
    )
    return found.select(pl.col(name).cast(kind) for name, kind in FOUND.items())


def _decided(frame: pl.DataFrame, found: pl.DataFrame, store: Store, manifest: Manifest) -> pl.DataFrame:
    """With action, reasons and policy, as the policy decides them."""
    rule = policy(store.folder, THRESHOLDS)
    frame = frame.with_columns(pl.lit(rule.resolved).cast(pl.Categorical).alias("policy"))
    draft = parts.write(store, f"days/{DAY}/default/draft", "default", frame, found, fields_of(frame))
    opened, judge = Opened(store, draft), Judge(rule, draft, Modality.IMAGE, {})
    bits = Bits(manifest.bits)
    truths, every = Truths(opened, None), np.arange(frame.height)
    numbers = [bits.number(name, action.value) for name, action in judge.reasons]
    holding = truths.holding(list(judge.reasons.values()), every)
    words = np.zeros(frame.height, dtype=np.uint64)  # one word each: there are fewer than 64
    for place, number in enumerate(numbers):
        words |= holding[:, place] * np.uint64(1 << number)
    actions = np.zeros(frame.height, dtype=np.uint8)
    truths.strictest(judge.reasons, actions)
    return frame.with_columns(pl.Series("action", actions), pl.Series("hits.0", words))


def fields_of(frame: pl.DataFrame) -> list[str]:
    """The fields of context that are in its columns."""
    return [column.rpartition(":")[0] for column in frame.columns if ":" in column]
