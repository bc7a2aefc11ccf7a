"""Losses from logits, so that values and gradients are right at logits of ±100, and the observation of late outcomes.

Each function takes tensors and returns a loss for every element. The classes are the same for `compile`, and can be
saved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf
from keras import ops

if TYPE_CHECKING:
    from collections.abc import Callable


def cross_entropy(label: Any, logit: Any) -> Any:
    """Return y softplus(−z) + (1 − y) softplus(z), in the logit's shape; 0 where the label is NaN, which is unknown."""
    logit = ops.convert_to_tensor(logit)
    label = ops.cast(label, logit.dtype)
    known = ops.logical_not(ops.isnan(label))
    # The label is replaced before it is used: the gradient of a discarded NaN would still be NaN.
    label = ops.where(known, label, 0.0)
    return ops.where(known, label * ops.softplus(-logit) + (1 - label) * ops.softplus(logit), 0.0)


def focal_loss(label: Any, logit: Any, gamma: float = 2.0, alpha: float | None = None) -> Any:
    """Return −α_t (1 − q)^γ ln q, where σ(logit) gives the true class the probability q, in the logit's shape.

    α_t is α for positives and 1 − α for negatives, or 1 for both. Lin et al. 2017, equations 4 and 5.
    """
    logit = ops.convert_to_tensor(logit)
    label = ops.cast(label, logit.dtype)
    positive, negative = (1.0, 1.0) if alpha is None else (alpha, 1.0 - alpha)
    return positive * label * _focal(logit, gamma) + negative * (1 - label) * _focal(-logit, gamma)


def observed_logit(logit: Any, maturity: Any) -> Any:
    """Return logit(p·F) of p = σ(logit) and of the share F in (0, 1] of outcomes that have landed so far.

    A positive is seen with probability p·F (Chapelle 2014, equation 1, the chance that it came by now):
    logit(p·F) = ln F − ln(1 − F + e^−f) = ln F/(1 − F) − softplus(−f − ln(1 − F)). Where F is 1, it is f itself.
    """
    young = maturity < 1
    # Elements with F = 1 get any other share: their result is discarded, but its gradient of infinity would not be.
    share = ops.where(young, maturity, 0.5)
    log_missing = ops.log1p(-share)
    seen = ops.log(share) - log_missing - ops.softplus(-logit - log_missing)
    return ops.where(young, seen, logit)


def mean_over_labels(loss: Any) -> Any:
    """Return the mean over the labels of each row, (n, labels) → (n,); one loss a row stays as it is."""
    return ops.mean(loss, axis=-1) if len(loss.shape) > 1 else loss


@keras.saving.register_keras_serializable("ctr_retrain")
class CrossEntropyByLabel(keras.losses.Loss):  # type: ignore[misc]
    """Cross-entropy of (n, labels), summed over labels, mean over rows; its sample weights are (n, labels) too."""

    def call(self, label: Any, logit: Any) -> Any:
        """Return the losses of elements, times the labels of a row."""
        # Keras divides the sum by the number of all elements, and so by the labels of a row once too often.
        return logit.shape[-1] * cross_entropy(label, logit)


@keras.saving.register_keras_serializable("ctr_retrain")
class MembersLoss(keras.losses.Loss):  # type: ignore[misc]
    """The mean over an ensemble's members of another loss: each has its own, as if it were trained alone.

    Logits (n, members · labels), a member's labels beside each other; labels and sample weights as the other loss has
    them. The mean makes each member's gradient smaller by their number; that is undone, so that learning rates and
    the accumulators' start mean what they do for one network.
    """

    def __init__(self, of_one: keras.losses.Loss, members: int, **options: Any) -> None:
        """Take the loss of one member, and how many there are."""
        super().__init__(**options)
        self.of_one, self.members = of_one, members

    def call(self, label: Any, logit: Any) -> Any:
        """Return the mean of the members' losses, in the other loss's shape."""
        # Else Adam's ε and Adagrad's start would weigh more than they do for one network, and tables learn more slowly.
        own = ops.split(_with_gradient_times(ops.convert_to_tensor(logit), self.members), self.members, axis=1)
        return sum(self.of_one.call(label, part) for part in own) / self.members

    def get_config(self) -> dict[str, Any]:
        """Return all that the constructor takes."""
        of_one = keras.saving.serialize_keras_object(self.of_one)
        return {**super().get_config(), "of_one": of_one, "members": self.members}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> MembersLoss:
        """Rebuild the loss from its `get_config`."""
        return cls(**{**config, "of_one": keras.saving.deserialize_keras_object(config["of_one"])})


@keras.saving.register_keras_serializable("ctr_retrain")
class FocalLoss(keras.losses.Loss):  # type: ignore[misc]
    """`focal_loss`, mean over the labels of a row."""

    def __init__(self, gamma: float = 2.0, alpha: float | None = None, **options: Any) -> None:
        """Take the exponent γ ≥ 0, and α in (0, 1) or none."""
        super().__init__(**options)
        self.gamma, self.alpha = gamma, alpha

    def call(self, label: Any, logit: Any) -> Any:
        """Return the losses of rows, (n,)."""
        return mean_over_labels(focal_loss(label, logit, self.gamma, self.alpha))

    def get_config(self) -> dict[str, Any]:
        """Return all that the constructor takes."""
        return {**super().get_config(), "gamma": self.gamma, "alpha": self.alpha}


def _with_gradient_times(values: Any, factor: int) -> Any:
    """Return the values; what comes back to them as their gradient is multiplied."""

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def same(given: Any) -> tuple[Any, Callable[[Any], Any]]:
        return tf.identity(given), lambda gradient: factor * gradient

    return same(values)


def _focal(logit: Any, gamma: float) -> Any:
    """Return (1 − q)^γ · −ln q with q = σ(logit)."""
    return ops.exp(-gamma * ops.softplus(logit)) * ops.softplus(-logit)
