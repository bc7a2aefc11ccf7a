"""One fit: a network trained on rows of T and calibrated on C. A run and a comparison of recipes share it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import keras
import numpy as np
import tensorflow as tf

from ctr_retrain.models.documents.training_documents import TrainingResult, TransferReport
from ctr_retrain.models.errors import DataRejectedError, ProcessDiedError, TrainingDivergedError
from ctr_retrain.models.features.rare_values import adapt_rare_values
from ctr_retrain.models.features.standardize import NumericState, fit_numeric_state
from ctr_retrain.models.network.build_network import build_network
from ctr_retrain.models.network.shared_heads import frozen_below_output
from ctr_retrain.models.recipe.head_section import UNKNOWN
from ctr_retrain.models.serving.calibration import Calibration, fit_calibration
from ctr_retrain.models.training.batches import Batches, TrainingRows, make_batches
from ctr_retrain.models.training.device import choose_strategy
from ctr_retrain.models.training.saved_network import Trainable, trainable_of
from ctr_retrain.models.training.stacked_arrays import chunks
from ctr_retrain.models.training.training_loop import optimizer_for, predict_logits, train
from ctr_retrain.models.training.warm_start import (
    SourceModel,
    check_layer_names,
    freeze_layers,
    seen_rows,
    steps_done,
    transfer_slots,
    transfer_weights,
    transferred_state,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from ctr_retrain.models.recipe.recipe import Recipe
    from ctr_retrain.models.recipe.training_section import Training
    from ctr_retrain.models.training.stacked_arrays import Stacked
    from ctr_retrain.models.training.table_optimizer import TableOptimizer
    from ctr_retrain.models.training.training_state import Checkpoints
    from ctr_retrain.models.weights.head_weights import HeadFactors
    from ctr_retrain.models.weights.row_weights import Factors
    from ctr_retrain.tasks.execution.progress import Report
    from ctr_retrain.tasks.train.training_rows import TrainingSplit

CHUNK_ROWS = 200_000


@dataclass(frozen=True, eq=False)
class Fitted:
    """A trained network in full precision, what its numbers are standardised by, its calibration.

    trainable: network and optimizer as training left them. carried: of a warm start, what came from the champion.
    """

    network: keras.Model
    trainable: Trainable
    transferred: TransferReport | None
    state: NumericState
    calibration: Calibration
    result: TrainingResult
    head_calibrations: dict[str, Calibration]


def fit_network(
    rows: TrainingSplit,
    recipe: Recipe,
    factors: Factors,
    progress: Report,
    checkpoints: Checkpoints | None = None,
    source_model: SourceModel | None = None,
    *,
    heads: Sequence[HeadFactors] = (),
    representation: Factors | None = None,
) -> Fitted:
    """Fit the recipe's network on the slices of T; the device was prepared before.

    donor: the champion that the weights start from, instead of from nothing. heads: of the recipe's. representation:
    where there are two stages, what rows weigh in the first, in which all layers learn; in the second, the output
    layers alone do, by `factors` (Kang et al. 2020, section 4.1). Raises TrainingDivergedError where the loss or a
    logit is no number, ProcessDiedError where memory doesn't suffice, UsageError where the recipe freezes a layer that
    isn't there.
    """
    training, strategy = recipe.training, choose_strategy()
    keras.utils.set_random_seed(training.seed)
    try:
        state = fit_numeric_state(chunks(rows.train.numeric, CHUNK_ROWS), recipe.features)
        base_log_odds = factors.base_log_odds
        if source_model:
            training = _slower(training, recipe.warm_start.rate_share)
            state = transferred_state(state, recipe.features, source_model)
            base_log_odds = source_model.trainable.base_log_odds or base_log_odds
        first = representation or factors
        batches = make_batches(rows.train, first, training.batch_rows, training.seed, heads)
        stopping = _stopping_batches(rows.stop, first, recipe, heads)
        with strategy.scope():
            log_odds = [head.factors.base_log_odds for head in heads]
            network = build_network(recipe, state, base_log_odds, training.seed, log_odds)
            check_layer_names(network, recipe.warm_start.freeze)
            known = rows.train.ids if rows.window_ids is None else rows.window_ids
            adapt_rare_values(network, chunks(known, CHUNK_ROWS))
            optimizer, transferred = _started(network, batches, recipe, source_model, rows, training)
        more = {"stopping": stopping, "checkpoints": checkpoints, "strategy": strategy, "optimizer": optimizer}
        result = train(network, batches, training, progress, **more)
        if representation:
            batches = make_batches(rows.train, factors, training.batch_rows, training.seed, heads)
            stopping = _stopping_batches(rows.stop, factors, recipe, heads)
            with frozen_below_output(network):
                result = train(network, batches, training, progress, stopping=stopping, strategy=strategy)
        trainable = trainable_of(network, optimizer)
        network = in_full_precision(network, recipe, state, base_log_odds)
        calibration, of_heads = _calibrate(rows.calibrate, network), _calibrate_heads(rows.calibrate, network, heads)
        return Fitted(network, trainable, transferred, state, calibration, result, of_heads)
    except tf.errors.ResourceExhaustedError as error:
        msg = (
            f"training: expected room for the model and a batch, received: {error.message.splitlines()[0]} "
            "Lower training.batch_rows, training.embedding_dim or the features' buckets."
        )
        raise ProcessDiedError(msg) from error


def _started(
    network: keras.Model,
    batches: Batches,
    recipe: Recipe,
    source_model: SourceModel | None,
    rows: TrainingSplit,
    training: Training,
) -> tuple[TableOptimizer, TransferReport | None]:
    """The optimizer, and, where there is a donor, what its weights and its optimizer's slots became here."""
    if source_model is None:
        return optimizer_for(network, batches, training), None
    seen = None if rows.recent_ids is None else seen_rows(chunks(rows.recent_ids, CHUNK_ROWS), recipe.features)
    transferred, sources = transfer_weights(network, recipe, source_model, seen)
    transferred = freeze_layers(network, recipe.warm_start.freeze, transferred)
    kept = recipe.warm_start.optimizer == "kept"
    optimizer = optimizer_for(network, batches, training, steps_done(source_model) if kept else 0)
    optimizer.build(network.trainable_variables)
    return optimizer, transfer_slots(optimizer, network, source_model, sources, transferred) if kept else transferred


