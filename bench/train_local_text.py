"""Train the local text model, measure it, write its weights and the figures of its model card.

    python -m bench.train_local_text --data DIR [--report]

DIR holds one folder a data set, each with an even.jsonl of {"text", "labels", "meta"}; the model card says which sets,
where they come from and under which licence. Nothing else of modgate needs them. About three minutes on one core, and
the same weights every time. local_text_figures.py beside this measures the finished model on sets never trained on.
"""

from __future__ import annotations

import hashlib
import html
import json
import random
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
import yaml
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score

from adapters.local_text_model.features import Block, pieces, words
from adapters.local_text_model.heads import Heads
from adapters.local_text_model.language import ENGLISH, LanguageGate
from adapters.local_text_model.model import FOLDER, LEXICON, SUMS, WEIGHTS, WINDOW, TextModel
from adapters.local_text_model.normalise import fold, plain
from bench.local_text_figures import figures, table

HEADS = ("sexual", "hate", "harassment", "violence", "self-harm", "toxicity")
# Set → weight of a row. The tweets are many and of one kind: at full weight they drown the 789 rows that know all heads
TRAINING = {
    "openai_moderation": 5.0,
    "surge_toxicity": 4.0,
    "toxigen_demonstrations": 2.0,
    "simple_safety_tests": 2.0,
    "identity_madlibs": 1.0,
    "davidson": 0.2,
    "edos_sexism": 0.1,
}
OWN_WEIGHT = 0.3
CALIBRATION = {head: "surge_toxicity" if head == "toxicity" else "openai_moderation" for head in HEADS}
FALSE_POSITIVES = 0.015  # of the negatives of the calibration set lie above the threshold
INVERSE_REGULARISATION = 4.0
FOLDS = 5
SEED = 7
OWN_ROWS = Path(__file__).with_name("local_text_rows.yaml")
MARKERS = ("<!-- figures: written by bench.train_local_text --report -->\n", "<!-- end of figures -->")

Margins = NDArray[np.float64]
Matrix = Any  # scipy.sparse has no types


@dataclass(frozen=True, slots=True)
class Row:
    """`labels` are 0 or 1 by head; a head that is missing is unknown for this text."""

    source: str
    text: str
    labels: dict[str, int]
    meta: dict[str, Any]

    @property
    def own(self) -> bool:
        return self.source == "own"

    @property
    def weight(self) -> float:
        return OWN_WEIGHT if self.own else TRAINING[self.source]

    @property
    def part(self) -> int:
        """The fold this text is held out in."""
        return int(hashlib.sha256(b"fold" + self.text.encode("utf-8", "surrogatepass")).hexdigest(), 16) % FOLDS


