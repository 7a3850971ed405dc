"""The English heads: one logistic regression a label, on TF-IDF, calibrated so that 0.5 is the label's threshold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adapters.local_text_model.features import Block, pieces, words

_ANALYSERS = {"words": words, "pieces": pieces}
_STEEPEST = 60.0  # e^60 is finite in float32, and 1 / (1 + e^60) is 0


@dataclass(frozen=True, slots=True)
class Heads:
    """`weights` is terms by labels, the terms of the blocks one under the other.

    A margin (log-odds of the regression) becomes a value 0..1 as 1 / (1 + exp(-slope · (margin - threshold))).
    """

    labels: tuple[str, ...]
    blocks: tuple[Block, ...]
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    slope: NDArray[np.float32]
    threshold: NDArray[np.float32]

    @classmethod
    def load(cls, file: Path) -> Heads:
        """Read what `save` wrote. Raises OSError, KeyError or ValueError for anything else; unpickles nothing."""
        with np.load(file, allow_pickle=False) as stored:
            blocks = tuple(
                Block(analyse, _rows(stored[name].tobytes()), stored[f"{name}_idf"].astype(np.float32))
                for name, analyse in _ANALYSERS.items()
            )
            bias, slope, threshold = stored["calibration"].astype(np.float32)
            labels = tuple(stored["labels"].tobytes().decode().split("\n"))
            return cls(labels, blocks, stored["weights"].astype(np.float32), bias, slope, threshold)

    def save(self, file: Path) -> None:
        """Write an npz: vocabularies as lines of UTF-8, weights and idf as float16, the same bytes every time."""
        arrays: dict[str, NDArray[np.generic]] = {
            "labels": np.frombuffer("\n".join(self.labels).encode(), np.uint8),
            "weights": self.weights.astype(np.float16),
            "calibration": np.stack([self.bias, self.slope, self.threshold]),
        }
        for name, block in zip(_ANALYSERS, self.blocks, strict=True):
            arrays[name] = np.frombuffer("\n".join(block.rows).encode(), np.uint8)
            arrays[f"{name}_idf"] = block.idf.astype(np.float16)
        np.savez_compressed(file, allow_pickle=False, **arrays)

    @property
    def vocabulary(self) -> frozenset[str]:
        """The single words the heads know."""
        return frozenset(term for term in self.blocks[0].rows if " " not in term)

    def margins(self, folded: str) -> NDArray[np.float32] | None:
        """Log-odds a label; None where the text holds no term the heads know, so there is nothing to judge by."""
        margins, above, seen = self.bias.copy(), 0, 0
        for block in self.blocks:
            rows, weights = block.weigh(folded)
            margins += weights @ self.weights[above + rows]
            above, seen = above + len(block.rows), seen + len(rows)
        return margins if seen else None

    def values(self, folded: str) -> dict[str, float] | None:
        """0..1 a label, None as in `margins`."""
        margins = self.margins(folded)
        if margins is None:
            return None
        steps = np.clip(self.slope * (margins - self.threshold), -_STEEPEST, _STEEPEST)
        return dict(zip(self.labels, (1 / (1 + np.exp(-steps))).tolist(), strict=True))


def _rows(lines: bytes) -> dict[str, int]:
    return {term: row for row, term in enumerate(lines.decode().split("\n"))}
