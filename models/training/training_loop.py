"""Weighted training: σ(f + offset) against the label, through Keras' compile and fit, epoch by epoch.

It can be stopped at any batch and goes on from its last checkpoint as if nothing had happened.
"""

from __future__ import annotations

from math import inf, isfinite
from time import perf_counter
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from ctr_retrain.models.documents.training_documents import TrainingResult, TrainingSteps
from ctr_retrain.models.errors import TrainingDivergedError
from ctr_retrain.models.losses.training_losses import CrossEntropyByLabel, FocalLoss, MembersLoss, observed_logit
from ctr_retrain.models.network.focal_link import inverse_focal_link
from ctr_retrain.models.network.members import member_logits
from ctr_retrain.models.training.device import is_chief, prepare_device
from ctr_retrain.models.training.optimizers import make_optimizer
from ctr_retrain.models.training.replicas import distributed, from_chief, model_for
from ctr_retrain.models.training.training_callback import FiniteBatches, TrainingCallback
from ctr_retrain.models.training.training_state import TrainingState, capture, restore
from ctr_retrain.models.training.training_steps import choose_rates

if TYPE_CHECKING:
    from collections.abc import Callable

    from ctr_retrain.models.recipe.training_section import Training
    from ctr_retrain.models.training.batches import Batches
    from ctr_retrain.models.training.table_optimizer import TableOptimizer
    from ctr_retrain.models.training.training_state import Checkpoints

    Progress = Callable[[int, int], None]  # rows done, rows in all

STEPS_PER_EXECUTION = 8  # steps that TensorFlow takes before Python, and its callback, have a turn
UNTRACED_ROWS = 65_536  # that a network answers before a graph of it could be made
CURVE_POINTS = 32  # of an epoch's curve of losses, where it has as many steps


def train(
    network: keras.Model,
    batches: Batches,
    training: Training,
    progress: Progress | None = None,
    *,
    stopping: Batches | None = None,
    checkpoints: Checkpoints | None = None,
    strategy: Any = None,
    optimizer: TableOptimizer | None = None,
) -> TrainingResult:
    """Train the network in place; the same network, batches and recipe give the same weights on a CPU.

    stopping: rows kept out, on which an epoch after the first must lower the loss; the best epoch's weights are
    restored. strategy: a tf.distribute one, in whose scope the network was built. optimizer: one that `optimizer_for`
    made, perhaps with slots from another fit; a new one by default. Raises TrainingDivergedError, naming batch and
    days, where the loss is no longer a number.
    """
    strategy = strategy or tf.distribute.get_strategy()
    with strategy.scope():
        optimizer = optimizer or optimizer_for(network, batches, training)
    fit = _Fit(network, batches, training, strategy, progress or (lambda _done, _total: None), checkpoints, optimizer)
    started = perf_counter()
    state = fit.start()
    resumed_at = state.history[-1][0] if state.history else 0
    fit.progress(resumed_at)
    while not _finished(state, training):
        state = fit.epoch(state, stopping)
    fit.restore_best(state)
    seconds = perf_counter() - started
    trained = state.epoch * batches.rows - resumed_at
    rate, embedding_rate = choose_rates(training, batches.count * training.epochs)
    return TrainingResult(
        rows=batches.rows,
        seconds=seconds,
        rows_per_second=trained / seconds,
        device=prepare_device(),
        replicas=strategy.num_replicas_in_sync,
        precision=training.precision,
        history=state.history,
        epochs=state.epoch,
        best_epoch=state.epoch if state.best_epoch is None else state.best_epoch + 1,
        stopping_losses=state.stopping_losses,
        resumed_at=resumed_at,
        steps=TrainingSteps(
            count=state.epoch * batches.count,
            batch_rows=batches.batch_rows,
            learning_rate=rate,
            embedding_learning_rate=embedding_rate,
            ensemble=len(member_logits(network)),
        ),
    )


