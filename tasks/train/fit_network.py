"""One fit: a network trained on the training window and calibrated on rows kept out of training.

Both a run, for its challenger, and a comparison, for each of its strategies, fit networks here.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from ctr_retrain.models.documents.training_documents import (
    FieldValues,
    LinearCompanion,
    TrainingResult,
    TransferReport,
)
from ctr_retrain.models.errors import DataRejectedError, ProcessDiedError
from ctr_retrain.models.features.rare_values import draw_rare_values
from ctr_retrain.models.features.standardize import NumericState, fit_numeric_state
from ctr_retrain.models.linear.linear_companion import (
    FIRST_SHARE,
    choose_share,
    has_companion,
    mean_of,
    solve_companion,
)
from ctr_retrain.models.linear.solved_network import can_be_solved, solve_network
from ctr_retrain.models.network.build_network import build_network, embedding_width
from ctr_retrain.models.network.shared_heads import frozen_below_output
from ctr_retrain.models.serving.intercept_layer import has_intercepts, with_intercepts
from ctr_retrain.models.serving.unseen_weights import fit_unseen_values
from ctr_retrain.models.training.batches import Batches, TrainingRows, count_streamed, make_batches
from ctr_retrain.models.training.device import choose_strategy
from ctr_retrain.models.training.saved_network import Trainable, members_of, trainable_of
from ctr_retrain.models.training.stacked_arrays import CHUNK_ROWS, chunks
from ctr_retrain.models.training.training_loop import optimizer_for, train
from ctr_retrain.models.training.training_steps import choose_batch_rows, choose_members, choose_rates
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
from ctr_retrain.tasks.train.calibrate_network import calibrate, calibrate_heads, finite_logits, unseen_shares

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ctr_retrain.models.recipe.recipe import Recipe
    from ctr_retrain.models.recipe.training_section import Training
    from ctr_retrain.models.serving.calibration import Calibration
    from ctr_retrain.models.training.table_optimizer import TableOptimizer
    from ctr_retrain.models.training.training_state import Checkpoints
    from ctr_retrain.models.weights.head_weights import HeadFactors
    from ctr_retrain.models.weights.row_weights import Factors
    from ctr_retrain.tasks.execution.progress import Report
    from ctr_retrain.tasks.train.training_rows import TrainingSplit


@dataclass(frozen=True, eq=False)
class Fitted:
    """A trained and calibrated network, and how it came to be."""

    network: keras.Model  # in full precision, as it is served
    recipe: Recipe  # whose features know their values with rows of the embedding table
    trainable: Trainable  # network and optimizer as training left them, for a warm start to go on from
    transferred: TransferReport | None  # in a warm start, what came from the champion
    state: NumericState  # what numbers are standardised by
    calibration: Calibration  # fitted on rows that training never saw
    result: TrainingResult  # how training went
    head_calibrations: dict[str, Calibration]  # kind of outcome → the calibration of its head
    values: tuple[FieldValues, ...]  # of each feature of texts
    calibration_unseen: dict[str, float]  # feature of texts → share of the calibration slice that it doesn't know


@dataclass(frozen=True)
class FitPlace:
    """The place of a fit: what computes, and where states are kept."""

    strategy: Any  # of tf.distribute: how a batch is spread over devices and machines
    checkpoints: Checkpoints | None = None  # None: a fit that is killed begins anew


def fit_network(
    rows: TrainingSplit,
    recipe: Recipe,
    factors: Factors,
    progress: Report,
    place: FitPlace | None = None,
    source_model: SourceModel | None = None,
    *,
    heads: Sequence[HeadFactors] = (),
    representation: Factors | None = None,
) -> Fitted:
    """Fit the recipe's network to the rows; the device was prepared before.

    source_model: the champion that the weights start from, instead of from nothing. heads: the recipe's heads with
    their weights. representation: where there are two stages, what rows weigh in the first, in which all layers learn;
    in the second, the output layers alone do, by `factors` (Kang et al. 2020, section 4.1). Raises
    TrainingDivergedError where the loss or a logit is no number, ProcessDiedError where memory doesn't suffice,
    UsageError where the recipe freezes a layer that isn't there.
    """
    place = place or FitPlace(choose_strategy())
    strategy = place.strategy
    recipe = recipe.model_copy(update={"features": rows.features})
    keras.utils.set_random_seed(recipe.training.seed)
    with _room_in_memory():
        asked, recipe = recipe, _with_choices(recipe, rows.train, representation or factors, source_model)
        training, state, base_log_odds = _starting_values(rows, recipe, factors.base_log_odds, source_model)
        batches, stopping = _weighed_batches(rows, representation or factors, recipe.training, heads)
        with strategy.scope():
            network = _build(recipe, state, base_log_odds, heads)
            optimizer, transferred = _started(network, batches, recipe, source_model, rows, training)
        result = train(
            network,
            batches,
            training,
            progress,
            stopping=stopping,
            checkpoints=place.checkpoints,
            strategy=strategy,
            optimizer=optimizer,
        )
        if representation:
            batches, stopping = _weighed_batches(rows, factors, recipe.training, heads)
            with frozen_below_output(network):
                result = train(network, batches, training, progress, stopping=stopping, strategy=strategy)
        if source_model is None:
            result = _settled(network, rows, recipe, factors, result)
        trainable = trainable_of(network, optimizer, recipe.features)
        network = in_full_precision(network, recipe, state, base_log_odds)
        if source_model is None and has_companion(recipe, rows.train):
            linear, solution = solve_companion(recipe, state, base_log_odds, rows.train, factors)
            share = _share_of(network, linear, rows.calibrate, recipe.training)
            network = mean_of(network, linear, share) if share else network
            result = result.model_copy(update={"companion": LinearCompanion(share=share, **dict(solution))})
        if source_model is None and rows.calibrate and has_intercepts(recipe, rows.train):
            network, intercepts = with_intercepts(network, recipe, rows.train, rows.calibrate)
            result = result.model_copy(update={"intercepts": intercepts})
        calibration, of_heads = calibrate(rows.calibrate, network), calibrate_heads(rows.calibrate, network, heads)
        unseen = unseen_shares(rows.calibrate, recipe)
        return Fitted(network, asked, trainable, transferred, state, calibration, result, of_heads, rows.values, unseen)


@contextlib.contextmanager
def _room_in_memory() -> Iterator[None]:
    """Turn TensorFlow's error about memory into one that says what to do."""
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        msg = (
            f"training: expected room for the model and a batch, received: {error.message.splitlines()[0]} "
            "Lower training.batch_rows or training.embedding_dim, or set the buckets of features with many values."
        )
        raise ProcessDiedError(msg) from error


