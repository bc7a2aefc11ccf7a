"""One fit: a network trained on rows of T and calibrated on C. A run and a comparison of recipes share it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import keras
import numpy as np
import tensorflow as tf

from models.batches import Batches, TrainingRows, make_batches
from models.calibration import Calibration, fit_calibration
from models.device import choose_strategy
from models.errors import DataRejectedError, ProcessDiedError, TrainingDivergedError
from models.network import build_network
from models.rare_values import adapt_rare_values
from models.stacked import chunks
from models.standardize import NumericState, fit_numeric_state
from models.training import TrainingResult, optimizer_for, predict_logits, train

if TYPE_CHECKING:
    import numpy.typing as npt

    from models.checkpoint import Checkpoints
    from models.factors import Factors
    from models.recipe import Recipe
    from models.stacked import Stacked
    from models.table_optimizer import TableOptimizer
    from tasks.progress import Report
    from tasks.training_rows import Slices

CHUNK_ROWS = 200_000


@dataclass(frozen=True, eq=False)
class Fitted:
    """A trained network in full precision, its optimizer, what its numbers are standardised by, its calibration."""

    network: keras.Model
    optimizer: TableOptimizer
    state: NumericState
    calibration: Calibration
    result: TrainingResult


def fit_network(
    rows: Slices, recipe: Recipe, factors: Factors, progress: Report, checkpoints: Checkpoints | None = None
) -> Fitted:
    """Fit the recipe's network on the slices of T; the device was prepared before.

    Raises TrainingDivergedError where the loss or a logit is no number, ProcessDiedError where memory doesn't suffice.
    """
    training, strategy = recipe.training, choose_strategy()
    keras.utils.set_random_seed(training.seed)
    try:
        state = fit_numeric_state(chunks(rows.train.numeric, CHUNK_ROWS), recipe.features)
        with strategy.scope():
            network = build_network(recipe, state, factors.base_log_odds, training.seed)
        adapt_rare_values(network, chunks(rows.train.ids, CHUNK_ROWS))
        batches = make_batches(rows.train, factors, training.batch_rows, training.seed)
        stopping = _stopping_batches(rows.stop, factors, recipe)
        with strategy.scope():
            optimizer = optimizer_for(network, batches, training)
        more = {"stopping": stopping, "checkpoints": checkpoints, "strategy": strategy, "optimizer": optimizer}
        result = train(network, batches, training, progress, **more)
        network = _in_full_precision(network, recipe, state, factors)
        return Fitted(network, optimizer, state, _calibrate(rows.calibrate, network), result)
    except tf.errors.ResourceExhaustedError as error:
        msg = (
            f"training: expected room for the model and a batch, received: {error.message.splitlines()[0]} "
            "Lower training.batch_rows, training.embedding_dim or the features' buckets."
        )
        raise ProcessDiedError(msg) from error


def logits_of(
    network: keras.Model, ids: npt.NDArray[np.int32] | Stacked, numeric: npt.NDArray[np.float32] | Stacked
) -> npt.NDArray[np.float32]:
    """The network's answers to encoded rows, (n,), before calibration."""
    parts = zip(chunks(ids, CHUNK_ROWS), chunks(numeric, CHUNK_ROWS), strict=True)
    return np.concatenate([predict_logits(network, *part) for part in parts])


def _in_full_precision(network: keras.Model, recipe: Recipe, state: NumericState, factors: Factors) -> keras.Model:
    """The trained network as it is calibrated and served: in float32, whatever it was trained in, outside a scope."""
    training = recipe.training
    plain = recipe.model_copy(update={"training": training.model_copy(update={"precision": "float32"})})
    copy = build_network(plain, state, factors.base_log_odds, training.seed)
    copy.set_weights(network.get_weights())
    return copy


def _stopping_batches(rows: TrainingRows | None, factors: Factors, recipe: Recipe) -> Batches | None:
    """The rows kept out to stop by, in their order, weighed as the others are; None for a single epoch."""
    training = recipe.training
    if training.epochs == 1:
        return None
    if rows is None:
        msg = (
            "early stopping: expected users kept out to stop by, received no row of theirs. Raise "
            "training.stopping_share or training.calibration_days, or set training.epochs to 1."
        )
        raise DataRejectedError(msg)
    return make_batches(rows, factors, training.batch_rows, training.seed)


def _calibrate(rows: TrainingRows | None, network: keras.Model) -> Calibration:
    """Fit the calibration layer on C, rows that training never saw.

    Raises TrainingDivergedError where the network answers them with no number.
    """
    if rows is None:
        return fit_calibration(np.empty(0, np.float32), np.empty(0, np.uint8))
    logit = logits_of(network, rows.ids, rows.numeric)
    if unusable := int((~np.isfinite(logit)).sum()):
        msg = (
            f"calibration: expected a finite logit for each of {len(logit):,} rows, received none for {unusable:,}. "
            "Lower training.learning_rate and training.embedding_learning_rate."
        )
        raise TrainingDivergedError(msg)
    return fit_calibration(logit, rows.label)