def _slower(training: Training, share: float) -> Training:
    """The same with this share of both learning rates."""
    rates = {name: share * getattr(training, name) for name in ("learning_rate", "embedding_learning_rate")}
    return training.model_copy(update=rates)


def logits_of(
    network: keras.Model,
    ids: npt.NDArray[np.int32] | Stacked,
    numeric: npt.NDArray[np.float32] | Stacked,
    column: int = 0,
) -> npt.NDArray[np.float32]:
    """The network's answers to encoded rows, (n,), before calibration; those of a head by its column."""
    parts = zip(chunks(ids, CHUNK_ROWS), chunks(numeric, CHUNK_ROWS), strict=True)
    return np.concatenate([predict_logits(network, *part, column=column) for part in parts])


def in_full_precision(network: keras.Model, recipe: Recipe, state: NumericState, base_log_odds: float) -> keras.Model:
    """The trained network as it is calibrated and served: in float32, whatever it was trained in, outside a scope."""
    training = recipe.training
    plain = recipe.model_copy(update={"training": training.model_copy(update={"precision": "float32"})})
    copy = build_network(plain, state, base_log_odds, training.seed)
    copy.set_weights(network.get_weights())
    return copy


def _stopping_batches(
    rows: TrainingRows | None, factors: Factors, recipe: Recipe, heads: Sequence[HeadFactors]
) -> Batches | None:
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
    return make_batches(rows, factors, training.batch_rows, training.seed, heads)


def _calibrate(rows: TrainingRows | None, network: keras.Model) -> Calibration:
    """Fit the calibration layer on C, rows that training never saw.

    Raises TrainingDivergedError where the network answers them with no number.
    """
    if rows is None:
        return fit_calibration(np.empty(0, np.float32), np.empty(0, np.uint8))
    logit = _finite(logits_of(network, rows.ids, rows.numeric))
    return fit_calibration(logit, rows.label)


def _calibrate_heads(
    rows: TrainingRows | None, network: keras.Model, heads: Sequence[HeadFactors]
) -> dict[str, Calibration]:
    """Each head's own layer, on the rows of C whose label of its kind is final; without any, it changes nothing."""
    found = {}
    for place, head in enumerate(heads):
        logit, label = np.empty(0, np.float32), np.empty(0, np.uint8)
        if rows is not None and rows.heads is not None:
            known = rows.heads[:, place] != UNKNOWN
            logit = _finite(logits_of(network, rows.ids, rows.numeric, 1 + place))[known]
            label = rows.heads[known, place]
        found[head.kind] = fit_calibration(logit, label)
    return found


def _finite(logit: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The logits; raises TrainingDivergedError where one is no number."""
    if unusable := int((~np.isfinite(logit)).sum()):
        msg = (
            f"calibration: expected a finite logit for each of {len(logit):,} rows, received none for {unusable:,}. "
            "Lower training.learning_rate and training.embedding_learning_rate."
        )
        raise TrainingDivergedError(msg)
    return logit
