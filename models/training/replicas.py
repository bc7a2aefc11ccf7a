"""Several GPUs or machines: each batch is cut into parts of one size, a part a replica.

Keras takes the mean loss over a replica's rows, and then the mean over replicas. That is the mean over the whole batch
only where the parts are equally long; so short ones are filled up with rows of weight zero, and the weights are scaled
by what the filling added to the divisor.
"""

from __future__ import annotations

import pickle
from typing import Any, TypeVar

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from ctr_retrain.models.training.device import is_chief

Value = TypeVar("Value")
PART_BYTES = 1 << 24  # of what a cluster shares at once


class ClusterModel(keras.Model):  # type: ignore[misc]
    """A model whose steps return vectors of one: over several machines, Keras takes their mean along the first axis."""

    def train_step(self, data: Any) -> dict[str, Any]:
        """Take Keras' own step and return its scalars as vectors."""
        return {name: tf.expand_dims(value, 0) for name, value in super().train_step(data).items()}

    def test_step(self, data: Any) -> dict[str, Any]:
        """Take Keras' own step of an evaluation and return its scalars as vectors."""
        return {name: tf.expand_dims(value, 0) for name, value in super().test_step(data).items()}

    def reset_metrics(self) -> None:
        """Set each machine's own part of all metrics to zero; Keras would ask all machines, three times a step."""
        for variable in (variable for metric in self.metrics for variable in metric.variables):
            for part in self.distribute_strategy.experimental_local_results(variable.value):
                part.assign(tf.zeros_like(part))


def model_for(strategy: Any) -> type[keras.Model]:
    """Return the class of models that a strategy trains."""
    return ClusterModel if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy) else keras.Model


def distributed(dataset: Any, strategy: Any) -> Any:
    """Cut the global batches of ({…}, label, weight) into parts for this process's replicas; one replica needs none."""
    replicas = strategy.num_replicas_in_sync
    if replicas == 1:
        return dataset

    def of_this_worker(context: Any) -> Any:
        own = replicas // context.num_input_pipelines
        first = context.input_pipeline_id * own

        def parts(inputs: dict[str, Any], label: Any, weight: Any) -> Any:
            equal = equal_parts(inputs, label, weight, replicas)
            return tf.data.Dataset.from_tensor_slices(
                tf.nest.map_structure(lambda part: part[first : first + own], equal)
            )

        return dataset.flat_map(parts).prefetch(2 * own)

    return strategy.distribute_datasets_from_function(of_this_worker)


def from_chief(value: Value, strategy: Any) -> Value:
    """Return the value that a cluster's chief has on each of its machines; without a cluster, the value as it is.

    All machines have to call it together. The value is one that pickles.
    """
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return value
    content = np.frombuffer(pickle.dumps(value), np.uint8) if is_chief(strategy) else np.zeros(0, np.uint8)
    (size,) = _sum_over_machines(np.array([len(content)], np.int64), strategy)
    shared = np.zeros(-(-int(size) // 4) * 4, np.uint8)
    shared[: len(content)] = content
    words = shared.view(np.int32)  # the smallest integers that machines can add
    for first in range(0, len(words), PART_BYTES // 4):
        part = slice(first, first + PART_BYTES // 4)
        words[part] = _sum_over_machines(words[part], strategy)
    result: Value = pickle.loads(shared.tobytes())  # noqa: S301 - of another process of this fit
    return result


def _sum_over_machines(array: npt.NDArray[Any], strategy: Any) -> npt.NDArray[Any]:
    """Add the arrays of all machines, each of which counts once however many GPUs it has."""
    own = iter([array])
    values = strategy.experimental_distribute_values_from_function(
        lambda _context: tf.constant(next(own, np.zeros_like(array)))
    )
    return np.asarray(strategy.reduce(tf.distribute.ReduceOp.SUM, values, axis=None))


def equal_parts(inputs: dict[str, Any], label: Any, weight: Any, replicas: int) -> tuple[dict[str, Any], Any, Any]:
    """Cut each tensor (batch, …) into (replicas, part, …), so that the mean of the parts' means is the batch's mean."""
    rows = tf.shape(weight)[0]
    part = -(-rows // replicas)
    index = tf.range(part * replicas)

    def cut(tensor: Any) -> Any:
        filled = tf.gather(tensor, tf.minimum(index, rows - 1))
        by_replica = tf.reshape(filled, tf.concat([[replicas, part], tf.shape(tensor)[1:]], 0))
        return tf.ensure_shape(by_replica, (replicas, None, *tensor.shape[1:]))

    scale = tf.cast(part * replicas, weight.dtype) / tf.cast(rows, weight.dtype)
    real = tf.reshape(index < rows, [-1, *[1] * (len(weight.shape) - 1)])  # else a row that only fills a part up
    kept = tf.where(real, tf.gather(weight, tf.minimum(index, rows - 1)) * scale, 0.0)
    parts = {name: cut(tensor) for name, tensor in inputs.items()}
    own = (replicas, None, *weight.shape[1:])
    return parts, cut(label), tf.ensure_shape(tf.reshape(kept, [replicas, part, *weight.shape[1:]]), own)
