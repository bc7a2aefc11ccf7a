"""The callback of a fit: loss, progress and checkpoints every few batches, and the first batch with a loss of NaN."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from ctr_retrain.models.errors import TrainingDivergedError
from ctr_retrain.models.judging.learning_curve import SMOOTHING

if TYPE_CHECKING:
    from collections.abc import Callable

    from ctr_retrain.models.training.batches import Batches
    from ctr_retrain.models.training.training_state import TrainingState

FINITE = "finite_batches"  # the metric's name in Keras' logs
DAYS_NAMED = 5  # in a message, so that a batch of many days stays readable


class FiniteBatches(keras.metrics.Metric):  # type: ignore[misc]
    """The number of batches since the last reset that had a finite loss.

    Weights that once are no numbers stay so, so this is also the place of the first batch that had none.
    """

    def __init__(self) -> None:
        """Count from zero."""
        super().__init__(name=FINITE)
        self.count = self.add_variable((), "zeros", name="count")

    def update_state(self, label: Any, logit: Any, sample_weight: Any = None) -> None:
        """Add 1 for a batch with a finite loss, a replica's share where several share a batch."""
        members = logit.shape[-1] // label.shape[-1]  # of an ensemble, each with a logit a label
        loss = tf.nn.sigmoid_cross_entropy_with_logits(tf.tile(tf.cast(label, logit.dtype), [1, members]), logit)
        if sample_weight is not None:
            weight = tf.reshape(tf.cast(sample_weight, loss.dtype), (tf.shape(loss)[0], -1))
            loss *= tf.tile(weight, [1, members])
        finite = tf.cast(tf.math.is_finite(tf.reduce_sum(loss)), tf.float32)
        self.count.assign_add(finite / tf.distribute.get_strategy().num_replicas_in_sync)

    def result(self) -> Any:
        """Return the count."""
        return self.count.value


class TrainingCallback(keras.callbacks.Callback):  # type: ignore[misc]
    """A callback for one epoch, from the batch at which `state` stands; Keras calls it every few steps.

    Raises TrainingDivergedError, naming the batch and its days, at a loss that isn't finite.
    """

    def __init__(
        self,
        batches: Batches,
        epochs: int,
        state: TrainingState,
        progress: Callable[[int, int], None],
        save_if_due: Callable[[TrainingState], None],
    ) -> None:
        """Take the fit's state; `save_if_due` is called with later ones, without their variables."""
        super().__init__()
        self.state = state
        self._batches, self._epochs = batches, epochs
        self._first_of_fit = state.batch
        self._progress, self._save_if_due = progress, save_if_due

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        """Note loss and progress; batch: the last one of those just run."""
        state, batches = self.state, self._batches
        last = min(self._first_of_fit + batch, batches.count - 1)  # Keras counts as if all executions were full
        loss = float(logs["loss"])
        if not isfinite(loss):
            self._raise_diverged(loss, min(state.batch + int(logs[FINITE]), last))
        done = state.epoch * batches.rows + min((last + 1) * batches.batch_rows, batches.rows)
        smoothed = SMOOTHING * state.history[-1][1] + (1 - SMOOTHING) * loss if state.history else loss
        self.state = state.changed(batch=last + 1, history=(*state.history, (done, smoothed)))
        self.model.reset_metrics()  # the next loss is of the next batches alone
        self._progress(done, self._epochs * batches.rows)
        self._save_if_due(self.state)

    def _raise_diverged(self, loss: float, batch: int) -> None:
        """Raise TrainingDivergedError with the days of the batch, where the cause is to be looked for."""
        days = self._batches.days_of(self.state.epoch, batch)
        named = [f"{day} ({rows:,})" for day, rows in list(days.items())[:DAYS_NAMED]]
        if len(days) > DAYS_NAMED:
            named.append(f"{len(days) - DAYS_NAMED} more days to {max(days)}")
        epoch = f" of epoch {self.state.epoch + 1}" if self._epochs > 1 else ""
        msg = (
            f"training: expected a finite loss, received {loss} in batch {batch + 1} of {self._batches.count}{epoch}, "
            f"whose {sum(days.values()):,} rows are of {', '.join(named)}. Look at these days' numbers, or lower "
            "training.learning_rate and training.embedding_learning_rate."
        )
        raise TrainingDivergedError(msg)