def _finished(state: TrainingState, training: Training) -> bool:
    """Return True if all epochs are over, or `patience` of them passed without a lower loss."""
    if state.epoch >= training.epochs:
        return True
    return state.best_epoch is not None and state.epoch - 1 - state.best_epoch >= training.patience


class _Fit:
    """One fit under way: the compiled model, and where its states are kept."""

    def __init__(
        self,
        network: keras.Model,
        batches: Batches,
        training: Training,
        strategy: Any,
        progress: Progress,
        checkpoints: Checkpoints | None,
        optimizer: TableOptimizer,
    ) -> None:
        self._network, self._batches, self._training = network, batches, training
        self._strategy, self._progress, self._checkpoints = strategy, progress, checkpoints
        # Outside of the scope: a model made within one draws a batch of its own to build itself, which is lost then.
        self._model = _training_model(
            network, model_for(strategy), training, observed=batches.observed, labels=batches.labels
        )
        with strategy.scope():
            self._model.compile(
                optimizer=optimizer,
                loss=_loss_of(training, batches.labels, len(member_logits(network))),
                weighted_metrics=[FiniteBatches()],
                # Keras can't take several steps at once from a stream that is spread over replicas.
                steps_per_execution=1 if strategy.num_replicas_in_sync > 1 else _steps_per_execution(batches.count),
                jit_compile=False,  # XLA can't hold the table's update, whose shapes depend on the batch's values
            )
            self._model.optimizer.build(self._model.trainable_variables)

    def start(self) -> TrainingState:
        """Return the state at which an earlier process with the same inputs was killed, restored, or the first one."""
        # Of several machines one has checkpoints.
        found = from_chief(self._checkpoints.load() if self._checkpoints else None, self._strategy)
        with self._strategy.scope():
            if found and restore(found.variables, self._network, self._model.optimizer):
                return found.changed(variables=())  # they live in network and optimizer now
        return TrainingState()

    def progress(self, rows: int) -> None:
        """Tell how many rows are done; before the first step too, since the speed is counted from there."""
        self._progress(rows, self._training.epochs * self._batches.rows)

    def epoch(self, state: TrainingState, stopping: Batches | None) -> TrainingState:
        """Train from where the state stands to the end of its epoch, and measure the loss on the rows kept out."""
        if state.batch < self._batches.count:
            callback = TrainingCallback(self._batches, self._training.epochs, state, self._progress, self._save_if_due)
            data = distributed(self._batches.stream(state.epoch, state.batch), self._strategy)
            steps = self._batches.count - state.batch
            with self._strategy.scope():
                self._model.fit(data, steps_per_epoch=steps, shuffle=False, verbose=0, callbacks=[callback])
            state = callback.state
        losses, best = state.stopping_losses, state.best
        if stopping is not None:
            loss = self._loss(stopping)
            if loss < min(losses, default=inf):
                best = capture(self._network)
            losses = (*losses, loss)
        return state.changed(epoch=state.epoch + 1, batch=0, stopping_losses=losses, best=best)

    def restore_best(self, state: TrainingState) -> None:
        """Set the weights of the best epoch, where that was not the last."""
        if state.best_epoch is not None and state.best_epoch != state.epoch - 1:
            restore(state.best, self._network)

    def _loss(self, stopping: Batches) -> float:
        """Measure the weighted loss on the early-stopping slice; raises TrainingDivergedError if it isn't finite."""
        data = distributed(stopping.dataset, self._strategy)
        with self._strategy.scope():
            loss = float(self._model.evaluate(data, steps=stopping.count, verbose=0, return_dict=True)["loss"])
        if not isfinite(loss):
            msg = (
                f"early stopping: expected a finite loss on {stopping.rows:,} rows kept out, received {loss}. "
                "Lower training.learning_rate and training.embedding_learning_rate."
            )
            raise TrainingDivergedError(msg)
        return loss

    def _save_if_due(self, state: TrainingState) -> None:
        """Save a checkpoint when it is time; of several machines one does, since all hold equal variables."""
        if self._checkpoints and is_chief(self._strategy) and self._checkpoints.due():
            self._checkpoints.save(state.changed(variables=capture(self._network, self._model.optimizer)))


