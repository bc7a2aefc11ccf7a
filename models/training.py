"""One epoch of weighted training: σ(f + offset) against the label, through Keras' compile and fit."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from time import perf_counter
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from models.device import prepare_device
from models.errors import TrainingDivergedError
from models.optimizer import make_optimizer

if TYPE_CHECKING:
    from collections.abc import Callable

    from models.batches import Batches
    from models.recipe import Training

    Progress = Callable[[int, int], None]  # rows done, rows in all

STEPS_PER_EXECUTION = 8
SMOOTHING = 0.9  # of the loss shown


@dataclass(frozen=True)
class TrainingResult:
    """What training took; history: (rows seen, weighted loss smoothed exponentially)."""

    rows: int
    seconds: float
    rows_per_second: float
    device: str
    history: tuple[tuple[int, float], ...]


def train(
    network: keras.Model, batches: Batches, training: Training, progress: Progress | None = None
) -> TrainingResult:
    """Train the network in place for one epoch; the same network, batches and recipe give the same weights on a CPU.

    Raises TrainingDivergedError, naming the batches, where the loss is no longer a number.
    """
    device = prepare_device()
    model = _training_model(network)
    model.compile(
        optimizer=make_optimizer(training, batches.count, network.get_layer("embedding").input.shape[1]),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        weighted_metrics=[],
        steps_per_execution=min(STEPS_PER_EXECUTION, batches.count),
        jit_compile=False,  # XLA's matrix products are slower on a CPU, and the table's update isn't compilable
    )
    watch = _Watch(batches, progress)
    started = perf_counter()
    model.fit(batches.dataset, shuffle=False, verbose=0, callbacks=[watch])
    seconds = perf_counter() - started
    return TrainingResult(batches.rows, seconds, batches.rows / seconds, device, tuple(watch.history))


def predict_logits(
    network: keras.Model,
    ids: npt.NDArray[np.int32],
    numeric: npt.NDArray[np.float32],
    batch_rows: int = 16_384,
) -> npt.NDArray[np.float32]:
    """Logits without weights, offset or calibration, (n,)."""

    @tf.function(  # type: ignore[untyped-decorator]
        input_signature=[
            tf.TensorSpec((None, ids.shape[1]), tf.int32),
            tf.TensorSpec((None, numeric.shape[1]), tf.float32),
        ]
    )
    def forward(ids: Any, numeric: Any) -> Any:
        return network({"ids": ids, "numeric": numeric}, training=False)[:, 0]

    logits = np.empty(len(ids), np.float32)
    for first in range(0, len(ids), batch_rows):
        part = slice(first, first + batch_rows)
        logits[part] = forward(tf.constant(ids[part]), tf.constant(numeric[part])).numpy()
    return logits


def _training_model(network: keras.Model) -> keras.Model:
    """The network's logit plus each row's offset: {ids, numeric, offset (n, 1)} → (n, 1)."""
    inputs = {
        name: keras.Input(tensor.shape[1:], dtype=tensor.dtype, name=name) for name, tensor in network.input.items()
    }
    offset = keras.Input((1,), dtype="float32", name="offset")
    return keras.Model({**inputs, "offset": offset}, network(inputs) + offset)


class _Watch(keras.callbacks.Callback):  # type: ignore[misc]
    """Keeps the loss, reports progress, stops at a loss that isn't finite; called every STEPS_PER_EXECUTION steps."""

    def __init__(self, batches: Batches, progress: Progress | None) -> None:
        super().__init__()
        self.history: list[tuple[int, float]] = []
        self._batches = batches
        self._progress = progress
        self._first = 0

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        """`batch`: the last one of those just run."""
        loss = float(logs["loss"])
        batch = min(batch, self._batches.count - 1)  # Keras counts as if the last execution were a full one
        if not isfinite(loss):
            msg = (
                f"training: expected a finite loss, received {loss} in batches {self._first + 1} to {batch + 1} of "
                f"{self._batches.count}. Lower training.learning_rate and training.embedding_learning_rate."
            )
            raise TrainingDivergedError(msg)
        smoothed = SMOOTHING * self.history[-1][1] + (1 - SMOOTHING) * loss if self.history else loss
        rows = min((batch + 1) * self._batches.batch_rows, self._batches.rows)
        self.history.append((rows, smoothed))
        self._first = batch + 1
        self.model.reset_metrics()  # the next loss is of the next batches alone
        if self._progress:
            self._progress(rows, self._batches.rows)
