"""Numbers that leave what the training window held, or that move with the date.

Such a number tells a model the date rather than the impression: what it learnt of the level of one week it says of the
next. Values beyond the window count as its outermost ones, so nothing is extrapolated, and nothing is learnt either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.models.documents.drift_documents import NumberDrift
from ctr_retrain.models.documents.weights_documents import TrainingWarning
from ctr_retrain.models.features.number_knots import fit_bounds
from ctr_retrain.models.number_format import number, percent

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    Sample = NDArray[np.float32]  # values of some rows of a day, (rows,), NaN where missing

OUTSIDE_LINE = 0.05  # share of a day's rows outside the window's bounds that is named, where it is sure
STANDARD_ERRORS = 3.0
TREND_DAYS = 5  # at least, and on nearly every one of them the number is further than before
TREND_TAU = 0.9  # Kendall's, of days and the number's mean rank
TREND_SHIFT = 0.5  # from the first day to the last, in deviations within a day


@dataclass(frozen=True, eq=False)
class NumberDays:
    """A number's values, day by day, oldest first; a day without rows has an empty sample."""

    name: str
    train: tuple[Sample, ...]
    validate: tuple[Sample, ...]
    newest: Sample  # of the run's own day


def judge_number(days: NumberDays) -> NumberDrift:
    """Compare a number's values on the validation days and on the run's own with those of the training window."""
    window = np.concatenate([*days.train, np.empty(0, np.float32)])
    bounds = fit_bounds(window)
    later = {"validation days": np.concatenate([*days.validate, np.empty(0, np.float32)]), "run's day": days.newest}
    usual, *shares = (_share_outside(sample, bounds) for sample in (window, *later.values()))
    left = {
        name: share
        for (name, sample), share in zip(later.items(), shares, strict=True)
        if share is not None and _surely_outside(share, usual or 0, len(sample))
    }
    shift = _trend([*days.train, *days.validate, days.newest])
    return NumberDrift(
        name=days.name,
        low=bounds[0],
        high=bounds[1],
        outside=usual,
        validation_outside=shares[0],
        newest_outside=shares[1],
        shift=shift,
        message=" ".join(_sentences(days.name, bounds, left, shift)),
    )


def number_warnings(numbers: Iterable[NumberDrift]) -> tuple[TrainingWarning, ...]:
    """Return a warning for each number of which there is something to say."""
    return tuple(TrainingWarning(name="number_drift", message=one.message) for one in numbers if one.message)


def _share_outside(sample: Sample, bounds: tuple[float, float]) -> float | None:
    """Return the share of the rows with a value whose value lies outside; None without such rows."""
    values = sample[~np.isnan(sample)]
    return float(((values < bounds[0]) | (values > bounds[1])).mean()) if len(values) else None


def _surely_outside(share: float, usual: float, rows: int) -> bool:
    """Tell whether a share is above the line, and above what the window itself has, by more than chance explains."""
    error = np.sqrt(share * (1 - share) / max(1, rows))
    return bool(share - STANDARD_ERRORS * error > OUTSIDE_LINE + usual)


def _trend(days: Sequence[Sample]) -> float | None:
    """Return how far a number moved from the first day to the last, in deviations within a day; None unless steadily.

    In ranks, so that neither outliers nor the number's scale matter.
    """
    there = [day[np.isfinite(day)] for day in days]
    there = [day for day in there if len(day)]
    if len(there) < TREND_DAYS:
        return None
    ranks = np.split(_mean_ranks(np.concatenate(there)), np.cumsum([len(day) for day in there])[:-1])
    means, deviation = np.array([day.mean() for day in ranks]), float(np.sqrt(np.mean([day.var() for day in ranks])))
    shift = float(means[-1] - means[0])
    if abs(shift) <= TREND_SHIFT * deviation or abs(_kendall(means)) < TREND_TAU:
        return None
    # A number that is the same all day and another the next has no deviation within a day.
    return shift / max(deviation, abs(shift) / 100)


def _mean_ranks(values: Sample) -> NDArray[np.float64]:
    """Return the rank of each value from 1 on, that of equal ones their mean."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (np.cumsum(count) - (count - 1) / 2)[place]
    return ranks


def _kendall(means: NDArray[np.float64]) -> float:
    """Return how steadily the days' means rise, or fall: Kendall's τ_b (1945) of means, not all equal, and days."""
    # SciPy has both, in a package that takes every process longer to import than all that is done here.
    signs = np.sign(means[None, :] - means[:, None])[np.triu_indices(len(means), 1)]  # of each pair, the later day's
    return float(signs.sum() / np.sqrt(len(signs) * np.count_nonzero(signs)))


def _sentences(name: str, bounds: tuple[float, float], left: dict[str, float], shift: float | None) -> list[str]:
    """Say what a number does, and what to do; nothing where it does nothing."""
    found = []
    if left:
        where = " and ".join(f"{percent(share)} of the rows of the {days}" for days, share in left.items())
        found.append(
            f"Number {name!r} leaves the training window's values, {number(bounds[0])} to {number(bounds[1])}, on "
            f"{where}: there it counts as the outermost value, of which the model knows no more."
        )
    if shift is not None:
        way, size = ("rises", shift) if shift > 0 else ("falls", -shift)
        found.append(
            f"Number {name!r} moves with the date: from day to day it {way}, over all days by {number(size)} of its "
            "deviations within a day, so a model takes it for the date and is wrong on the next."
        )
    if found:
        found.append(
            "Give what doesn't move with the calendar instead (an age at an event, a difference or ratio to the day's "
            "mean), or remove it from the recipe; if it is seasonal, a longer window has seen more of it."
        )
    return found
