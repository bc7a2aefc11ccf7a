"""Focal loss's way from what it drives a network to, to the probability, and back; per row, so that offsets stay exact.

Under weights w₁ of a row if positive and w₀ if negative, the q that minimises the expected focal loss
−w₁ p (1 − q)^γ ln q − w₀ (1 − p) q^γ ln(1 − q) (Lin et al. 2017, equation 4) is where its derivative vanishes:

    w₁ p A(q) = w₀ (1 − p) A(1 − q)      A(q) = (1 − q)^γ / q − γ (1 − q)^(γ−1) ln q

so p = A(1 − q)/(A(q) + A(1 − q)) without weights (the Ψ^γ of Charoenphakdee et al. 2021), and with
G(z) = ln A(1 − q) − ln A(q) of q = σ(z) the weights come in as the same offset as under cross-entropy:

    G(z) = logit p + o      o = ln w₁ − ln w₀, and what sampling adds

Hence the network ends in G, which makes its answer the logit of the probability, as it is under cross-entropy, for
whatever comes after it; training adds the row's offset to that, as ever, and takes the loss at z = G⁻¹(logit p + o).
Where o is 0, z is what went into G: the plain focal loss. With B(z) = e^z ln(1 + e^−z), which lies in (0, 1) and whose
slope is B(z) − σ(z),

    G(z) = (1 + γ) z − ln(1 + γ B(z)) + ln(1 + γ B(−z))

is stable at any z, odd, and rises everywhere: G′ ≥ 1, since each logarithm's slope is at most γ · 0.22.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

NEWTON_STEPS = 2  # from an error below 0.4; with the step that carries the gradient, float32 precision
LARGEST = 50.0  # of |z| in an exponential; beyond, B differs from its limit by less than float32 can tell


@keras.saving.register_keras_serializable("ctr_retrain")
class FocalLink(keras.layers.Layer):  # type: ignore[misc]
    """z ↦ G(z), the log-odds of a positive where σ(z) minimises the focal loss; any shape."""

    def __init__(self, gamma: float, **options: Any) -> None:
        """Take the loss's exponent γ ≥ 0."""
        super().__init__(**options)
        self.gamma = gamma

    def call(self, logit: Any) -> Any:
        """Return the corrected logit."""
        return focal_link(logit, self.gamma)

    def get_config(self) -> dict[str, Any]:
        """Return all that the constructor takes."""
        return {**super().get_config(), "gamma": self.gamma}


def focal_link(logit: Any, gamma: float) -> Any:
    """G(z): same shape; rises in z, G(−z) = −G(z)."""
    return (1 + gamma) * logit - ops.log1p(gamma * _b(logit)) + ops.log1p(gamma * _b(-logit))


def inverse_focal_link(log_odds: Any, gamma: float) -> Any:
    """The z with G(z) = log_odds, by Newton's method from log_odds / (1 + γ); same shape.

    Its gradient is 1 / G′(z), by one more step in which only log_odds moves.
    """
    z = log_odds / (1 + gamma)
    for _ in range(NEWTON_STEPS):
        z = z + (log_odds - focal_link(z, gamma)) / _slope(z, gamma)
    z = ops.stop_gradient(z)
    return z + (log_odds - focal_link(z, gamma)) / _slope(z, gamma)


def _slope(z: Any, gamma: float) -> Any:
    """G′(z)."""
    above, below = _b(z), _b(-z)
    falling = gamma * (above - ops.sigmoid(z)) / (1 + gamma * above)
    return 1 + gamma - falling - gamma * (below - ops.sigmoid(-z)) / (1 + gamma * below)


def _b(z: Any) -> Any:
    """B(z) = e^z ln(1 + e^−z) = ln(1 + u)/u of u = e^−z, without overflow on either side."""
    u = ops.exp(-ops.clip(z, 0.0, LARGEST))
    negative = ops.minimum(z, 0.0)
    return ops.where(z > 0, ops.log1p(u) / u, ops.softplus(-negative) * ops.exp(negative))
