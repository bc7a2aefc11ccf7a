"""Class weights from the mass of each class, as the recipe says, and the effective size of a weighted sample.

Mass is rows, or the sum of what each row counts instead of 1, such as its recency.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ctr_retrain.models.errors import UsageError

if TYPE_CHECKING:
    from ctr_retrain.models.recipe.weights_section import Weights

Ints = npt.NDArray[np.integer[Any]]
Floats = npt.NDArray[np.floating[Any]]

WAYS = ("balanced", "none", "auto", "effective_number")
BETA = 0.9999  # the largest that Cui et al. tried; classes of far more than 1 / (1 − β) rows all weigh the same

AUTO_MEANS = "class_weight 'auto' means 'balanced' here: n / (classes · rows of the class). Write 'balanced'."


def class_weights_of(class_mass: Floats, weights: Weights) -> tuple[float, float]:
    """Return the weights of labels 0 and 1 by the recipe, raised to `class_power`, from the mass of each, (2,)."""
    way = weights.class_weight
    if isinstance(way, dict):
        base = np.array([way.get("0", 1.0), way.get("1", 1.0)])
    else:
        base = weights_of_mass(class_mass, way, weights.class_beta)
    negative, positive = base**weights.class_power
    return float(negative), float(positive)


def weights_of_mass(mass: Floats, how: str, beta: float = BETA) -> Floats:
    """Return the weights of classes from the mass of each, (classes, …).

    how: balanced (n / (k · n_c), scikit-learn's compute_class_weight; `auto` means the same), effective_number or none.
    Raises UsageError for anything else.
    """
    match how:
        case "none":
            return np.ones_like(mass)
        case "balanced" | "auto":
            # A class without mass weighs 1, as in Keras, and is none of the k: there is nothing to balance it against.
            total, present = mass.sum(axis=0), (mass > 0).sum(axis=0)
            return np.asarray(np.divide(total / np.maximum(present, 1), mass, out=np.ones_like(mass), where=mass > 0))
        case "effective_number":
            return effective_number_weights(mass, beta)
    msg = f"class weights: expected {', '.join(WAYS)} or a mapping of classes to weights, received {how!r}"
    raise UsageError(msg)


def effective_number_weights(counts: Floats, beta: float) -> Floats:
    """Return 1 over the effective number (1 − β^n)/(1 − β) of each class, scaled to a sum of the classes present.

    counts: (classes, …). Cui et al. 2019, proposition 1 and section 4: β = 0 is no weighting, β → 1 is 1 over the
    count; β = (N − 1)/N where a class has N prototypes.
    """
    if not 0 <= beta < 1:
        msg = f"beta: expected a number in [0, 1), received {beta}"
        raise UsageError(msg)
    there = counts > 0
    # expm1, since β^n of a rare class is so near to 1 that the difference would lose its digits.
    number = -np.expm1(counts * np.log(beta)) if beta else np.ones_like(counts)  # 1 − β^n
    weight = np.divide(1.0, number, out=np.zeros_like(number), where=there)
    total = weight.sum(axis=0)
    return np.where(there, weight * there.sum(axis=0) / np.where(total > 0, total, 1), 1.0)


def kish_sample_size(weight: Floats, rows: Ints | Floats) -> float:
    """Return (Σ w)² / Σ w² over all rows, where `rows` of them share each weight; 0 for no rows.

    Kish 1965, section 11.7.
    """
    squares = float((weight**2) @ rows)
    return float(weight @ rows) ** 2 / squares if squares else 0.0
