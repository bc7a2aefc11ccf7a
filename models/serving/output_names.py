"""What the served graph calls its answers; apart from it, for those who read them without TensorFlow."""

from __future__ import annotations

PROBABILITY = "probability"


def probability_column(kind: str = "") -> str:
    """The probability of a head's kind, or without one the label's own."""
    return f"{PROBABILITY}_{kind}" if kind else PROBABILITY
