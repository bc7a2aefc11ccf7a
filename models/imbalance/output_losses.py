"""Several labels at once: a weighted loss or a vector of sample weights for each output of a Keras model.

Keras takes `class_weight` for models with one output only, and there reads a row of labels as one class, its argmax.
For several outputs it takes a loss and a vector of sample weights each; both are made here from class weights. The
losses have offsets too, so that each output serves a probability of the unweighted world.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ctr_retrain.models.errors import UsageError
from ctr_retrain.models.imbalance.class_counts import ClassCounts
from ctr_retrain.models.imbalance.losses import WeightedCategoricalCrossEntropy, WeightedCrossEntropy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ctr_retrain.models.imbalance.class_weights import ClassWeights


def count_known(
    labels: npt.NDArray[Any], *, mass: npt.NDArray[Any] | None = None, names: Sequence[str] | None = None
) -> ClassCounts:
    """Count rows or mass without and with each label of a matrix (rows, labels) of 0, 1 and NaN where it is unknown.

    `class_weights` takes these counts, so that each label is weighed by the rows that know it. Raises UsageError for
    other shapes and values.
    """
    matrix = np.asarray(labels, np.float64)
    if matrix.ndim != 2 or not np.isin(matrix[~np.isnan(matrix)], (0, 1)).all():
        msg = f"labels: expected a matrix of 0, 1 and NaN for unknown, received the shape {matrix.shape} or others"
        raise UsageError(msg)
    # Products rather than sums over chosen rows: each label knows other rows.
    amount = np.ones(len(matrix)) if mass is None else np.asarray(mass, np.float64)
    counted = np.stack([amount @ (matrix == 0), amount @ (matrix == 1)])
    return ClassCounts(tuple(names or range(matrix.shape[1])), counted, multi_label=True)


def output_losses(weights: Mapping[str, ClassWeights]) -> dict[str, keras.losses.Loss]:
    """Return a weighted loss with its offset for each output of logits, for `compile(loss=…)`.

    Logits and labels of two classes: (n, 1) against 0 and 1; of several labels: (n, labels), where NaN is unknown and
    counts nothing; of more classes: (n, classes) against one-hot. Serve the outputs' σ or softmax. No sample weights
    are needed.
    """
    return {name: _loss_of(own) for name, own in weights.items()}


def output_sample_weights(
    weights: Mapping[str, ClassWeights], labels: Mapping[str, Any], row_weight: npt.NDArray[Any] | None = None
) -> dict[str, npt.NDArray[np.float32]]:
    """Return class weights as `fit(sample_weight=…)` takes them for a model with several outputs: (n,) for each.

    labels: integers, strings or one-hot, one class a row; None or NaN weighs 0, and `known_labels` fills in the label
    itself. row_weight: (n,), such as recency, which multiplies all of them. Probabilities stay those of the weighted
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
        # Keras multiplies the loss by the weight, and 0 · NaN is NaN: an unknown label needs some class, and a 0.
        filled, known = known_labels(labels[name], own)
        weight = own.sample_weights(filled) * known
        made[name] = np.asarray(weight if row_weight is None else weight * row_weight, np.float32)
    return made


def known_labels(labels: Any, weights: ClassWeights) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """Return an output's labels with the first class where None or NaN stood, and which of them were known, (n,)."""
    first = weights.counts.classes[0]
    if np.ndim(labels) == 2:
        matrix = np.asarray(labels, np.float64)
        known = np.asarray(~np.isnan(matrix).any(axis=1))
        return np.where(known[:, None], matrix, np.eye(matrix.shape[1])[0]), known
    array = pa.array(labels, from_pandas=True)
    known = array.is_valid().to_numpy(zero_copy_only=False)
    return (array if known.all() else array.fill_null(first)).to_numpy(zero_copy_only=False), known


def _loss_of(weights: ClassWeights) -> keras.losses.Loss:
    # Two classes go by one logit, as several labels do: a softmax over two would learn the same function twice.
    if weights.counts.multi_label or len(weights.weights) == 2:
        return WeightedCrossEntropy(**weights.for_loss())
    return WeightedCategoricalCrossEntropy(class_weight=weights.weights, offset=weights.offset())
