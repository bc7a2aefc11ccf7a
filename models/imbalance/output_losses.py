"""Several labels at once: weights and losses for each output of a Keras model, and conversions after clicks.

Keras takes `class_weight` for models with one output only, and there reads a row of labels as one class, its argmax.
What it does take for several outputs is a loss and a vector of sample weights each; both are made here from class
weights. The losses know the offsets too, so that what each output serves is a probability of the unweighted world.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from keras import ops

from ctr_retrain.models.errors import UsageError
from ctr_retrain.models.imbalance.class_counts import ClassCounts
from ctr_retrain.models.imbalance.losses import WeightedCategoricalCrossEntropy, WeightedCrossEntropy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ctr_retrain.models.imbalance.class_weights import ClassWeights


def count_known(
    labels: npt.NDArray[Any], *, mass: npt.NDArray[Any] | None = None, names: Sequence[str] | None = None
) -> ClassCounts:
    """Rows or mass without and with each label of a matrix (rows, labels) of 0, 1 and NaN where it is unknown.

    What `models.weights.class_weights` takes, so that each label is weighed by the rows that know it.
    """
    matrix = np.asarray(labels, np.float64)
    if matrix.ndim != 2 or not np.isin(matrix[~np.isnan(matrix)], (0, 1)).all():
        msg = f"labels: expected a matrix of 0, 1 and NaN for unknown, received the shape {matrix.shape} or others"
        raise UsageError(msg)
    amount = np.ones(len(matrix)) if mass is None else np.asarray(mass, np.float64)
    counted = np.stack([amount @ (matrix == 0), amount @ (matrix == 1)])
    return ClassCounts(tuple(names or range(matrix.shape[1])), counted, multi_label=True)


def output_losses(weights: Mapping[str, ClassWeights]) -> dict[str, keras.losses.Loss]:
    """A weighted loss with its offset for each output of logits, for `compile(loss=…)`.

    Of two classes, (n, 1) against 0 and 1; of several labels, (n, labels), where NaN is unknown and counts nothing; of
    more classes, (n, classes) against one-hot. Serve the outputs' σ or softmax; no sample weights are needed.
    """
    return {name: _loss_of(own) for name, own in weights.items()}


def output_sample_weights(
    weights: Mapping[str, ClassWeights], labels: Mapping[str, Any], row_weight: npt.NDArray[Any] | None = None
) -> dict[str, npt.NDArray[np.float32]]:
    """Class weights as what `fit(sample_weight=…)` takes for a model with several outputs: a vector (n,) for each.

    labels: integers, strings or one-hot, one class a row; of None or NaN the weight is 0, and `known_labels` fills the
    label itself. row_weight: (n,), such as recency, times which all are taken. Probabilities stay those of the weighted
    world, for Keras' own losses know no offset: take `ClassWeights.offset` from the logits, or `output_losses`.
    Raises UsageError for several labels in one output, which one weight a row can't tell apart.
    """
    made = {}
    for name, own in weights.items():
        if own.counts.multi_label:
            msg = (
                f"output {name!r}: expected one class a row, received {len(own.counts.classes)} labels, which one "
                "weight a row can't tell apart. Give output_losses(…) to compile instead."
            )
            raise UsageError(msg)
        filled, known = known_labels(labels[name], own)
        weight = own.sample_weights(filled) * known
        made[name] = np.asarray(weight if row_weight is None else weight * row_weight, np.float32)
    return made


def known_labels(labels: Any, weights: ClassWeights) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """One output's labels with a class in every row, None and NaN as the first one, and which were known, (n,)."""
    first = weights.counts.classes[0]
    if np.ndim(labels) == 2:
        matrix = np.asarray(labels, np.float64)
        known = np.asarray(~np.isnan(matrix).any(axis=1))
        return np.where(known[:, None], matrix, np.eye(matrix.shape[1])[0]), known
    array = pa.array(labels, from_pandas=True)
    known = array.is_valid().to_numpy(zero_copy_only=False)
    return (array if known.all() else array.fill_null(first)).to_numpy(zero_copy_only=False), known


def joint_logit(first: Any, second: Any) -> Any:
    """The logit of σ(a)·σ(b), any shape: −ln(e^−a + e^−b + e^−(a+b)), with no product that could round to 0 or 1.

    Entire-space multi-task model (Ma et al. 2018, equation 3): the chance of a click and then a conversion,
    pCTCVR = pCTR · pCVR, has a label on every impression, and pCVR is learnt as its second factor, never from clicked
    rows alone. From p = σ(a)σ(b): p/(1 − p) = 1/(e^−a + e^−b + e^−(a+b)).
    """
    first, second = ops.convert_to_tensor(first), ops.convert_to_tensor(second)
    return -ops.logsumexp(ops.stack([-first, -second, -(first + second)], axis=-1), axis=-1)


@keras.saving.register_keras_serializable("ctr_retrain")
class JointLogit(keras.layers.Layer):  # type: ignore[misc]
    """`joint_logit` of [a, b], each (batch, 1)."""

    def call(self, logits: list[Any]) -> Any:
        """The logit of both."""
        return joint_logit(*logits)


def _loss_of(weights: ClassWeights) -> keras.losses.Loss:
    if weights.counts.multi_label or len(weights.weights) == 2:
        return WeightedCrossEntropy(**weights.for_loss())
    return WeightedCategoricalCrossEntropy(class_weight=weights.weights, offset=weights.offset())
