"""Calibration of a trained network, and of its heads, on rows kept out of training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.models.errors import TrainingDivergedError
from ctr_retrain.models.features.vocabulary import count_unseen
from ctr_retrain.models.recipe.head_section import UNKNOWN
from ctr_retrain.models.serving.calibration import Calibration, choose_calibration
from ctr_retrain.models.training.stacked_arrays import CHUNK_ROWS, chunks
from ctr_retrain.models.training.training_loop import UNTRACED_ROWS, logits_function

if TYPE_CHECKING:
    from collections.abc import Sequence

    import keras
    import numpy.typing as npt

    from ctr_retrain.models.recipe.recipe import Recipe
    from ctr_retrain.models.training.batches import TrainingRows
    from ctr_retrain.models.training.stacked_arrays import Stacked
    from ctr_retrain.models.weights.head_weights import HeadFactors


def logits_of(
    network: keras.Model,
    ids: npt.NDArray[np.int32] | Stacked,
    numeric: npt.NDArray[np.float32] | Stacked,
    column: int = 0,
) -> npt.NDArray[np.float32]:
    """Return the network's logits of encoded rows, (n,), before calibration; those of a head by its column."""
    logits = logits_function(network, column=column, traced=len(ids) > UNTRACED_ROWS)
    parts = zip(chunks(ids, CHUNK_ROWS), chunks(numeric, CHUNK_ROWS), strict=True)
    return np.concatenate([logits(*part) for part in parts])


def calibrate(rows: TrainingRows | None, network: keras.Model) -> Calibration:
    """Fit the calibration layer on the calibration slice, rows that training never saw.

    Raises TrainingDivergedError where the network answers them with no number.
    """
    if rows is None:
        return choose_calibration(np.empty(0, np.float32), np.empty(0, np.uint8), np.empty(0, np.int16))
    logit = finite_logits(network, rows)
    return choose_calibration(logit, rows.label, rows.day_index)


def unseen_shares(rows: TrainingRows | None, recipe: Recipe) -> dict[str, float]:
    """Return by feature of texts the share of the rows whose value has no embedding row of its own."""
    if rows is None:
        return {}
    found = count_unseen(chunks(rows.ids, CHUNK_ROWS), recipe.features)
    return {name: count / len(rows.label) for name, count in found.items()}


def calibrate_heads(
    rows: TrainingRows | None, network: keras.Model, heads: Sequence[HeadFactors]
) -> dict[str, Calibration]:
    """Fit each head's own layer on the rows whose label of its kind is final; without any, it changes nothing."""
    found = {}
    for place, head in enumerate(heads):
        logit, label, day = np.empty(0, np.float32), np.empty(0, np.uint8), np.empty(0, np.int16)
        if rows is not None and rows.heads is not None:
            known = rows.heads[:, place] != UNKNOWN
            logit = finite_logits(network, rows, 1 + place)[known]
            label, day = rows.heads[known, place], rows.day_index[known]
        found[head.kind] = choose_calibration(logit, label, day)
    return found


def finite_logits(network: keras.Model, rows: TrainingRows, column: int = 0) -> npt.NDArray[np.float32]:
    """Return the network's logits of kept-out rows, (n,); raises TrainingDivergedError where one is no number."""
    logit = logits_of(network, rows.ids, rows.numeric, column)
    if unusable := int((~np.isfinite(logit)).sum()):
        msg = (
            f"calibration: expected a finite logit for each of {len(logit):,} rows, received none for {unusable:,}. "
            "Lower training.learning_rate and training.embedding_learning_rate."
        )
        raise TrainingDivergedError(msg)
    return logit
