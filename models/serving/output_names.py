"""Names of the served graph's outputs, in a module of their own for those who read them without TensorFlow."""

from __future__ import annotations

PROBABILITY = "probability"


def probability_column(kind: str = "") -> str:
    """Name the probability of a head's kind of outcome, or, without a kind, of the label."""
    return f"{PROBABILITY}_{kind}" if kind else PROBABILITY


def head_column(model: str, kind: str) -> str:
    """Return the name of the column of scores.parquet with a model's probability of a head's kind."""
    return f"{model}_{probability_column(kind)}"
