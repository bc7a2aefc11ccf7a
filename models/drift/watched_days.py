"""All days of some channels, with what was expected of each and found on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.models.drift.channel_watch import ChannelWatch, Finding, Rules
from ctr_retrain.models.drift.explained import usual_ratios
from ctr_retrain.models.levels.evidence import probability

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctr_retrain.models.drift.slice_behind import Suspects
    from ctr_retrain.models.levels.drift_days import ChannelSeries


@dataclass(frozen=True)
class WatchedDay:
    """A channel's day with its findings, and the ratios that would not have been unusual."""

    findings: tuple[Finding, ...]
    expected: float | None  # the positive ratio; None where there is too little history
    low: float | None
    high: float | None
    errors: float | None  # standard errors between received and expected
    days: int  # of history


def watch_channels(channels: Sequence[ChannelSeries], rules: Rules) -> list[list[WatchedDay]]:
    """Watch all days of some channels, by channel and day, and say of each what was expected and found.

    Nothing is kept from one night to the next, so a restated day or one that was filled in later counts as it is now.
    What one channel's slices show is then asked of the others too: a device's logger is one for all of them.
    """
    alone = [watch_channel(series, rules) for series in channels]
    if len(channels) == 1:
        return alone
    suspects = [[_open_slices(series, day) for day in days] for series, days in zip(channels, alone, strict=True)]
    found = []
    for place, series in enumerate(channels):
        others = suspects[:place] + suspects[place + 1 :]
        by_day = [set[tuple[str, str]]().union(*days) for days in zip(*others, strict=True)]
        found.append(watch_channel(series, rules, by_day) if any(by_day) else alone[place])
    return found


def watch_channel(series: ChannelSeries, rules: Rules, suspects: Sequence[Suspects] = ()) -> list[WatchedDay]:
    """Watch all days of one channel; suspects: by day, the slices that are open in others."""
    watch = ChannelWatch(series, rules)
    by_day = suspects or [()] * len(series.days)
    return [watched_day(watch, index, suspected) for index, suspected in enumerate(by_day)]


def _open_slices(series: ChannelSeries, day: WatchedDay) -> set[tuple[str, str]]:
    """Return column and value of the slices whose ratio a day finds changed."""
    faults = [each.fault for each in day.findings if each.fault.aspect == "contrast" and not each.new_normal]
    tables = series.tables
    return {(tables[one.place].column, tables[one.place].names[one.value]) for one in faults}


def watched_day(watch: ChannelWatch, index: int, suspects: Suspects = ()) -> WatchedDay:
    """Step over a day, and keep what was expected of it before it was learnt."""
    day, days = watch.meet(index), int(watch.levels.ratio.days[0])
    if days < watch.rules.min_days:
        return WatchedDay(tuple(watch.follow(day, suspects)), None, None, None, None, days)
    expected = watch.levels.expected_ratio(day.counts, day.weekday)
    least = max(watch.rules.budget.one_day("ratio", watch.rules.channels, days), watch.rules.min_errors)
    rows, uncertainty = day.counts.rows, float(watch.levels.ratio_uncertainty(day.counts, day.weekday)[0])
    low, high = usual_ratios(expected, uncertainty, rows, least, watch.sizes.fall)
    errors = float(day.measures.ratio.errors[0]) if rows else None
    middle = float(probability(np.array(expected)))
    return WatchedDay(tuple(watch.follow(day, suspects)), middle, low, high, errors, days)
