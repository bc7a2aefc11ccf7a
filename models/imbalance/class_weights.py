"""Class weights from labels of any format or from counts of parts: for Keras, for rows, and as offsets of logits.

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
from ctr_retrain.models.weights.class_balance import AUTO_MEANS, BETA, weights_of_mass

if TYPE_CHECKING:
    from collections.abc import Sequence

Floats = npt.NDArray[np.floating[Any]]

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class ClassWeights:
    """The weight of each class, or for each of several labels the weights without and with it."""

    counts: ClassCounts
    weights: Floats  # (classes,); of several labels a row (2, labels)

    @property
    def absent(self) -> tuple[Class, ...]:
        """Classes without a row, and labels that never or always occur."""
        missing = self.counts.mass == 0
        missing = missing.any(axis=0) if self.counts.multi_label else missing
        return tuple(name for name, gone in zip(self.counts.classes, missing, strict=True) if gone)

    def as_dict(self) -> dict[int, float]:
        """Return class → weight as Keras' `class_weight` takes it; string classes by their place in rising order.

        Raises UsageError for several labels a row, where Keras would take the first that is there for the class.
        """
        self._refuse_multi_label("a dictionary for class_weight")
        names = self.counts.classes
        return {
            place if isinstance(name, str) else name: float(weight)
            for place, (name, weight) in enumerate(zip(names, self.weights, strict=True))
        }

    def by_name(self) -> dict[Class, float] | dict[Class, tuple[float, float]]:
        """Return class → weight; of several labels a row, label → (weight without it, weight with it)."""
        if self.counts.multi_label:
            pairs = self.weights.T.tolist()
            return {name: (pair[0], pair[1]) for name, pair in zip(self.counts.classes, pairs, strict=True)}
        return dict(zip(self.counts.classes, self.weights.tolist(), strict=True))

    def sample_weights(self, labels: Any) -> npt.NDArray[np.float32]:
        """Return the weight of each row, (rows,), or of each element of an indicator matrix, (rows, labels).

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
        """Scale the weights to a mean of 1 over the counted rows (of each label), so that the loss keeps its scale."""
        mass = self.counts.mass
        return replace(self, weights=self.weights * mass.sum(axis=0) / (self.weights * mass).sum(axis=0))

    def offset(self) -> Floats:
        """Return the term that undoes the weights: added to the logits in training, left out in serving.

        One class a row: ln of each weight, (classes,), for a softmax; of two classes, the difference is a sigmoid's.
        Several labels: ln of the weight with less that without, (labels,). Menon et al. 2021; King and Zeng 2001.
        """
        logarithm = np.log(self.weights)
        return np.asarray(logarithm[1] - logarithm[0] if self.counts.multi_label else logarithm)

    def for_loss(self) -> dict[str, list[float] | float]:
        """Return the arguments of `WeightedCrossEntropy`, for several labels a row or for the two classes of one."""
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
    """Weigh the classes in these labels, these counts, or an iterator over parts of either, which is read once.

    how: balanced (n / (k · n_c), scikit-learn's compute_class_weight; `auto` means the same), effective_number (Cui et
    al. 2019, with beta), none, or a mapping. A mapping goes from classes to weights, and a class that it lacks weighs
    1, as in Keras; or from labels to the weight with the label, or to the pair of weights without and with it. Each
    weight is raised to `power`, then capped. labels, multi_label and classes are those of `count_classes`. Raises
    DataRejectedError where there are no rows or labels are missing, UsageError for anything else that can't be used.
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
    if how == "auto":  # older versions of scikit-learn had it, and meant something else
        log.warning(AUTO_MEANS)
    base = _mapped(counts, how) if isinstance(how, Mapping) else weights_of_mass(counts.mass, how, beta)
    return ClassWeights(counts, np.minimum(base**power, np.inf if cap is None else cap))


def _counted(given: Any, *, multi_label: bool, classes: Sequence[Class] | None) -> ClassCounts:
    if isinstance(given, Iterator):
        # An iterator is read once and never held whole: labels may be larger than memory.
        parts = [_counted(part, multi_label=multi_label, classes=classes) for part in given]
        return reduce(add, parts) if parts else ClassCounts((), np.zeros(0))
    if isinstance(given, ClassCounts):
        return given if classes is None else given.over(classes)
    return count_classes(given, multi_label=multi_label, classes=classes)


def _mapped(counts: ClassCounts, mapping: Mapping[Any, Any]) -> Floats:
    """Return the given weights, 1 for classes without; raises UsageError for unknown classes and for no weights."""
    # A misspelt class would silently weigh 1.
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
