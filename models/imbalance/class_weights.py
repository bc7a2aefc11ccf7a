"""Class weights from labels of any format or from counts of parts: as Keras takes them, as weights of rows, as offsets.

    class_weights(labels).as_dict()                            # what `fit(class_weight=…)` takes
    class_weights(sum_of_parts, "effective_number", beta=0.9999, cap=20).sample_weights(labels)
    weights = class_weights(matrix, multi_label=True)          # a weight for and against each label, and
    WeightedCrossEntropy(**weights.for_loss())                 # a loss that takes them, with their offsets

A class that doesn't occur weighs 1, as classes that are not in the dictionary do in Keras, and doesn't count as one of
the k classes; with a single class there is nothing to balance, and it weighs 1 too.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ctr_retrain.models.errors import DataRejectedError, UsageError
from ctr_retrain.models.imbalance.class_counts import Class, ClassCounts, as_labels, count_classes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctr_retrain.models.recipe.weights_section import Weights

Ints = npt.NDArray[np.integer[Any]]
Floats = npt.NDArray[np.floating[Any]]

WAYS = ("balanced", "none", "auto", "effective_number")
BETA = 0.9999  # the largest that Cui et al. tried; classes of far more than 1 / (1 − β) rows all weigh the same

AUTO_MEANS = "class_weight 'auto' means 'balanced' here: n / (classes · rows of the class). Write 'balanced'."

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class ClassWeights:
    """One weight a class, (classes,); of several labels a row two a label, (2, labels): without it and with it."""

    counts: ClassCounts
    weights: Floats

    @property
    def absent(self) -> tuple[Class, ...]:
        """Classes without a row; labels that never occur, or always."""
        missing = self.counts.mass == 0
        missing = missing.any(axis=0) if self.counts.multi_label else missing
        return tuple(name for name, gone in zip(self.counts.classes, missing, strict=True) if gone)

    def as_dict(self) -> dict[int, float]:
        """Class → weight as Keras' `class_weight` takes it; string classes by their place in rising order.

        Raises UsageError for several labels a row, of which Keras would take the first that is there for the class.
        """
        self._refuse_multi_label("a dictionary for class_weight")
        names = self.counts.classes
        return {
            place if isinstance(name, str) else name: float(weight)
            for place, (name, weight) in enumerate(zip(names, self.weights, strict=True))
        }

    def by_name(self) -> dict[Class, float] | dict[Class, tuple[float, float]]:
        """Class → weight; of several labels a row, label → (weight without it, weight with it)."""
        if self.counts.multi_label:
            pairs = self.weights.T.tolist()
            return {name: (pair[0], pair[1]) for name, pair in zip(self.counts.classes, pairs, strict=True)}
        return dict(zip(self.counts.classes, self.weights.tolist(), strict=True))

    def sample_weights(self, labels: Any) -> npt.NDArray[np.float32]:
        """The weight of each row, (rows,), or of each element of an indicator matrix, (rows, labels).

        Raises UsageError for a class that was not counted.
        """
        found, names = as_labels(labels, multi_label=self.counts.multi_label)
        if self.counts.multi_label:
            if len(names) != len(self.counts.classes):
                msg = f"labels: expected {len(self.counts.classes)} columns as were counted, received {len(names)}"
                raise UsageError(msg)
            return np.asarray(np.where(found == 1, self.weights[1], self.weights[0]), np.float32)
        weight = dict(zip(self.counts.classes, self.weights, strict=True))
        if strange := [name for name in names if name not in weight]:
            msg = (
                f"labels: expected the classes that were counted, {list(weight)[:10]}, received {strange[:5]} too. "
                "Name all of them in count_classes(classes=…)."
            )
            raise UsageError(msg)
        return np.asarray(np.array([weight[name] for name in names], np.float32)[found])

    def normalized(self) -> ClassWeights:
        """The same, scaled to a mean of 1 over the counted rows (of each label), so that the loss keeps its scale."""
        mass = self.counts.mass
        return replace(self, weights=self.weights * mass.sum(axis=0) / (self.weights * mass).sum(axis=0))

    def offset(self) -> Floats:
        """What takes the weights out of probabilities again, added to the logits in training and left out in serving.

        One class a row: ln of each weight, (classes,), for a softmax; of two classes, the difference is a sigmoid's.
        Several labels: ln of the weight with less that without, (labels,). Menon et al. 2021; King and Zeng 2001.
        """
        logarithm = np.log(self.weights)
        return np.asarray(logarithm[1] - logarithm[0] if self.counts.multi_label else logarithm)

    def for_loss(self) -> dict[str, list[float] | float]:
        """What `models.losses.WeightedCrossEntropy` takes, for several labels a row or for the two classes of one."""
        if not self.counts.multi_label and len(self.weights) != 2:
            msg = f"for_loss: expected two classes or several labels, received the classes {list(self.counts.classes)}"
            raise UsageError(msg)
        negative, positive = self.weights
        terms = {
            "negative_weight": negative,
            "positive_weight": positive,
            "offset": np.log(positive) - np.log(negative),
        }
        return {name: term.tolist() for name, term in terms.items()}

    def _refuse_multi_label(self, what: str) -> None:
        if self.counts.multi_label:
            msg = (
                f"{what}: expected one class a row, received {len(self.counts.classes)} labels. Keras takes the argmax "
                "of each row for its class: give WeightedCrossEntropy(**for_loss()) to compile instead."
            )
            raise UsageError(msg)


def class_weights(
    labels_or_counts: Any,
    how: str | Mapping[Any, Any] = "balanced",
    *,
    power: float = 1.0,
    cap: float | None = None,
    beta: float = BETA,
    multi_label: bool = False,
    classes: Sequence[Class] | None = None,
) -> ClassWeights:
    """Weights of the classes in these labels, these counts, or an iterator over parts of either, read once.

    how: balanced (n / (k · n_c), scikit-learn's compute_class_weight; `auto` means the same), effective_number (Cui et
    al. 2019, with beta), none, or a mapping of classes to weights, in which what isn't there weighs 1, as in Keras; of
    labels to the weight with it, or to a pair of those without and with it. Each is raised to `power`, then capped.
    labels, multi_label and classes are `count_classes`'s. Raises DataRejectedError where there are no rows or labels
    are missing, UsageError for anything else that can't be used.
    """
    counts = _counted(labels_or_counts, multi_label=multi_label, classes=classes)
    if not counts.mass.size or not counts.mass.sum(axis=0).all():
        msg = "class weights: expected at least one row, received none. Check what the labels are read from."
        raise DataRejectedError(msg)
    _check_number("power", power, finite=True)
    if cap is not None:
        _check_number("cap", cap, finite=False)
        if cap == 0:
            msg = "cap: expected a largest weight above 0, or None, received 0"
            raise UsageError(msg)
    if how == "auto":
        log.warning(AUTO_MEANS)
    base = _mapped(counts, how) if isinstance(how, Mapping) else weights_of_mass(counts.mass, how, beta)
    return ClassWeights(counts, np.minimum(base**power, np.inf if cap is None else cap))


def weights_of_mass(mass: Floats, how: str, beta: float = BETA) -> Floats:
    """The weights of classes from the mass of each, (classes, …); 1 where there is none."""
    match how:
        case "none":
            return np.ones_like(mass)
        case "balanced" | "auto":
            total, present = mass.sum(axis=0), (mass > 0).sum(axis=0)
            return np.asarray(np.divide(total / np.maximum(present, 1), mass, out=np.ones_like(mass), where=mass > 0))
        case "effective_number":
            return effective_number_weights(mass, beta)
    msg = f"class weights: expected {', '.join(WAYS)} or a mapping of classes to weights, received {how!r}"
    raise UsageError(msg)


def effective_number_weights(counts: Floats, beta: float) -> Floats:
    """1 over the effective number (1 − β^n)/(1 − β) of samples of each class, scaled to a sum of the classes present.

    counts: (classes, …). Cui et al. 2019, proposition 1 and section 4: β = 0 is no weighting, β → 1 is 1 over the
    count; β = (N − 1)/N where a class has N prototypes.
    """
    if not 0 <= beta < 1:
        msg = f"beta: expected a number in [0, 1), received {beta}"
        raise UsageError(msg)
    there = counts > 0
    number = -np.expm1(counts * np.log(beta)) if beta else np.ones_like(counts)  # 1 − β^n
    weight = np.divide(1.0, number, out=np.zeros_like(number), where=there)
    total = weight.sum(axis=0)
    return np.where(there, weight * there.sum(axis=0) / np.where(total > 0, total, 1), 1.0)


def class_weights_of(class_mass: Floats, weights: Weights) -> tuple[float, float]:
    """Weights of labels 0 and 1 by the recipe, raised to class_power, from the mass of each, (2,)."""
    way = weights.class_weight
    if isinstance(way, dict):
        base = np.array([way.get("0", 1.0), way.get("1", 1.0)])
    else:
        base = weights_of_mass(class_mass, way, weights.class_beta)
    negative, positive = base**weights.class_power
    return float(negative), float(positive)


def kish_sample_size(weight: Floats, rows: Ints | Floats) -> float:
    """(Σ w)² / Σ w² over all rows, where `rows` of them share each weight (Kish 1965, section 11.7); 0 for no rows."""
    squares = float((weight**2) @ rows)
    return float(weight @ rows) ** 2 / squares if squares else 0.0


def _counted(given: Any, *, multi_label: bool, classes: Sequence[Class] | None) -> ClassCounts:
    if isinstance(given, Iterator):
        parts = [_counted(part, multi_label=multi_label, classes=classes) for part in given]
        return reduce(add, parts) if parts else ClassCounts((), np.zeros(0))
    if isinstance(given, ClassCounts):
        return given if classes is None else given.over(classes)
    return count_classes(given, multi_label=multi_label, classes=classes)


def _mapped(counts: ClassCounts, mapping: Mapping[Any, Any]) -> Floats:
    """Weights as given, 1 for what isn't; raises UsageError for classes that aren't there and for no weights."""
    if strange := [name for name in mapping if name not in counts.classes]:
        msg = f"class weights: expected classes of {list(counts.classes)[:10]}, received {strange[:5]} too"
        raise UsageError(msg)
    given = [mapping.get(name, 1.0) for name in counts.classes]
    if counts.multi_label:
        given = [pair if isinstance(pair, tuple | list) else (1.0, pair) for pair in given]
    try:
        weights = np.array(given, np.float64).T
    except (TypeError, ValueError) as error:
        msg = f"class weights: expected a number a class, or a pair a label, received {dict(mapping)}"
        raise UsageError(msg) from error
    if not (np.isfinite(weights) & (weights > 0)).all():
        msg = (
            f"class weights: expected finite numbers above 0, received {dict(mapping)}. "
            "To leave a class out, leave its rows out."
        )
        raise UsageError(msg)
    return weights


def _check_number(name: str, value: float, *, finite: bool) -> None:
    if not value >= 0 or (finite and np.isinf(value)):
        msg = f"{name}: expected a number of at least 0, received {value}"
        raise UsageError(msg)
