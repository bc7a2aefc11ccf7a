"""Row weights for training: recency × class × confidence, and the offset that takes them out of probabilities again.

The weight of row i, of age a days, label c and confidence q, is

    w(i, c) = s · min(2^(−a / half_life) · κ_c · q, cap)

with the class weight κ_c and the scale s that makes the mean weight of the streamed rows 1 (or is 1, where the recipe
doesn't normalise). A model trained with these weights learns the log-odds of the weighted world, ln(w(i, 1) / w(i, 0))
away from those of the real one (King and Zeng 2001, section 4.1, prior correction, here row by row and after capping).
Where only the share r of a day's negatives is streamed, and each positive k times, the odds are k / r times as high
again. Both together are the row's *offset*:

    o(i) = ln w(i, 1) − ln w(i, 0) + ln k − ln r

Training sees σ(f + o), serving σ(f).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from math import log
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ctr_retrain.models.documents.weights_documents import WeightFactors
from ctr_retrain.models.errors import DataRejectedError, UsageError
from ctr_retrain.models.weights.class_balance import class_weights_of, kish_sample_size
from ctr_retrain.models.weights.sampling import kept_negatives

if TYPE_CHECKING:
    from ctr_retrain.models.recipe.weights_section import Weights

Ints = npt.NDArray[np.integer[Any]]
Floats = npt.NDArray[np.floating[Any]]

MAX_HALF_LIVES = 100  # 2**-100: much smaller ones would be float32 weights of zero
# Confidence must not tell the label. By features alone it may differ a little between the classes; refused is a ratio
# of the classes' mean confidence beyond 1.25 that is also beyond 4 standard errors, once there is enough to see it.
MAX_CONFIDENCE_RATIO = 1.25
MIN_CONFIDENCE_Z = 4.0
MIN_CONFIDENCE_ROWS = 30  # of each class


@dataclass(frozen=True, eq=False)
class ClassMass:
    """Training rows counted by day, label and confidence; every array has shape (m,), one entry a combination."""

    day_index: Ints  # position in the days of the training window
    label: Ints  # 0 or 1
    confidence: Floats  # in (0, 1]
    rows: Ints


class Factors(WeightFactors):
    """All that makes a training row's weight, ready to be applied to rows."""

    @property
    def samples(self) -> bool:
        """Return True if an epoch streams anything but each row once."""
        return self.positive_copies > 1 or min(self.negative_share) < 1

    @property
    def _cap(self) -> float:
        """Return the largest product of weights, infinite where there is no cap."""
        return np.inf if self.cap is None else self.cap

    def weight(self, day_index: Ints, label: Ints, confidence: Floats | None = None) -> npt.NDArray[np.float32]:
        """Return the weights of rows, (n,), with mean 1 (else mean_weight) over all streamed rows.

        day_index: (n,) positions in `days`. label: (n,) 0 or 1. confidence: (n,); without it, 1.
        """
        weight = np.asarray(self.recency)[day_index] * np.asarray(self.class_weight)[label]
        if confidence is not None:
            weight = weight * confidence
        return np.asarray(self.scale * np.minimum(weight, self._cap), np.float32)

    def offset(self, day_index: Ints, confidence: Floats | None = None) -> npt.NDArray[np.float32]:
        """Return the rows' offsets o(i), (n,); zeros where the recipe turns the inversion off."""
        if not self.use_offset:
            return np.zeros(len(day_index), np.float32)
        shared = np.log(self.recency)[day_index]
        if confidence is not None:
            shared = shared + np.log(confidence.astype(np.float64))
        # After the cap, row by row: a constant offset beside a cap of 50 left a calibration ratio of 0.68 in a trial.
        log_negative, log_positive = (
            np.minimum(shared + log(weight), np.log(self._cap)) for weight in self.class_weight
        )
        sampled = log(self.positive_copies) - np.log(self.negative_share)[day_index]
        return (log_positive - log_negative + sampled).astype(np.float32)


