"""Losses for rare positives, from logits throughout, so that values and gradients are right at logits of ±100.

Each is a pure function of tensors that gives one loss an element, (n,) or (n, labels); the classes below are the same
for `compile` and can be saved. A loss that weighs has an *offset* too, which takes the weights out of the probabilities
again: the loss sees logit + offset, whoever serves the model takes σ(logit).
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from ctr_retrain.models.imbalance.class_weights import effective_number_weights


def weighted_cross_entropy(
    label: Any, logit: Any, *, negative_weight: Any = 1.0, positive_weight: Any = 1.0, offset: Any = 0.0
) -> Any:
    """w₁ y softplus(−z) + w₀ (1 − y) softplus(z) with z = logit + offset; shape of the logit, (n,) or (n, labels).

    Weights and offset: numbers, one a label (labels,), or one an element. The offset ln w₁ − ln w₀ makes σ(logit) the
    probability of the world without weights (King and Zeng 2001, section 4.1). A label that is NaN is unknown: its loss
    is 0.
    """
    logit = ops.convert_to_tensor(logit)
    label, negative, positive, offset = (
        ops.cast(given, logit.dtype) for given in (label, negative_weight, positive_weight, offset)
    )
    z, known = logit + offset, ops.logical_not(ops.isnan(label))
    label = ops.where(known, label, 0.0)
    loss = positive * label * ops.softplus(-z) + negative * (1 - label) * ops.softplus(z)
    return ops.where(known, loss, 0.0)


def weighted_categorical_cross_entropy(label: Any, logit: Any, *, class_weight: Any = 1.0, offset: Any = 0.0) -> Any:
    """Σ_c w_c y_c (ln Σ_j e^(z_j) − z_c) with z = logit + offset, of labels as one-hot or shares (n, classes): (n,).

    class_weight and offset: numbers or one a class. The offset ln w_c makes softmax(logit) the probabilities of the
    world without weights (Menon et al. 2021, section 4, where w_c is 1 over the class's prior).
    """
    logit = ops.convert_to_tensor(logit)
    label, weight, offset = (ops.cast(given, logit.dtype) for given in (label, class_weight, offset))
    z = logit + offset
    return ops.sum(weight * label * (ops.logsumexp(z, axis=-1, keepdims=True) - z), axis=-1)


def focal_loss(label: Any, logit: Any, gamma: float = 2.0, alpha: float | None = None) -> Any:
    """−α_t (1 − q)^γ ln q, where σ(logit) gives what came the probability q; shape of the logit.

    α_t is α for positives and 1 − α for negatives, or 1 for both. Lin et al. 2017, equations 4 and 5.
    """
    logit = ops.convert_to_tensor(logit)
    label = ops.cast(label, logit.dtype)
    positive, negative = (1.0, 1.0) if alpha is None else (alpha, 1.0 - alpha)
    return positive * label * _focal(logit, gamma) + negative * (1 - label) * _focal(-logit, gamma)


def class_balanced_loss(
    label: Any, logit: Any, negatives: Any, positives: Any, beta: float = 0.999, gamma: float = 0.0
) -> Any:
    """Cross-entropy, or with γ > 0 the focal loss, weighted by 1 over each class's effective number of samples.

    negatives and positives: how many rows of each there are, numbers or one a label (labels,); the two weights
    (1 − β)/(1 − β^n) of a label are scaled to a sum of 2. Cui et al. 2019, sections 4.2 and 4.3, for the two classes of
    each label. Shape of the logit.
    """
    logit = ops.convert_to_tensor(logit)
    label = ops.cast(label, logit.dtype)
    weight = effective_number_weights(np.stack([negatives, positives]).astype(np.float64), beta)
    negative, positive = (ops.cast(part, logit.dtype) for part in weight)
    return (positive * label + negative * (1 - label)) * focal_loss(label, logit, gamma)


def observed_logit(logit: Any, maturity: Any) -> Any:
    """logit(p·F) of p = σ(logit) and the share F in (0, 1] of outcomes landed so far, same shapes.

    A positive is seen with probability p·F (Chapelle 2014, equation 1, the chance that it came by now):
    logit(p·F) = ln F − ln(1 − F + e^−f) = ln F/(1 − F) − softplus(−f − ln(1 − F)). Where F is 1, it is f itself.
    """
    young = maturity < 1
    share = ops.where(young, maturity, 0.5)  # of the others nothing is taken, but a gradient of infinity would be
    log_missing = ops.log1p(-share)
    seen = ops.log(share) - log_missing - ops.softplus(-logit - log_missing)
    return ops.where(young, seen, logit)


@keras.saving.register_keras_serializable("ctr_retrain")
class WeightedCrossEntropy(keras.losses.Loss):  # type: ignore[misc]
    """`weighted_cross_entropy`, mean over the labels of a row; weights and offsets are numbers or one a label."""

    def __init__(
        self, negative_weight: Any = 1.0, positive_weight: Any = 1.0, offset: Any = 0.0, **options: Any
    ) -> None:
        """Take numbers, sequences or arrays."""
        super().__init__(**options)
        self.settings = {
            "negative_weight": np.asarray(negative_weight, np.float64).tolist(),
            "positive_weight": np.asarray(positive_weight, np.float64).tolist(),
            "offset": np.asarray(offset, np.float64).tolist(),
        }

    def call(self, label: Any, logit: Any) -> Any:
        """Losses of rows, (n,)."""
        return _of_rows(weighted_cross_entropy(label, logit, **self.settings))

    def get_config(self) -> dict[str, Any]:
        """All that the constructor takes."""
        return {**super().get_config(), **self.settings}


@keras.saving.register_keras_serializable("ctr_retrain")
class CrossEntropyByLabel(keras.losses.Loss):  # type: ignore[misc]
    """Cross-entropy of (n, labels), summed over labels, mean over rows; its sample weights are (n, labels) too."""

    def call(self, label: Any, logit: Any) -> Any:
        """Losses of elements, times their number in a row: Keras divides by the number of all."""
        return logit.shape[-1] * weighted_cross_entropy(label, logit)


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
        """Losses of rows, (n,)."""
        return weighted_categorical_cross_entropy(label, logit, **self.settings)

    def get_config(self) -> dict[str, Any]:
        """All that the constructor takes."""
        return {**super().get_config(), **self.settings}


@keras.saving.register_keras_serializable("ctr_retrain")
class FocalLoss(keras.losses.Loss):  # type: ignore[misc]
    """`focal_loss`, mean over the labels of a row."""

    def __init__(self, gamma: float = 2.0, alpha: float | None = None, **options: Any) -> None:
        """Take the exponent γ ≥ 0, and α in (0, 1) or none."""
        super().__init__(**options)
        self.gamma, self.alpha = gamma, alpha

    def call(self, label: Any, logit: Any) -> Any:
        """Losses of rows, (n,)."""
        return _of_rows(focal_loss(label, logit, self.gamma, self.alpha))

    def get_config(self) -> dict[str, Any]:
        """All that the constructor takes."""
        return {**super().get_config(), "gamma": self.gamma, "alpha": self.alpha}


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
        """Losses of rows, (n,)."""
        return _of_rows(class_balanced_loss(label, logit, **self.settings))

    def get_config(self) -> dict[str, Any]:
        """All that the constructor takes."""
        return {**super().get_config(), **self.settings}


def _focal(logit: Any, gamma: float) -> Any:
    """(1 − q)^γ · −ln q with q = σ(logit)."""
    return ops.exp(-gamma * ops.softplus(logit)) * ops.softplus(-logit)


def _of_rows(loss: Any) -> Any:
    """Mean over the labels: (n, labels) → (n,); what has one loss a row stays."""
    return ops.mean(loss, axis=-1) if len(loss.shape) > 1 else loss
