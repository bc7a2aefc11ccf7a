"""Completeness of a landing day's outcomes: those that landed against those that volume and maturity let one expect.

Of an event day's impressions the share q(a) has an outcome that lands at age a, which earlier landing days tell: the
level of the positive ratio times the increment of maturity. On landing day L one expects Σ q(L − E)·rows(E) over all
event days E. Far fewer mean that files are missing: a ratio that really fell takes outcomes from one channel or one
value of a slice more than from others, files that are missing take them from all alike. Days are judged in order, and
those that were incomplete teach nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from ctr_retrain.models.data.expected_outcomes import Landing, expected_landing
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
MOST_STEP = 4.0  # times what all days of history let one expect: more than any level of some of them
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
_Levels = dict["Pair", dict[int, float]]  # age → share of impressions with an outcome that lands at it


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
    levels = {pair: _level(own, history) for pair, own in cells.items()}
    total = _compare(cells, levels, day, history)
    if _is_short(total, MIN_SHARE) and _all_agree(cells, levels, day, history):
        earlier = [slices[one] for one in history if one in slices]
        if not concentrated(slices.get(day, ()), earlier, total.missing_share):
            return Shortfall(day, frozenset(cells), total)
    groups = [{pair: levels[pair] for pair in group} for group in _groups(cells)]
    alone = {pair: own[pair] for own in groups if _lacks_nearly_all(cells, own, day, history) for pair in own}
    return Shortfall(day, frozenset(alone), _compare(cells, alone, day, history)) if alone else None


def _groups(pairs: Collection[Pair]) -> list[list[Pair]]:
    """Return the pairs of each channel, and those of each kind: what may land in files of its own."""
    return [
        [pair for pair in pairs if pair[part] == name] for part in (0, 1) for name in sorted({p[part] for p in pairs})
    ]


def _is_short(landing: Landing, least_share: float) -> bool:
    """Return True where more is missing than that share, and surely."""
    return landing.z <= -MIN_Z and landing.missing_share >= least_share


def _lacks_nearly_all(cells: Mapping[Pair, _Cells], levels: _Levels, day: date, history: Sequence[date]) -> bool:
    """Return True where nearly all outcomes of the levels' pairs are missing, and surely."""
    expected, received = _count(cells, levels, day)
    if received > MOST_STEP * (1 - NEARLY_ALL) * expected:  # no level of some days makes so many nearly none
        return False
    return _is_short(_compare(cells, levels, day, history), NEARLY_ALL)


def _all_agree(cells: Mapping[Pair, _Cells], levels: _Levels, day: date, history: Sequence[date]) -> bool:
    """Return True unless some pair is likelier complete than incomplete, by any share up to that of the others.

    By the ratio of Poisson likelihoods, which is largest at the pair's own missing share.
    """
    for pair in cells:
        own = _compare(cells, {pair: levels[pair]}, day, history)
        others = _compare(cells, {other: levels[other] for other in levels if other != pair}, day, history)
        share = max(min(own.missing_share, others.missing_share), MIN_SHARE)
        if others.expected and likelier_complete(own.expected, own.received, share):
            return False
    return True


def _compare(cells: Mapping[Pair, _Cells], levels: _Levels, day: date, history: Sequence[date]) -> Landing:
    """Compare what landed on a day of the levels' pairs with what they let one expect by the days of history."""
    counted = {one: _count(cells, levels, one) for one in history}
    return expected_landing(counted, day, *_count(cells, levels, day))


def _count(cells: Mapping[Pair, _Cells], levels: _Levels, day: date) -> tuple[float, int]:
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
