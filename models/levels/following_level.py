"""Levels that follow: what the next day of many series is expected to be, and how far days lie from that.

Each series has a level that moves by small steps, an effect of each weekday, and a spread of days around both beside
counting. It is a local level model (Durbin and Koopman 2012, section 2.2) whose weekday effects share each surprise by
their own uncertainty. The spread comes from robust one-step errors: what was expected the evening before against what
came, so that it holds all that makes a day hard to foresee.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.models.levels.evidence import bounded

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

SURPRISE = 2.5  # standard errors by which a day moves a level at most: one strange day is no level
HOLIDAY = 2.5  # standard errors that make a day of a level that knows holidays look like one
MOST_HOLIDAYS = 3  # such days on end: more are a new level
ADAPTATION = 0.04  # of the logarithm of the step, for each product of two days' errors
LEAST_ADAPTATION = 0.005  # the same of a series that settles, and adapts by 1 / days
MOST_FASTER = 3.0  # times the step that the pace gives, and as much slower
KNOWN_DAYS, FEWEST_OTHERS = 3, 10  # days of a series' history, and how many such tell what a new one will be like
POOLED_DAYS = 20  # weight of the other series' spread beside a series' own


@dataclass(frozen=True)
class Pace:
    """Standard deviations that say how a kind of series moves, on its own scale, which is logarithmic."""

    level: float  # of the level of a series that nobody has seen yet
    step: float  # of the level's step from day to day
    weekday: float  # of the effects of weekdays; 0: there are none
    spread: float  # of days around their level, before any was seen
    least_spread: float
    holidays: bool = False  # some days are far above their level, and tell nothing of the days after them
    memory_days: int = 40  # over which the spread is averaged
    settles: bool = False  # the step is found out once: the longer the history, the less a few days change it


class FollowingLevel:
    """The levels of some series of one kind; arrays of shape (series,)."""

    def __init__(self, series: int, pace: Pace, mean: float = 0.0) -> None:
        """Begin without having seen a day; mean: what is expected of a series until then."""
        self.pace = pace
        self.level: Floats = np.full(series, mean)
        self.variance: Floats = np.full(series, pace.level**2)  # of the level
        self.weekday: Floats = np.zeros((series, 7))
        self.weekday_variance: Floats = np.full((series, 7), pace.weekday**2)
        self.own_spread2: Floats = np.full(series, pace.spread**2)
        self.days: Floats = np.zeros(series)  # that taught
        self.step: Floats = np.full(series, pace.step)
        self.last_error: Floats = np.zeros(series)
        self.good_days: Floats = np.zeros(series)  # on end, that look like holidays
        self.like_others: NDArray[np.bool_] = np.zeros(series, bool)  # what is expected at first comes from the others
        self.spread2: Floats = self._pooled_spread2()  # variance of days around their level

    def mean(self, weekday: int) -> Floats:
        """Return what is expected of a day with this weekday."""
        return np.asarray(self.level + self.weekday[:, weekday])

    def _pooled_spread2(self) -> Floats:
        """Return the variance of days around their level, a series' own drawn towards that of all."""
        total = self.days.sum()
        pooled = float(self.own_spread2 @ self.days / total) if total else self.pace.spread**2
        return np.asarray((self.days * self.own_spread2 + POOLED_DAYS * pooled) / (self.days + POOLED_DAYS))

    def uncertainty(self, weekday: int) -> Floats:
        """Return the variance of a day around its mean, without counting noise."""
        return np.asarray(self.variance + self.weekday_variance[:, weekday] + self.spread2)

    def expect_as_others(self, new: NDArray[np.bool_], effects: Floats | None = None) -> None:
        """Expect of new series what those with history are like, if there are enough of them to tell.

        effects: what is known to set each apart from the others, such as its age.
        """
        known = self.days >= KNOWN_DAYS
        if known.sum() >= FEWEST_OTHERS:
            apart_by = np.zeros(len(new)) if effects is None else effects
            others = (self.level - apart_by)[known]
            apart = max(float(others.std()), self.pace.spread)
            self.level = np.where(new, others.mean() + apart_by, self.level)
            self.variance = np.where(new, apart**2, self.variance)
            self.like_others = self.like_others | new

    def learn(self, value: Floats, counting: Floats, weekday: int, teaches: NDArray[np.bool_]) -> None:
        """Follow a day's values; counting: their variance from counting alone; teaches: which series learn from it."""
        total = self.uncertainty(weekday) + counting
        surprise = np.where(teaches, value - self.mean(weekday), 0.0)
        if self.pace.holidays:
            good = surprise > HOLIDAY * np.sqrt(total)
            self.good_days = np.where(teaches, np.where(good, self.good_days + 1, 0), self.good_days)
            holiday = good & (self.good_days <= MOST_HOLIDAYS) & (self.days >= KNOWN_DAYS)
            taught = np.where(holiday, 0.0, surprise)
        else:
            taught = surprise
        deviation = np.sqrt(total)
        taught = bounded(taught, SURPRISE * deviation)
        gain = np.where(teaches, self.variance / total, 0.0)
        weekday_gain = np.where(teaches, self.weekday_variance[:, weekday] / total, 0.0)
        self.level = self.level + gain * taught
        self.weekday[:, weekday] += weekday_gain * taught
        self.variance = self.variance * (1 - gain) + self.step**2
        self.weekday_variance[:, weekday] *= 1 - weekday_gain
        if self.pace.weekday:
            self._learn_slowly_of_weekdays()
        self._learn_spread(surprise, total, teaches)
        self._learn_step(taught / deviation, teaches)
        self.days = self.days + teaches
        self.spread2 = self._pooled_spread2()

    def jump(self, series: int, by: float, days: int) -> None:
        """Move a series to another level; days: that have told of it, of few of which little is known yet."""
        self.level[series] += by
        self.variance[series] += (by / 4) ** 2 / max(days, 1) + self.own_spread2[series]

    def shift(self, by: Floats) -> None:
        """Move all series by what something else that changed does to them."""
        self.level = self.level + by
        self.variance = self.variance + (by / 4) ** 2

    def _learn_slowly_of_weekdays(self) -> None:
        """Keep effects of weekdays around zero, and let them change within a year."""
        shift = self.weekday.mean(axis=1)
        self.weekday -= shift[:, None]
        self.level = self.level + shift
        self.weekday_variance += (self.pace.weekday / 50) ** 2

    def _learn_step(self, errors: Floats, teaches: NDArray[np.bool_]) -> None:
        """Let a level move faster where errors of days on end go the same way, slower where they go to and fro.

        Errors of a level that follows as fast as it should are uncorrelated (Mehra 1970).
        """
        ready = teaches & (self.days >= POOLED_DAYS)
        rate = np.minimum(1 / np.maximum(self.days, 1), ADAPTATION) if self.pace.settles else ADAPTATION
        rate = np.maximum(rate, LEAST_ADAPTATION)
        faster = np.exp(np.where(ready, rate * bounded(errors * self.last_error, 3.0), 0.0))
        slowest, fastest = self.pace.step / MOST_FASTER, self.pace.step * MOST_FASTER
        self.step = np.minimum(np.maximum(self.step * faster, slowest), fastest)
        self.last_error = np.where(teaches, errors, 0.0)

    def _learn_spread(self, surprise: Floats, total: Floats, teaches: NDArray[np.bool_]) -> None:
        """Move the spread towards what the surprise leaves over, a strange day's counted as three standard errors."""
        rate = np.where(teaches, 1 / np.minimum(self.days + POOLED_DAYS, self.pace.memory_days), 0.0)
        excess = np.minimum(surprise**2, 9 * total) - total
        # The first days tell of the level, not of the spread around it.
        excess = np.where(self.days >= 2, excess, 0.0)
        self.own_spread2 = np.maximum(self.own_spread2 + rate * excess, self.pace.least_spread**2)
