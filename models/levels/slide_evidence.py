"""Evidence of changes of one series that no single day shows: slides, and small steps that last.

An e-detector (Shin, Ramdas and Rinaldo 2024, "E-detectors: a nonparametric framework for sequential change
detection"): likelihood ratios of a change against none, summed over the days on which it may have begun and averaged
over its forms by their weights, as Shiryaev and Roberts sum them. Where nothing has changed such a sum reaches A once
in A days or more, so the threshold is the budget's run length itself. A level that follows takes part of a change with
it: what is left of each form in the one-step errors is followed beside the level.
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

UP, DOWN = 0, 1
STARTS = 28  # days back to which a change is dated
SLIDES, STEPS = (0.02, 0.04), (0.2,)  # of log-odds: each day more, and once for all
DAYS_BEFORE = 10  # a change's start, with whose extreme level it is compared: the way back from good days is no slide
LARGEST_TERM = 3.0  # standard errors of one day: what a day alone shows is not for sums
AGES = np.arange(1, STARTS + 1)
FORMS = np.stack([*(slide * AGES for slide in SLIDES), *(np.full(STARTS, step) for step in STEPS)])  # (forms, ages)
WEIGHTS = np.array([0.45, 0.45, 0.1])  # of the forms: a step mostly shows on its day, and strange days look like one


class SlideEvidence:
    """Evidence of a change that began on one of the newest days; arrays of shape (2, forms, starts), upwards first."""

    def __init__(self) -> None:
        """Begin without a day."""
        shape = (2, len(FORMS), STARTS)
        self.followed: Floats = np.zeros(shape[1:])  # how much of each change the level has taken with it
        self.logs: Floats = np.full(shape, -np.inf)  # likelihood ratios by start, the newest day first
        self.levels: Floats = np.full(STARTS, np.nan)  # that each start's day was compared with

    def after(self, error: float, deviation: float) -> SlideEvidence:
        """Return the evidence with one more day; deviation: one standard error of it, on the level's scale."""
        other = copy(self)
        other.followed = _later(self.followed, 0.0)
        other.logs = _later(self.logs, 0.0)
        term = max(-LARGEST_TERM, min(error, LARGEST_TERM))
        left = (FORMS - other.followed) / deviation
        for way, sign in ((UP, 1), (DOWN, -1)):
            other.logs[way] += sign * left * term - left**2 / 2
        return other

    def follow(self, gain: float, level: float) -> None:
        """Let the level follow the newest day by a share of its error; level: the one that it was compared with."""
        self.followed = self.followed + gain * (FORMS - self.followed)
        self.levels = _later(self.levels, level)

    def log_values(self) -> Floats:
        """Return the logarithms of the sums, (2,)."""
        most = self.logs.max(axis=(1, 2), keepdims=True)
        most = np.where(np.isfinite(most), most, 0.0)
        total = np.exp(self.logs - most).sum(axis=2) @ WEIGHTS
        with np.errstate(divide="ignore"):
            return np.asarray(most[:, 0, 0] + np.log(total))

    def start(self, way: int) -> int:
        """Return how many days ago the likeliest change in a direction began, 0 for the newest day."""
        return int(np.unravel_index(self.logs[way].argmax(), self.logs[way].shape)[1])

    def is_slide(self, way: int) -> bool:
        """Return True if a slide is likelier than a step."""
        return bool(self.logs[way].max(axis=1).argmax() < len(SLIDES))

    def level_before(self, way: int, today: float) -> float:
        """Return the level that a change in a direction left; today: the level that the newest day is compared with.

        Call it before the newest day is followed.
        """
        start = self.start(way)
        before = self.levels[max(start - 1, 0) : start - 1 + DAYS_BEFORE] if start else self.levels[: DAYS_BEFORE - 1]
        before = np.append(before[np.isfinite(before)], [] if start else today)
        return float(before.min() if way == DOWN else before.max())


def _later(values: Floats, newest: float) -> Floats:
    """Move values by start one day into the past."""
    later = np.empty_like(values)
    later[..., 0], later[..., 1:] = newest, values[..., :-1]
    return later