def compute_factors(days: tuple[date, ...], cut: date, mass: ClassMass, weights: Weights) -> Factors:
    """Compute the factors of a run from its days, its newest day `cut` (age 0) and the counts of its rows.

    No positives is no error: both classes weigh 1, and effective_positives is 0. Raises UsageError where the half-life
    is far too short for the days, DataRejectedError where there is no row or no negative, or where confidence lies
    outside (0, 1] or depends on the label.
    """
    assert weights.half_life_days > 0  # `Recipe.row_weights` has one where the recipe leaves it open
    _check_mass(mass)
    _check_confidence(mass)
    half_lives = np.array([(cut - day).days for day in days]) / weights.half_life_days
    if half_lives.max() > MAX_HALF_LIVES:
        least = (cut - min(days)).days / MAX_HALF_LIVES
        msg = (
            f"weights.half_life_days: expected at least {least:.2g} for {len(days)} days of training, received "
            f"{weights.half_life_days}: the oldest rows would weigh nothing. Raise it."
        )
        raise UsageError(msg)
    recency = np.exp2(-half_lives)
    positive = mass.label == 1
    kept_share = _negative_share(mass, len(days), weights.negative_share)
    kept = np.where(positive, mass.rows, mass.rows * kept_share[mass.day_index])  # (m,) different rows of an epoch
    copies = np.where(positive, weights.positive_copies, 1)
    shared = recency[mass.day_index] * mass.confidence  # (m,)
    class_weight = class_weights_of(_by_class(mass, shared * copies * kept), weights)
    cap = weights.cap or np.inf
    raw = np.minimum(shared * np.array(class_weight)[mass.label], cap) * copies
    total, rows = float(raw @ kept), round(float(copies @ kept))
    weighted_mass = _by_class(mass, raw * kept)
    return Factors(
        days=days,
        recency=tuple(recency.tolist()),
        class_weight=class_weight,
        cap=weights.cap or None,
        scale=rows / total if weights.normalise else 1.0,
        mean_weight=1.0 if weights.normalise else total / rows,
        use_offset=weights.offset,
        base_log_odds=_log_odds(_by_class(mass, shared * mass.rows) if weights.offset else weighted_mass),
        negative_share=tuple(kept_share.tolist()),
        positive_copies=weights.positive_copies,
        rows_before_sampling=int(mass.rows.sum()),
        rows=rows,
        effective_sample_size=kish_sample_size(raw, kept),
        effective_positives=kish_sample_size(recency[mass.day_index][positive], mass.rows[positive]),
        day_shares=tuple((np.bincount(mass.day_index, raw * kept, minlength=len(days)) / total).tolist()),
        class_shares=tuple((weighted_mass / total).tolist()),
    )


def _negative_share(mass: ClassMass, days: int, share: float) -> Floats:
    """Return the share of each day's negatives that whole rows come to, (days,); `share` itself without any."""
    negative = mass.label == 0
    rows = np.bincount(mass.day_index[negative], mass.rows[negative], minlength=days).astype(np.int64)
    return np.where(rows > 0, kept_negatives(rows, share) / np.maximum(rows, 1), share)


def _by_class(mass: ClassMass, amount: Floats) -> Floats:
    """Sum the amounts of all combinations, (m,), by label: (2,)."""
    return np.bincount(mass.label, amount, minlength=2).astype(np.float64)


def _log_odds(class_mass: Floats) -> float:
    """Return the log-odds of a positive, finite even where there is none."""
    return log((class_mass[1] + 0.5) / (class_mass[0] + 0.5))


def _check_mass(mass: ClassMass) -> None:
    """Raise DataRejectedError where there are no rows, or no negatives."""
    rows = int(mass.rows.sum())
    if not rows:
        msg = (
            "training rows: expected at least one, received none. Check which days were accepted, or widen the window."
        )
        raise DataRejectedError(msg)
    if rows == mass.rows[mass.label == 1].sum():
        msg = f"training rows: expected negatives too, received {rows} positives only. Check how labels are made."
        raise DataRejectedError(msg)


def _check_confidence(mass: ClassMass) -> None:
    """Raise DataRejectedError for confidence outside (0, 1], or that depends on the label."""
    low, high = float(mass.confidence.min()), float(mass.confidence.max())
    if not (low > 0 and high <= 1):  # also where it is not a number
        msg = f"confidence: expected values in (0, 1], received {low} to {high}. Correct the column, or don't map it."
        raise DataRejectedError(msg)
    rows = np.bincount(mass.label, mass.rows, minlength=2)
    if rows.min() < MIN_CONFIDENCE_ROWS:
        return
    negative, positive = np.bincount(mass.label, mass.confidence * mass.rows, minlength=2) / rows
    mean = float(mass.confidence @ mass.rows) / rows.sum()
    variance = float((mass.confidence - mean) ** 2 @ mass.rows) / rows.sum()  # of both classes, as if they were alike
    error = (variance * (1 / rows).sum()) ** 0.5
    large = abs(log(positive / negative)) > log(MAX_CONFIDENCE_RATIO)
    if large and abs(positive - negative) > MIN_CONFIDENCE_Z * error:
        msg = (
            f"confidence: expected not to depend on the label, received a mean of {positive:.3g} for positives and "
            f"{negative:.3g} for negatives, which no offset could invert. Correct the column, or don't map it."
        )
        raise DataRejectedError(msg)
