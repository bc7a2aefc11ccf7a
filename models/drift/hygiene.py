"""Shares that tell of a day's hygiene: duplicates, quarantined rows, nulls, unseen ids, outcomes that found a row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.models.drift.evidence import probability
from ctr_retrain.models.drift.following_level import FollowingLevel, Pace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ctr_retrain.models.drift.drift_days import DriftDay
    from ctr_retrain.models.drift.evidence import Budget

    Floats = NDArray[np.float64]

PACE = Pace(level=5.0, step=0.05, weekday=0.1, spread=0.3, least_spread=0.1)
LEAST_SHARE = 0.002  # added to shares, whose logarithm would make much of one row in ten thousand
MOVED = 0.03  # of the rows: the least change of a share that matters
GOES_ON = 0.5  # of its first change: a share that is still so far away has not come back


@dataclass(frozen=True)
class UnusualShare:
    """A share that is far from its level."""

    name: str
    since: int  # index of the first day that shows it
    expected: float
    received: float
    errors: float  # standard errors
    opened: int
    new_normal: bool = False


class HygieneWatch:
    """The levels of shares by name; `step` takes days in order."""

    def __init__(self, days: Sequence[DriftDay], budget: Budget, new_normal_days: int) -> None:
        """Begin before the first of the days."""
        self.days, self.budget, self.new_normal_days = days, budget, new_normal_days
        self.names = sorted({name for day in days for name in day.shares})
        self.levels = FollowingLevel(len(self.names), PACE, mean=-4.0)
        self.open: dict[int, tuple[int, float]] = {}  # place of a share → first day, first change

    def step(self, index: int, min_days: int) -> list[UnusualShare]:
        """Watch one more day; return the shares that are unusual, or are so still."""
        day = self.days[index]
        weekday = day.day.weekday()
        there = np.array([name in day.shares for name in self.names], bool)
        shares = np.array([day.shares.get(name, 0.0) for name in self.names])
        value, mean = _log_odds(shares), self.levels.mean(weekday)
        errors = (value - mean) / np.sqrt(self.levels.uncertainty(weekday))
        expected = np.maximum(probability(mean) - LEAST_SHARE, 0)
        loud = self._loud(errors, shares - expected, there, min_days)
        found = [
            self._unusual(int(place), index, expected, shares, errors) for place in np.flatnonzero(loud) if there[place]
        ]
        if day.teaches:
            touched = [place for place in range(len(self.names)) if place in self.open]
            teaches = there.copy()
            teaches[touched] = False
            self.levels.learn(value, np.zeros(len(value)), weekday, teaches)
        return found

    def _loud(self, errors: Floats, moved: Floats, there: NDArray[np.bool_], min_days: int) -> NDArray[np.bool_]:
        """Tell the shares that are unusual; those that were the day before are until they are half-way back."""
        days = self.levels.days
        limit = self.budget.one_day("hygiene", len(self.names), float(days.max(initial=0)))
        loud = there & (np.abs(errors) >= limit) & (np.abs(moved) >= MOVED) & (days >= min_days)
        for known, (_, first) in list(self.open.items()):
            loud[known] = not (there[known] and moved[known] / first < GOES_ON)
            if not loud[known]:
                del self.open[known]
        for new in np.flatnonzero(loud):
            self.open.setdefault(int(new), (-1, float(moved[new])))
        return np.asarray(loud)

    def _unusual(self, place: int, index: int, expected: Floats, shares: Floats, errors: Floats) -> UnusualShare:
        """Describe an unusual share; one that has been so for long becomes the normal one."""
        first, change = self.open[int(place)]
        since = index if first < 0 else first
        self.open[int(place)] = (since, change)
        figures = (float(expected[place]), float(shares[place]), float(errors[place]))
        long = index - since >= self.new_normal_days
        if long:
            del self.open[int(place)]
            self.levels.jump(int(place), float(_log_odds(shares)[place] - self.levels.level[place]))
        return UnusualShare(self.names[place], since, *figures, opened=since, new_normal=long)


def _log_odds(shares: Floats) -> Floats:
    """Return the log-odds of shares, a little raised."""
    raised = np.clip(shares + LEAST_SHARE, LEAST_SHARE, 1 - LEAST_SHARE)
    return np.asarray(np.log(raised / (1 - raised)))