def read(data: Path, source: str) -> Iterator[Row]:
    """The rows of one set, their labels completed: see `complete`."""
    with (data / source / "even.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            labels = {"toxicity" if name == "toxic" else name: value for name, value in row["labels"].items()}
            text = html.unescape(html.unescape(row["text"])) if source == "davidson" else row["text"]
            yield Row(source, text[:WINDOW], complete(source, labels, row["meta"]), row["meta"])


def complete(source: str, labels: dict[str, int], meta: dict[str, Any]) -> dict[str, int]:
    """What a set's own labels imply for our heads."""
    known = {head: labels[head] for head in HEADS if head in labels}
    if source in ("davidson", "surge_toxicity", "identity_madlibs") and known.get("toxicity") == 0:
        return dict.fromkeys(HEADS, 0)
    if source == "surge_toxicity":
        known["harassment"] = 1
    if source == "edos_sexism" and meta["category"].startswith("1."):  # threats, plans to harm and incitement
        known["violence"] = 1
    if source == "simple_safety_tests" and meta["harm_area"].startswith("Physical harm"):
        known["violence"] = 1
    return known


def own_rows(written: dict[str, Any]) -> Iterator[Row]:
    """Sentences drawn from our templates; those kept for the final look are never drawn."""
    draw = random.Random(SEED)
    kept = {text.lower() for texts in written["check"].values() for text in texts}
    for group in written["groups"].values():
        drawn: dict[str, None] = {}
        for _ in range(20 * group["draw"]):
            template = draw.choice(group["templates"])
            text = template
            while "{" in text:
                text = re.sub(r"\{(\w+)\}", lambda slot: draw.choice(written["slots"][slot[1]]), text)
            if text.lower() not in kept and len(drawn) < group["draw"]:
                drawn[text] = None
        yield from (Row("own", text, group["labels"], {}) for text in drawn)


@dataclass(frozen=True, slots=True)
class Features:
    """The two fitted vectorisers, as scikit-learn has them."""

    vectorisers: tuple[TfidfVectorizer, TfidfVectorizer]

    @classmethod
    def fit(cls, texts: list[str]) -> Features:
        word = TfidfVectorizer(analyzer=words, min_df=2, max_features=35_000, sublinear_tf=True)
        piece = TfidfVectorizer(analyzer=pieces, min_df=4, max_features=70_000, sublinear_tf=True)
        return cls((word.fit(texts), piece.fit(texts)))

    def transform(self, texts: list[str]) -> Matrix:
        return hstack([vectoriser.transform(texts) for vectoriser in self.vectorisers]).tocsr()

    def blocks(self) -> tuple[Block, ...]:
        """The same, as the model keeps them: terms in the order of their columns."""
        return tuple(
            Block(analyse, {str(term): row for row, term in enumerate(fitted.get_feature_names_out())}, fitted.idf_)
            for analyse, fitted in zip((words, pieces), self.vectorisers, strict=True)
        )


def regress(matrix: Matrix, rows: list[Row], head: str) -> LogisticRegression:
    """One head, on the rows that know it."""
    chosen = [index for index, row in enumerate(rows) if head in row.labels]
    model = LogisticRegression(C=INVERSE_REGULARISATION, class_weight="balanced", solver="liblinear", random_state=SEED)
    truth, weight = [rows[index].labels[head] for index in chosen], [rows[index].weight for index in chosen]
    return model.fit(matrix[chosen], truth, sample_weight=weight)


def out_of_fold(rows: list[Row], texts: list[str], say: Callable[[str], None]) -> Margins:
    """Rows by heads: margins of models which have not seen the row, nor its words. Our own rows are always seen."""
    margins = np.full((len(rows), len(HEADS)), np.nan)
    for part in range(FOLDS):
        say(f"fold {part + 1} of {FOLDS}")
        held = [index for index, row in enumerate(rows) if row.part == part and not row.own]
        seen = [index for index, row in enumerate(rows) if row.part != part or row.own]
        features = Features.fit([texts[index] for index in seen])
        matrix, unseen = features.transform([texts[i] for i in seen]), features.transform([texts[i] for i in held])
        for column, head in enumerate(HEADS):
            model = regress(matrix, [rows[index] for index in seen], head)
            margins[held, column] = model.decision_function(unseen)
    return margins


def judged(rows: list[Row], margins: Margins, head: str, source: str) -> tuple[NDArray[np.int64], Margins]:
    """Truth and out-of-fold margins of the rows of one set that know a head."""
    chosen = [index for index, row in enumerate(rows) if row.source == source and head in row.labels]
    return np.array([rows[index].labels[head] for index in chosen]), margins[chosen, HEADS.index(head)]


def calibrate(rows: list[Row], margins: Margins) -> tuple[Margins, Margins]:
    """Slope (Platt) and threshold (false positives) of each head, from out-of-fold margins."""
    slopes, thresholds = [], []
    for head, source in CALIBRATION.items():
        truth, margin = judged(rows, margins, head, source)
        platt = LogisticRegression(C=1e3).fit(margin[:, None], truth)
        slopes.append(float(platt.coef_[0, 0]))
        thresholds.append(float(np.quantile(margin[truth == 0], 1 - FALSE_POSITIVES)))
    return np.array(slopes), np.array(thresholds)


def english_only(rows: Iterable[Row]) -> list[Row]:
    """Without the texts that are in another language: the heads are English, and 4 % of one set is not."""
    gate = LanguageGate.load(known=frozenset())
    return [row for row in rows if row.own or gate.language(plain(row.text)) == ENGLISH]


def folded(rows: list[Row]) -> list[str]:
    """The texts as the model will see them; the words known are those two rows hold before any is put right."""
    texts = [fold(row.text, frozenset()) for row in rows]
    counted = TfidfVectorizer(analyzer=words, min_df=2, max_features=35_000).fit(texts)
    known = frozenset(term for term in counted.vocabulary_ if " " not in term)
    return [fold(row.text, known) for row in rows]


def train(rows: list[Row], texts: list[str], slopes: Margins, thresholds: Margins) -> Heads:
    """All heads on all rows."""
    features = Features.fit(texts)
    matrix: csr_matrix = features.transform(texts)
    models = [regress(matrix, rows, head) for head in HEADS]
    return Heads(
        labels=HEADS,
        blocks=features.blocks(),
        weights=np.stack([model.coef_[0] for model in models], axis=1).astype(np.float32),
        bias=np.array([model.intercept_[0] for model in models], np.float32),
        slope=slopes.astype(np.float32),
        threshold=thresholds.astype(np.float32),
    )


def write(heads: Heads) -> str:
    """Weights and sums into the model's folder; the digest of the weights."""
    heads.save(FOLDER / WEIGHTS)
    digests = {name: hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() for name in (WEIGHTS, LEXICON)}
    (FOLDER / SUMS).write_text("".join(f"{digest}  {name}\n" for name, digest in digests.items()), "ascii")
    return digests[WEIGHTS]


def within(rows: list[Row], margins: Margins, slopes: Margins, thresholds: Margins) -> str:
    """Held-out figures on the sets we train on."""
    lines = []
    for column, head in enumerate(HEADS):
        for source in TRAINING:
            truth, margin = judged(rows, margins, head, source)
            if min((truth == 0).sum(), (truth == 1).sum()) < 20 or source == "identity_madlibs":
                continue
            above = margin >= thresholds[column]
            ranked = f"{roc_auc_score(truth, margin):.3f}", f"{average_precision_score(truth, margin):.3f}"
            rates = f"{above[truth == 1].mean():.2f}", f"{100 * above[truth == 0].mean():.1f} %"
            set_by = "yes" if CALIBRATION[head] == source else ""
            lines.append((head, source, len(truth), truth.sum(), *ranked, *rates, set_by))
    limits = [
        (head, f"{limit:+.2f}", f"{slope:.2f}") for head, limit, slope in zip(HEADS, thresholds, slopes, strict=True)
    ]
    columns = (
        "head | set | texts | positive | AUROC | AUPRC | recall at 0.5 | false positives at 0.5 | threshold set here"
    )
    return table(columns, lines) + "\n" + table("head | threshold, log-odds | slope", limits)


def report(text: str) -> None:
    """Put the figures between the markers of the model card."""
    card = FOLDER / "README.md"
    before, rest = card.read_text("utf-8").split(MARKERS[0])
    card.write_text(before + MARKERS[0] + "\n" + text + "\n" + MARKERS[1] + rest.split(MARKERS[1])[1], "utf-8")


def main(
    data: Annotated[Path, typer.Option(help="folder with one folder a data set", exists=True, file_okay=False)],
    into_card: Annotated[bool, typer.Option("--report", help="write the figures into the model card")] = False,
) -> None:
    """Train, write, measure."""
    written = yaml.safe_load(OWN_ROWS.read_text("utf-8"))
    theirs = english_only(row for source in TRAINING for row in read(data, source))
    rows = [*theirs, *own_rows(written)]
    typer.echo(f"{len(theirs)} English texts of {len(TRAINING)} sets, {len(rows) - len(theirs)} sentences of our own")
    texts = folded(rows)
    margins = out_of_fold(rows, texts, typer.echo)
    slopes, thresholds = calibrate(rows, margins)
    typer.echo("all rows")
    digest = write(train(rows, texts, slopes, thresholds))
    text = within(rows, margins, slopes, thresholds) + "\n" + figures(TextModel.load(), data, written["check"])
    typer.echo(text)
    typer.echo(f"SHA-256 {digest}, {(FOLDER / WEIGHTS).stat().st_size:,} bytes")
    if into_card:
        report(text)


if __name__ == "__main__":
    typer.run(main)
