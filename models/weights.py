"""Weights of classes, and how many equally weighed rows weighted ones are worth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from models.recipe import Weights

Ints = npt.NDArray[np.integer[Any]]
Floats = npt.NDArray[np.floating[Any]]


def class_weights_of(class_mass: Floats, weights: Weights) -> tuple[float, float]:
    """Weights of labels 0 and 1, raised to class_power, from the mass of each, (2,).

    balanced is n / (k · n_c), as scikit-learn's compute_class_weight has it, with mass instead of counts and k the
    classes that occur; with a single class, there is nothing to balance and both weigh 1.
    """
    match weights.class_weight:
        case "none":
            base = np.ones(2)
        case "balanced":
            base = class_mass.sum() / (2 * class_mass) if class_mass.all() else np.ones(2)
        case mapping:
            base = np.array([mapping.get("0", 1.0), mapping.get("1", 1.0)])
    negative, positive = base**weights.class_power
    return float(negative), float(positive)


def effective_number_weights(counts: Floats, beta: float) -> Floats:
    """1 over the effective number (1 − β^n)/(1 − β) of samples of each class, scaled to a sum of the classes present.

    counts: (classes, …). A class without rows weighs 0. Cui et al. 2019, proposition 1 and section 4: β = 0 is no
    weighting, β → 1 is 1 over the count.
    """
    if not 0 <= beta < 1:
        msg = f"beta: expected a number in [0, 1), received {beta}"
        raise ValueError(msg)
    number = -np.expm1(counts * np.log(beta)) if beta else np.ones_like(counts)  # 1 − β^n
    weight = np.divide(1.0, number, out=np.zeros_like(number), where=counts > 0)
    total = weight.sum(axis=0)
    present = (counts > 0).sum(axis=0)
    return np.asarray(weight * np.divide(present, total, out=np.zeros_like(total), where=total > 0))


def kish_sample_size(weight: Floats, rows: Ints | Floats) -> float:
    """(Σ w)² / Σ w² over all rows, where `rows` of them share each weight (Kish 1965, section 11.7); 0 for no rows."""
    squares = float((weight**2) @ rows)
    return float(weight @ rows) ** 2 / squares if squares else 0.0
