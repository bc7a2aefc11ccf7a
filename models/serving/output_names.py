"""Names of the served graph's outputs, in a module of their own for those who read them without TensorFlow."""

from __future__ import annotations

PROBABILITY = "probability"


def probability_column(kind: str = "") -> str:
    """Name the probability of a head's kind of outcome, or, without a kind, of the label."""
    return f"{PROBABILITY}_{kind}" if kind else PROBABILITY
