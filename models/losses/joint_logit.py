"""The logit of two things happening after each other, such as a click and then a conversion."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


def joint_logit(first: Any, second: Any) -> Any:
    """Return the logit of σ(a)·σ(b), any shape: −ln(e^−a + e^−b + e^−(a+b)).

    Entire-space multi-task model (Ma et al. 2018, equation 3): the chance of a click and then a conversion,
    pCTCVR = pCTR · pCVR, has a label on every impression, and pCVR is learnt as its second factor, never from clicked
    rows alone. From p = σ(a)σ(b): p/(1 − p) = 1/(e^−a + e^−b + e^−(a+b)).
    """
    first, second = ops.convert_to_tensor(first), ops.convert_to_tensor(second)
    # A sum of logarithms, since the product of two probabilities may round to 0 or 1, whose logit has no gradient.
    return -ops.logsumexp(ops.stack([-first, -second, -(first + second)], axis=-1), axis=-1)


@keras.saving.register_keras_serializable("ctr_retrain")
class JointLogit(keras.layers.Layer):  # type: ignore[misc]
    """`joint_logit` of [a, b], each (batch, 1)."""

    def call(self, logits: list[Any]) -> Any:
        """Return the logit of both."""
        return joint_logit(*logits)
