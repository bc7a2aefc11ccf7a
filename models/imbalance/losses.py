"""Weighted losses from logits, so that values and gradients are right at logits of ±100, with offsets that undo them.

Each is a function of tensors that returns one loss an element, (n,) or (n, labels); the classes below are the same for
`compile` and can be saved. The *offset* takes the weights out of the probabilities again: the loss sees logit + offset,
whoever serves the model takes σ(logit).
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from ctr_retrain.models.losses.training_losses import focal_loss, mean_over_labels
from ctr_retrain.models.weights.class_balance import effective_number_weights


def weighted_cross_entropy(
    label: Any, logit: Any, *, negative_weight: Any = 1.0, positive_weight: Any = 1.0, offset: Any = 0.0
) -> Any:
    """Return w₁ y softplus(−z) + w₀ (1 − y) softplus(z) with z = logit + offset, in the logit's shape.

    The logit is (n,) or (n, labels); weights and offset are numbers, one a label (labels,), or one an element. The
    offset ln w₁ − ln w₀ makes σ(logit) the probability of the world without weights (King and Zeng 2001, section 4.1).
    A label that is NaN is unknown: its loss is 0.
    """
    logit = ops.convert_to_tensor(logit)
    label, negative, positive, offset = (
        ops.cast(given, logit.dtype) for given in (label, negative_weight, positive_weight, offset)
    )
    z, known = logit + offset, ops.logical_not(ops.isnan(label))
    # The label is replaced before it is used: the gradient of a discarded NaN would still be NaN.
    label = ops.where(known, label, 0.0)
    loss = positive * label * ops.softplus(-z) + negative * (1 - label) * ops.softplus(z)
    return ops.where(known, loss, 0.0)


def weighted_categorical_cross_entropy(label: Any, logit: Any, *, class_weight: Any = 1.0, offset: Any = 0.0) -> Any:
    """Return Σ_c w_c y_c (ln Σ_j e^(z_j) − z_c) with z = logit + offset, (n,), of one-hot labels or shares.

    Labels and logits are (n, classes). class_weight and offset: numbers or one a class. The offset ln w_c makes
    softmax(logit) the probabilities of the world without weights (Menon et al. 2021, section 4, where w_c is 1 over the
    class's prior).
    """
    logit = ops.convert_to_tensor(logit)
    label, weight, offset = (ops.cast(given, logit.dtype) for given in (label, class_weight, offset))
    z = logit + offset
    # logsumexp, since the softmax of logits ±100 rounds to 0, whose logarithm has no gradient.
    return ops.sum(weight * label * (ops.logsumexp(z, axis=-1, keepdims=True) - z), axis=-1)


def class_balanced_loss(
    label: Any, logit: Any, negatives: Any, positives: Any, beta: float = 0.999, gamma: float = 0.0
) -> Any:
    """Return cross-entropy, or with γ > 0 the focal loss, weighted by 1 over each class's effective number of samples.

    negatives and positives: how many rows of each there are, numbers or one a label (labels,); the two weights
    (1 − β)/(1 − β^n) of a label are scaled to a sum of 2. Cui et al. 2019, sections 4.2 and 4.3, for the two classes of
    each label. Shape of the logit.
    """
    logit = ops.convert_to_tensor(logit)
    label = ops.cast(label, logit.dtype)
    # In float64 and before training starts: 1 − β^n of a large class is 1 in float32.
    weight = effective_number_weights(np.stack([negatives, positives]).astype(np.float64), beta)
    negative, positive = (ops.cast(part, logit.dtype) for part in weight)
    return (positive * label + negative * (1 - label)) * focal_loss(label, logit, gamma)


@keras.saving.register_keras_serializable("ctr_retrain")
class WeightedCrossEntropy(keras.losses.Loss):  # type: ignore[misc]
    """`weighted_cross_entropy`, mean over the labels of a row; weights and offsets are numbers or one a label."""

    def __init__(
        self, negative_weight: Any = 1.0, positive_weight: Any = 1.0, offset: Any = 0.0, **options: Any
    ) -> None:
        """Take numbers, sequences or arrays."""
        super().__init__(**options)
        # Lists of numbers, since a saved model holds them as JSON.
        self.settings = {
            "negative_weight": np.asarray(negative_weight, np.float64).tolist(),
            "positive_weight": np.asarray(positive_weight, np.float64).tolist(),
            "offset": np.asarray(offset, np.float64).tolist(),
        }

    def call(self, label: Any, logit: Any) -> Any:
        """Return the losses of rows, (n,)."""
        return mean_over_labels(weighted_cross_entropy(label, logit, **self.settings))

    def get_config(self) -> dict[str, Any]:
        """Return all that the constructor takes."""
        return {**super().get_config(), **self.settings}


@keras.saving.register_keras_serializable("ctr_retrain")
class WeightedCategoricalCrossEntropy(keras.losses.Loss):  # type: ignore[misc]
    """`weighted_categorical_cross_entropy` of one-hot labels; weights and offsets are numbers or one a class."""

    def __init__(self, class_weight: Any = 1.0, offset: Any = 0.0, **options: Any) -> None:
        """Take numbers, sequences or arrays."""
        super().__init__(**options)
        self.settings = {
            "class_weight": np.asarray(class_weight, np.float64).tolist(),
            "offset": np.asarray(offset, np.float64).tolist(),
        }

    def call(self, label: Any, logit: Any) -> Any:
        """Return the losses of rows, (n,)."""
        return weighted_categorical_cross_entropy(label, logit, **self.settings)

    def get_config(self) -> dict[str, Any]:
        """Return all that the constructor takes."""
        return {**super().get_config(), **self.settings}


@keras.saving.register_keras_serializable("ctr_retrain")
class ClassBalancedLoss(keras.losses.Loss):  # type: ignore[misc]
    """`class_balanced_loss`, mean over the labels of a row."""

    def __init__(self, negatives: Any, positives: Any, beta: float = 0.999, gamma: float = 0.0, **options: Any) -> None:
        """Take counts as numbers or one a label, β in [0, 1) and γ ≥ 0."""
        super().__init__(**options)
        self.settings = {
            "negatives": np.asarray(negatives).tolist(),
            "positives": np.asarray(positives).tolist(),
            "beta": beta,
            "gamma": gamma,
        }

    def call(self, label: Any, logit: Any) -> Any:
        """Return the losses of rows, (n,)."""
        return mean_over_labels(class_balanced_loss(label, logit, **self.settings))

    def get_config(self) -> dict[str, Any]:
        """Return all that the constructor takes."""
        return {**super().get_config(), **self.settings}
