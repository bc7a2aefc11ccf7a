"""Completeness of a landing day's outcomes: those that landed against those that volume and maturity let one expect.

Of an event day's impressions the share q(a) has an outcome that lands at age a, which earlier landing days tell: the
level of the positive ratio times the increment of maturity. On landing day L one expects Σ q(L − E)·rows(E) over all
event days E. Far fewer mean that files are missing: a ratio that really fell takes outcomes from one channel or one
value of a slice more than from others, files that are missing take them from all alike. Days are judged in order, and
those that were incomplete teach nothing.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from math import exp, log, sqrt
from typing import TYPE_CHECKING

from ctr_retrain.models.data.slices import concentrated, likelier_complete

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    import pyarrow as pa

    from ctr_retrain.models.data.slices import SliceCount
    from ctr_retrain.models.recipe.recipe import Recipe

    Pair = tuple[str, str]  # of a channel and a kind of outcome

MIN_Z = 3.7  # standard errors below the expectation, variation from day to day included
MIN_SHARE = 0.33  # of the outcomes that must be missing: holidays and weekends stay well below
NEARLY_ALL = 0.9  # of one channel's or kind's outcomes, where the others are all there: its own files are missing
HISTORY_DAYS = 28  # complete landing days that the expectation rests on, at most
NEW_LEVEL_DAYS = 7  # incomplete ones in a row, after which they are the level: files that late will not come
LEAST_SHARE = 0.01  # of a pair's outcomes that land at an age: at ages of fewer a missing file changes nothing


@dataclass(frozen=True)
class Arrived:
    """An event day's impressions of one channel and kind, and their outcomes by age, as of a day."""

    day: date
    rows: int  # impressions
    landed: tuple[int, ...]  # outcomes that landed at each age in days, from 0 to the final one


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
class Shortfall:
    """A landing day whose outcomes are incomplete."""

    day: date  # the landing day
    pairs: frozenset[Pair]  # the channels and kinds of which outcomes are missing
    landing: Landing  # of these together


@dataclass(frozen=True)
class Completeness:
    """The incomplete landing days among those that a run looks at."""

    shortfalls: tuple[Shortfall, ...] = ()  # oldest first
    ages: Mapping[Pair, frozenset[int]] | None = None  # ages at which a pair's outcomes land, save a hundredth of them

    def lacking(self, event_day: date, channel: str, kind: str, as_of: date) -> tuple[date, ...]:
        """Return the incomplete landing days that an event day's outcomes lack, of those through `as_of`."""
        ages = (self.ages or {}).get((channel, kind), frozenset())
        return tuple(
            short.day
            for short in self.shortfalls
            if (channel, kind) in short.pairs and short.day <= as_of and (short.day - event_day).days in ages
        )

    def short_channels(self, recipe: Recipe, landing_day: date) -> frozenset[str]:
        """Return the channels whose positives of a landing day are incomplete."""
        short = frozenset(pair for one in self.shortfalls if one.day == landing_day for pair in one.pairs)
        return frozenset(name for name, channel in recipe.channels.items() if (name, channel.positive_kind) in short)

    def lacking_labels(self, recipe: Recipe, event_days: Iterable[date], as_of: date) -> dict[date, str]:
        """Return the event days whose labels lack outcomes in some channel, each with a reason in words."""
        found = {}
        for day in event_days:
            labels = ((name, channel.positive_kind) for name, channel in recipe.channels.items())
            if missing := sorted({landing for pair in labels for landing in self.lacking(day, *pair, as_of)}):
                found[day] = f"outcomes that should have landed on {', '.join(map(str, missing))} are missing"
        return found


def arrived(arrivals: pa.Table, day: date, channel: str, kind: str, final_age_days: int) -> Arrived:
    """Count an event day's arrivals of a channel and kind by the age at which the outcome landed."""
    landed, rows = [0] * (final_age_days + 1), 0
    for row in arrivals.to_pylist():
        if (row["channel"], row["kind"]) == (channel, kind):
            rows += row["rows"]
            if row["age_days"] is not None:
                landed[min(max(0, row["age_days"]), final_age_days)] += row["rows"]
    return Arrived(day, rows, tuple(landed))


def find_shortfalls(
    arrivals: Mapping[Pair, Sequence[Arrived]],
    slices: Mapping[date, Sequence[SliceCount]],
    days: Sequence[date],
    teaching: Collection[date],
    min_history_days: int,
) -> Completeness:
    """Judge landing days in order, each by the complete ones before it, of which there must be `min_history_days`.

    arrivals: of each channel and kind its event days. slices: counts of landing days. teaching: the days that may teach
    what to expect; others, whose data was rejected or which were not ingested, are judged all the same.
    """
    cells = {pair: _cells(own) for pair, own in arrivals.items()}
    usable: list[date] = []
    streak: list[date] = []
    found: list[Shortfall] = []
    for day in days:
        history = (streak if len(streak) >= NEW_LEVEL_DAYS else usable)[-HISTORY_DAYS:]
        short = _judge(cells, slices, day, history) if len(history) >= min_history_days else None
        if short is not None:
            found.append(short)
            streak.append(day)
            continue
        if len(streak) >= NEW_LEVEL_DAYS:
            usable = streak
        streak = []
        if day in teaching:
            usable = [*usable, day]
    return Completeness(tuple(found), {pair: _ages(own, usable) for pair, own in cells.items()})


_Cells = dict[date, list[tuple[int, int, int]]]  # landing day → age, impressions and outcomes of each event day