def _with_choices(recipe: Recipe, rows: TrainingRows, factors: Factors, source_model: SourceModel | None) -> Recipe:
    """Return the recipe with a batch, learning rates and an ensemble for these rows, where it leaves them open.

    A warm start has as many members as the champion, whose weights would mean nothing to another number of them.
    """
    training = recipe.training
    streamed, positives = count_streamed(rows, factors, training.seed)
    batch_rows = choose_batch_rows(training, streamed, positives)
    steps = training.epochs * -(-streamed // batch_rows)
    rate, embedding_rate = choose_rates(training, steps)
    members = members_of(source_model.trainable, recipe) if source_model else choose_members(training, streamed)
    chosen = {"batch_rows": batch_rows, "learning_rate": rate, "embedding_learning_rate": embedding_rate}
    chosen |= {"ensemble": members}
    return recipe.model_copy(update={"training": training.model_copy(update=chosen)})


def _starting_values(
    rows: TrainingSplit, recipe: Recipe, base_log_odds: float, source_model: SourceModel | None
) -> tuple[Training, NumericState, float]:
    """Return how to train, what standardises numbers, and the log-odds that answers start from.

    A warm start learns more slowly, and keeps the champion's values so that its weights keep their meaning.
    """
    # Of the training rows alone, so that those kept out stay unseen.
    state = fit_numeric_state(chunks(rows.train.numeric, CHUNK_ROWS), recipe.features)
    if source_model is None:
        return recipe.training, state, base_log_odds
    training = _slower(recipe.training, recipe.warm_start.rate_share)
    state = transferred_state(state, recipe.features, source_model)
    return training, state, source_model.trainable.base_log_odds or base_log_odds


def _weighed_batches(
    rows: TrainingSplit, factors: Factors, training: Training, heads: Sequence[HeadFactors]
) -> tuple[Batches, Batches | None]:
    """Return the batches to train on and, for more than one epoch, those to stop by, weighed alike."""
    batches = make_batches(rows.train, factors, training.batch_rows, training.seed, heads)
    return batches, _stopping_batches(rows.stop, factors, training, heads)


def _build(recipe: Recipe, state: NumericState, base_log_odds: float, heads: Sequence[HeadFactors]) -> keras.Model:
    """Build the network, and check that it has the layers that the recipe freezes."""
    of_heads = [head.factors.base_log_odds for head in heads]
    network = build_network(recipe, state, base_log_odds, recipe.training.seed, of_heads)
    check_layer_names(network, recipe.warm_start.freeze)
    return network


def _started(
    network: keras.Model,
    batches: Batches,
    recipe: Recipe,
    source_model: SourceModel | None,
    rows: TrainingSplit,
    training: Training,
) -> tuple[TableOptimizer, TransferReport | None]:
    """Return the optimizer and, in a warm start, a report on the champion's weights and slots that were taken over."""
    if source_model is None:
        return optimizer_for(network, batches, training), None
    seen = None if rows.recent_ids is None else seen_rows(chunks(rows.recent_ids, CHUNK_ROWS), recipe.features)
    transferred, sources = transfer_weights(network, recipe, source_model, seen)
    transferred = freeze_layers(network, recipe.warm_start.freeze, transferred)
    kept = recipe.warm_start.optimizer == "kept"
    optimizer = optimizer_for(network, batches, training, steps_done(source_model) if kept else 0)
    optimizer.build(network.trainable_variables)
    return optimizer, transfer_slots(optimizer, network, source_model, sources, transferred) if kept else transferred


def _settled(
    network: keras.Model, rows: TrainingSplit, recipe: Recipe, factors: Factors, result: TrainingResult
) -> TrainingResult:
    """Solve a linear network for its optimum; of any other, whose training knows no penalty, settle values' rows.

    A warm start has neither: its rows come settled, or solved for, on days that it doesn't see.
    """
    if can_be_solved(recipe.training, rows.train, rows.features):
        solution = solve_network(network, rows.train, factors, rows.features)
        return result.model_copy(update={"solution": solution})
    _settle_values(network, rows, recipe)
    return result


def _share_of(network: keras.Model, linear: keras.Model, kept_out: TrainingRows | None, training: Training) -> float:
    """Return the linear model's weight beside the network: the recipe's, or what the calibration slice says."""
    if training.linear_share != "auto":
        return training.linear_share
    if kept_out is None:
        return FIRST_SHARE
    logit, linear_logit = (finite_logits(model, kept_out) for model in (network, linear))
    return choose_share(logit, linear_logit, kept_out.label)


def _settle_values(network: keras.Model, rows: TrainingSplit, recipe: Recipe) -> None:
    """Fit the rows of unseen values to the newest values, and draw those of rare values towards them."""
    counts = rows.value_counts
    if counts is None:
        return
    fit_unseen_values(network, rows.train, counts.first_day, rows.features, embedding_width(recipe.training))
    variable = network.get_layer("embedding").table
    table = np.array(tf.convert_to_tensor(variable.value))
    ratio = np.count_nonzero(rows.train.label) / len(rows.train)
    draw_rare_values(table, counts.rows, ratio, rows.features)
    variable.assign(table)


def _slower(training: Training, share: float) -> Training:
    """Return the training section with this share of both learning rates."""
    rates = {name: share * getattr(training, name) for name in ("learning_rate", "embedding_learning_rate")}
    return training.model_copy(update=rates)


def in_full_precision(network: keras.Model, recipe: Recipe, state: NumericState, base_log_odds: float) -> keras.Model:
    """Return the network as it is calibrated and served: in float32, whatever it was trained in, outside a scope."""
    training = recipe.training
    plain = recipe.model_copy(update={"training": training.model_copy(update={"precision": "float32"})})
    copy = build_network(plain, state, base_log_odds, training.seed)
    copy.set_weights(network.get_weights())
    return copy


def _stopping_batches(
    rows: TrainingRows | None, factors: Factors, training: Training, heads: Sequence[HeadFactors]
) -> Batches | None:
    """Return the rows kept out to stop by, in their order, weighed as the others are; None for a single epoch."""
    if training.epochs == 1:
        return None
    if rows is None:
        msg = (
            "early stopping: expected users kept out to stop by, received no row of theirs. Raise "
            "training.stopping_share or training.calibration_days, or set training.epochs to 1."
        )
        raise DataRejectedError(msg)
    return make_batches(rows, factors, training.batch_rows, training.seed, heads)
