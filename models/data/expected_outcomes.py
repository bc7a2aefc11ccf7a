"""Expected outcomes of a landing day, and how surely fewer came, by the days of history around their own level.

Weekdays have effects of their own, and a fault that lasts leaves a step: a logger that has lost clicks for two weeks
makes fewer outcomes the normal number. Taken for chance, the step would widen every day's error until half of a day's
files could be missing unheard. So days in a row that lie apart from the others are held against their own level, and
the new day against that of the newest.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from math import exp, log, sqrt
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]
    Whole = NDArray[np.int64]
    Counted = Mapping[date, tuple[float, int]]  # landing day → outcomes that were expected, and that came; in order

STEP_DAYS = 3  # in a row, at least, that have a level of their own, and others beside them: fewer may be chance
STEP_ERRORS = 4.0  # standard errors between both levels
MOST_STEPS = 3


@dataclass(frozen=True)
class Landing:
    """Outcomes of some channels and kinds that landed on a day, beside what was expected."""

    expected: float
    received: int
    z: float  # standard errors from the expectation to what was received

    @property
    def missing_share(self) -> float:
        """Return the share of the expected outcomes that is missing; 0 where none is."""
        return max(0.0, 1 - self.received / self.expected) if self.expected else 0.0


@dataclass(frozen=True)
class _Level:
    """History without its steps."""

    counted: Counted  # each day beside what its own level lets one expect
    days: int  # on the newest level
    factor: float  # of that level beside what all days together let one expect
    steps: int


def expected_landing(history: Counted, day: date, expected: float, received: int) -> Landing:
    """Hold what landed on a day against what its history lets one expect.

    expected: by volume and maturity, as those of history were. The variation from day to day beyond counting is that of
    history around its level and its weekdays, by the method of moments, as for drift.
    """
    if expected <= 0:
        return Landing(0.0, received, 0.0)
    level = _level(history)
    counted = level.counted
    effects = _weekday_effects(counted)
    expected *= level.factor * exp(effects.get(day.weekday(), 0.0))
    errors = [
        log((got + 0.5) / (want * exp(effects[one.weekday()]) + 0.5)) ** 2 - 1 / (want + 0.5)
        for one, (want, got) in counted.items()
    ]
    freedom = max(len(counted) - _fitted(level), 3.0)  # Student's t has a variance only with more than two
    varies = max(0.0, sum(errors) / freedom)
    own = [want for one, (want, _) in counted.items() if one.weekday() == day.weekday()]
    effect_error = (varies + len(own) / max(sum(own), 1.0)) * len(own) / (len(own) + 1) ** 2
    newest = sum(want for want, _ in counted.values()) * level.days / len(counted)
    level_error = varies / level.days + 1 / max(newest, 1.0)
    variance = (varies + level_error + effect_error) * freedom / (freedom - 2)
    return Landing(expected, received, _standard_errors(expected, received, variance))


def _fitted(level: _Level) -> float:
    """Return how many figures were fitted to history: its levels, the first day of each step, effects of weekdays."""
    of_weekday = Counter(one.weekday() for one in level.counted)
    return 1 + 2 * level.steps + sum(days / (days + 1) for days in of_weekday.values())


def _level(history: Counted) -> _Level:
    """Find the newest level of history: days in a row that lie surely apart are taken out, again and again."""
    want, got = (np.array([counts[part] for counts in history.values()], float) for part in (0, 1))
    alike, factor, steps = np.ones(len(want), bool), 1.0, 0
    for _ in range(MOST_STEPS):
        apart = _days_apart(want, got)
        if apart is None:
            break
        factors = np.where(apart, *(got[side].sum() + 0.5 for side in (apart, ~apart)))
        factors = factors / np.where(apart, *(want[side].sum() + 0.5 for side in (apart, ~apart)))
        want, factor, steps = want * factors, factor * float(factors[-1]), steps + 1
        alike &= apart == apart[-1]
    counted = dict(zip(history, zip(want.tolist(), got.astype(int).tolist(), strict=True), strict=True))
    return _Level(counted, max(int(alike.sum()), 1), factor, steps)


def _days_apart(want: Floats, got: Floats) -> Flags | None:
    """Return the days in a row whose level is surely another than that of the others, if there are any.

    Of all stretches the one that lies farthest apart, in standard errors by what varies within both. Source: Olshen and
    others 2004, "Circular binary segmentation", equation 1.
    """
    days, errors = len(want), np.log((got + 0.5) / (want + 0.5))
    first, last = _stretches(days)
    if not len(first):
        return None
    inside = last - first
    outside = days - inside
    wants, gots, sums = (_inside(values, first, last) for values in (want, got, errors))
    level_in = np.log((gots + 0.5) / (wants + 0.5))
    level_out = np.log((got.sum() - gots + 0.5) / (want.sum() - wants + 0.5))
    others = errors.sum() - sums
    squares = (errors**2).sum() - 2 * (level_in * sums + level_out * others)
    squares = squares + inside * level_in**2 + outside * level_out**2
    within = np.maximum(squares / max(days - 2, 1), np.mean(1 / (want + 0.5)))
    apart = np.abs(level_in - level_out) / np.sqrt(within * (1 / inside + 1 / outside))
    place = int(apart.argmax())
    index = np.arange(days)
    return (index >= first[place]) & (index < last[place]) if apart[place] >= STEP_ERRORS else None


@lru_cache(maxsize=64)
def _stretches(days: int) -> tuple[Whole, Whole]:
    """Return the first index of each stretch of days that may have a level of its own, and the one after its last."""
    first, last = np.triu_indices(days + 1, STEP_DAYS)
    kept = (first > 0) & (last - first <= days - STEP_DAYS)
    return first[kept], last[kept]


def _inside(values: Floats, first: Whole, last: Whole) -> Floats:
    """Return the sums of values from each first day to before each last one."""
    sums = np.append(0.0, np.cumsum(values))
    return np.asarray(sums[last] - sums[first])


def _weekday_effects(counted: Counted) -> dict[int, float]:
    """Return by weekday the logarithm of what its days received beside what was expected of them, drawn towards 0."""
    effects = {}
    for weekday in {day.weekday() for day in counted}:
        own = [counts for day, counts in counted.items() if day.weekday() == weekday]
        want, got = sum(counts[0] for counts in own), sum(counts[1] for counts in own)
        effects[weekday] = log((got + 0.5) / (want + 0.5)) * len(own) / (len(own) + 1)
    return effects


def _standard_errors(expected: float, received: int, variance: float) -> float:
    """Express a day's outcomes in standard errors from the expectation: 1/z² = variance / change² + 1/D.

    D is the Poisson deviance, honest for few outcomes too (McCullagh and Nelder 1989, section 2.4.3); variance: of the
    expected count's logarithm.
    """
    change = log((received + 0.5) / (expected + 0.5))
    deviance = 2 * (expected - received + (received * log(received / expected) if received else 0.0))
    if change == 0 or deviance <= 0:
        return 0.0
    return (1 if change > 0 else -1) / sqrt(variance / change**2 + 1 / deviance)