def _cells(days: Sequence[Arrived]) -> _Cells:
    """Arrange one pair's event days by landing day."""
    cells: _Cells = {}
    for own in days:
        for age, landed in enumerate(own.landed):
            cells.setdefault(own.day + timedelta(days=age), []).append((age, own.rows, landed))
    return cells


def _judge(
    cells: Mapping[Pair, _Cells],
    slices: Mapping[date, Sequence[SliceCount]],
    day: date,
    history: Sequence[date],
) -> Shortfall | None:
    """Return what is missing of a landing day; None where nothing is, or where the ratio fell instead."""
    total = _compare(cells, cells, day, history)
    if _is_short(total, MIN_SHARE) and _all_agree(cells, day, history):
        earlier = [slices[one] for one in history if one in slices]
        if not concentrated(slices.get(day, ()), earlier, total.missing_share):
            return Shortfall(day, frozenset(cells), total)
    alone = {
        pair
        for group in _groups(cells)
        if _is_short(_compare(cells, group, day, history), NEARLY_ALL)
        for pair in group
    }
    return Shortfall(day, frozenset(alone), _compare(cells, alone, day, history)) if alone else None


def _groups(pairs: Collection[Pair]) -> list[list[Pair]]:
    """Return the pairs of each channel, and those of each kind: what may land in files of its own."""
    return [
        [pair for pair in pairs if pair[part] == name] for part in (0, 1) for name in sorted({p[part] for p in pairs})
    ]


def _is_short(landing: Landing, least_share: float) -> bool:
    """Return True where more is missing than that share, and surely."""
    return landing.z <= -MIN_Z and landing.missing_share >= least_share


def _all_agree(cells: Mapping[Pair, _Cells], day: date, history: Sequence[date]) -> bool:
    """Return True unless some pair is likelier complete than incomplete, by any share up to that of the others.

    By the ratio of Poisson likelihoods, which is largest at the pair's own missing share.
    """
    for pair in cells:
        own = _compare(cells, [pair], day, history)
        others = _compare(cells, [other for other in cells if other != pair], day, history)
        share = max(min(own.missing_share, others.missing_share), MIN_SHARE)
        if others.expected and likelier_complete(own.expected, own.received, share):
            return False
    return True


def _compare(cells: Mapping[Pair, _Cells], pairs: Collection[Pair], day: date, history: Sequence[date]) -> Landing:
    """Compare what landed on a day of some pairs with what they let one expect by the days of history.

    Weekdays have effects of their own, drawn towards none by a day's worth. The variation from day to day beyond
    counting is that of history around both, by the method of moments, as for drift.
    """
    levels = {pair: _level(cells[pair], history) for pair in pairs}
    counted = {one: _count(cells, levels, one) for one in history}
    effects = _weekday_effects(counted)
    expected, received = _count(cells, levels, day)
    if expected <= 0:
        return Landing(0.0, received, 0.0)
    expected *= exp(effects.get(day.weekday(), 0.0))
    errors = [
        log((got + 0.5) / (want * exp(effects[one.weekday()]) + 0.5)) ** 2 - 1 / (want + 0.5)
        for one, (want, got) in counted.items()
    ]
    of_weekday = Counter(one.weekday() for one in counted)
    fitted = sum(days / (days + 1) for days in of_weekday.values())
    freedom = max(len(counted) - 1 - fitted, 3)  # Student's t has a variance only with more than two
    varies = max(0.0, sum(errors) / freedom)
    own = [want for one, (want, _) in counted.items() if one.weekday() == day.weekday()]
    effect_error = (varies + len(own) / max(sum(own), 1.0)) * len(own) / (len(own) + 1) ** 2
    level_error = varies / len(counted) + 1 / max(sum(want for want, _ in counted.values()), 1.0)
    variance = (varies + level_error + effect_error) * freedom / (freedom - 2)
    return Landing(expected, received, _standard_errors(expected, received, variance))


def _weekday_effects(counted: Mapping[date, tuple[float, int]]) -> dict[int, float]:
    """Return by weekday the logarithm of what its days received beside what was expected of them, drawn towards 0."""
    effects = {}
    for weekday in {day.weekday() for day in counted}:
        own = [counts for day, counts in counted.items() if day.weekday() == weekday]
        want, got = sum(counts[0] for counts in own), sum(counts[1] for counts in own)
        effects[weekday] = log((got + 0.5) / (want + 0.5)) * len(own) / (len(own) + 1)
    return effects


def _count(cells: Mapping[Pair, _Cells], levels: Mapping[Pair, Mapping[int, float]], day: date) -> tuple[float, int]:
    """Return the outcomes that are expected to land on a day, and those that did."""
    own = [
        (levels[pair].get(age, 0.0) * rows, landed) for pair in levels for age, rows, landed in cells[pair].get(day, ())
    ]
    return sum(want for want, _ in own), sum(got for _, got in own)


def _level(cells: _Cells, history: Sequence[date]) -> dict[int, float]:
    """Return by age the share of impressions with an outcome that landed at it, on the days of history."""
    rows: dict[int, int] = {}
    landed: dict[int, int] = {}
    for day in history:
        for age, shown, got in cells.get(day, ()):
            rows[age], landed[age] = rows.get(age, 0) + shown, landed.get(age, 0) + got
    return {age: landed[age] / shown for age, shown in rows.items() if shown}


def _ages(cells: _Cells, history: Sequence[date]) -> frozenset[int]:
    """Return the ages at which more than a negligible share of the outcomes land."""
    level = _level(cells, history)
    total = sum(level.values())
    return frozenset(age for age, share in level.items() if share >= LEAST_SHARE * total > 0)


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
