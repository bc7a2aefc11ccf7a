"""Labels, weights and offsets of rows for a head, from the head's own factors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ctr_retrain.models.recipe.head_section import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctr_retrain.models.weights.row_weights import Factors

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class HeadFactors:
    """A head's own weights and offsets, from its own label over the rows that know it."""

    kind: str  # of outcome
    weight: float  # of the head's loss, where the label's is 1
    factors: Factors  # of its own label

    def terms(
        self, label: npt.NDArray[np.uint8], day_index: npt.NDArray[Any], confidence: Any, chance: npt.NDArray[Any]
    ) -> tuple[Floats, Floats, Floats]:
        """Return the rows' labels, offsets and weights, (n,) each; where the label is unknown, the weight is 0.

        chance: how often an epoch streams a row, against the mean, by the sampling of the main label. Dividing by it
        makes the streamed rows stand for all rows again (Horvitz and Thompson 1952).
        """
        known = label != UNKNOWN
        filled = np.where(known, label, 0)  # any label would do where it weighs nothing
        weight = self.weight * self.factors.weight(day_index, filled, confidence) * known / chance
        return filled.astype(np.float32), self.factors.offset(day_index, confidence), weight.astype(np.float32)


def streaming_chance(main: Factors, day_index: npt.NDArray[Any], label: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    """Return how often an epoch streams each row by the main label's sampling, against the mean over all rows, (n,)."""
    if not main.samples:
        return np.ones(len(label))
    chance = np.where(label == 1, main.positive_copies, np.asarray(main.negative_share)[day_index])
    return np.asarray(chance * main.rows_before_sampling / main.rows)


def with_heads(
    main: tuple[Floats, Floats, Floats], heads: Sequence[tuple[Floats, Floats, Floats]]
) -> tuple[Floats, Floats, Floats]:
    """Join labels, offsets and weights of the main label and the heads, (n, 1 + heads) each, the main one first."""
    label, offset, weight = (np.stack(columns, axis=1) for columns in zip(main, *heads, strict=True))
    return label, offset, weight