def optimizer_for(network: keras.Model, batches: Batches, training: Training, first_step: int = 0) -> TableOptimizer:
    """Make the recipe's optimizer, its rates planned for the whole fit; to be called in the scope of its strategy.

    first_step: the number that its count of steps has at the fit's first.
    """
    ids_per_row = int(network.get_layer("embedding").input.shape[1])
    return make_optimizer(training, batches.count * training.epochs, ids_per_row, first_step)


def logits_function(
    network: keras.Model, batch_rows: int = 16_384, column: int = 0, *, traced: bool = True
) -> Callable[[npt.NDArray[np.int32], npt.NDArray[np.float32]], npt.NDArray[np.float32]]:
    """Return a function of ids (n, slots) and numeric (n, numbers) that gives logits (n,), before calibration.

    column: the label's, or a head's in a later one. traced: by a graph, which is made once for all calls, and takes as
    long as four batches without one.
    """
    ids, numeric = network.input["ids"], network.input["numeric"]

    def forward(ids: Any, numeric: Any) -> Any:
        return network({"ids": ids, "numeric": numeric}, training=False)[:, column]

    signature = [tf.TensorSpec((None, ids.shape[1]), tf.int32), tf.TensorSpec((None, numeric.shape[1]), tf.float32)]
    answer = tf.function(forward, signature, autograph=False) if traced else forward

    def predict(ids: npt.NDArray[np.int32], numeric: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        logits = np.empty(len(ids), np.float32)
        for first in range(0, len(ids), batch_rows):
            batch = slice(first, first + batch_rows)
            logits[batch] = answer(tf.constant(ids[batch]), tf.constant(numeric[batch])).numpy()
        return logits

    return predict


def _steps_per_execution(steps: int) -> int:
    """Return how many of an epoch's steps make a point of its curve, so that a short one has a curve too."""
    return max(1, min(STEPS_PER_EXECUTION, steps // CURVE_POINTS))


def _loss_of(training: Training, labels: int, members: int) -> keras.losses.Loss:
    """Return the recipe's loss on logits; with heads, labels and weights have a column each."""
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    if labels > 1:
        loss = CrossEntropyByLabel()
    elif training.loss == "focal":
        loss = FocalLoss(training.focal_gamma)
    return loss if members == 1 else MembersLoss(loss, members)


def _training_model(
    network: keras.Model, kind: type[keras.Model], training: Training, *, observed: bool, labels: int = 1
) -> keras.Model:
    """Build the model that is trained, logits plus offsets: {ids, numeric, offset (n, labels)} → (n, labels).

    Of an ensemble it gives all members' logits side by side, (n, members · labels).
    With the focal loss it gives the logit whose probability under that loss has the sum as its log-odds.
    observed: labels are immature, so the logit is that of a positive which has landed; inputs have maturity (n, 1) too.
    labels: how many the batches have; the network's further heads take no part.
    """
    inputs = {
        name: keras.Input(tensor.shape[1:], dtype=tensor.dtype, name=name) for name, tensor in network.input.items()
    }
    more = {"offset": keras.Input((labels,), name="offset")}
    if observed:
        more["maturity"] = keras.Input((1,), name="maturity")

    def trained(logit: Any) -> Any:
        if labels < logit.shape[1]:
            logit = logit[:, :labels]
        if observed:
            observed_label = observed_logit(logit[:, :1], more["maturity"])
            logit = observed_label if labels == 1 else keras.ops.concatenate([observed_label, logit[:, 1:]], axis=1)
        logit = logit + more["offset"]
        if training.loss == "focal":
            logit = keras.layers.Lambda(inverse_focal_link, arguments={"gamma": training.focal_gamma})(logit)
        return logit

    of_members = member_logits(network)
    if len(of_members) == 1:
        return kind({**inputs, **more}, trained(network(inputs)))
    members = keras.Model(network.input, of_members)(inputs)
    return kind({**inputs, **more}, keras.ops.concatenate([trained(logit) for logit in members], axis=1))
