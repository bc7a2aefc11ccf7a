"""One channel watched day by day: faults go on, end or become normal, new ones are found, the rest is learnt."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.models.drift.causes import next_cause
from ctr_retrain.models.drift.channel_levels import ChannelLevels, Counts, Frozen, Measures, counts_of
from ctr_retrain.models.drift.evidence import log_odds, probability
from ctr_retrain.models.drift.explained import Explained, explain, usual_ratios
from ctr_retrain.models.drift.limits import Sizes, alarms_of
from ctr_retrain.models.drift.running_sums import DOWN, UP
from ctr_retrain.models.drift.undo import undo

if TYPE_CHECKING:
    from collections.abc import Collection

    from ctr_retrain.models.drift.drift_days import ChannelSeries
    from ctr_retrain.models.drift.evidence import Budget
    from ctr_retrain.models.drift.faults import Aspect, Fault
    from ctr_retrain.models.drift.limits import Alarms

MOST_CAUSES = 4  # of one channel's day: what is unusual beside so many is no fifth fault
FEWEST_RUN_DAYS = 4  # of a change before a slide can be told from a step
# A change that a sum of days found, and that no single day would show a week later, is how traffic is now: held on to,
# the level would stay behind and every later day look like it.
SMALL_DAYS = 7
ORDER: tuple[Aspect, ...] = ("share", "contrast", "volume", "ratio")


@dataclass(frozen=True)
class Rules:
    """Rules by which channels are watched."""

    budget: Budget
    min_effect: float  # smallest relative change of the odds of a channel's ratio
    channels: int  # that share the budget
    campaigns: Collection[str] = ("campaign_id",)  # slice columns whose values come and go
    min_errors: float = 0.0  # standard errors of a ratio on one day, whatever the budget gives
    min_days: int = 7  # of history, with fewer nothing is expected
    new_normal_days: int = 21  # that a fault lasts before it is taken for the normal state


@dataclass(frozen=True)
class Finding:
    """A fault on a day, with what it explains of it."""

    fault: Fault
    explained: Explained
    new_normal: bool = False  # from this day on it is the normal state


class ChannelWatch:
    """A channel's levels and open faults; `step` takes its days in order."""

    def __init__(self, series: ChannelSeries, rules: Rules) -> None:
        """Begin before the series' first day."""
        self.series, self.rules = series, rules
        self.levels = ChannelLevels(series.tables, rules.campaigns)
        self.faults: list[Fault] = []
        self.campaigns = [table.column in rules.campaigns for table in series.tables]
        self.sizes = Sizes.of(rules.min_effect, self.campaigns)
        self.rested: set[int] = set(range(7))  # weekdays on which the channel had nothing when they last came
        self.recent: list[float] = []  # log-odds of the days seen, less their weekdays' effects

    def copy(self, series: ChannelSeries | None = None) -> ChannelWatch:
        """Copy it, so that other days can follow: those of the series given, whose days so far are the same."""
        other = copy(self)
        other.series = series or self.series
        other.levels, other.faults = self.levels.copy(), list(self.faults)
        other.rested, other.recent = set(self.rested), list(self.recent)
        return other

    def step(self, index: int) -> list[Finding]:
        """Watch one more day of the series; return its findings, those of faults that go on too."""
        weekday = self.series.days[index].weekday()
        counts = counts_of(self.series, index)
        if self._rests(counts, weekday):
            return []
        self.levels.meet(counts)
        findings, cleaned, frozen = self._go_on(counts, weekday, index)
        measures = self.levels.measure(cleaned, weekday)
        if self.levels.ratio.days[0] >= self.rules.min_days:
            found, cleaned, measures = self._find(counts, cleaned, measures, weekday, index, frozen)
            findings = [each for each in findings if each.new_normal or each.fault in self.faults] + found
        if self.series.teaches[index]:
            self._learn(cleaned, weekday, measures, frozen)
        return findings

    def _rests(self, counts: Counts, weekday: int) -> bool:
        """Return True if the channel has nothing on a weekday on which it usually has nothing."""
        usual = weekday in self.rested
        self.rested = self.rested - {weekday} if counts.rows else self.rested
        return not counts.rows and usual

    def _go_on(self, counts: Counts, weekday: int, index: int) -> tuple[list[Finding], Counts, Frozen]:
        """Ask of each open fault whether it lasts, and undo those that do."""
        findings, frozen, cleaned = [], Frozen.none_of(counts), counts
        still: list[Fault] = []
        for fault in sorted(self.faults, key=lambda each: ORDER.index(each.aspect)):
            measures = self.levels.measure(cleaned, weekday)
            later = fault.after(measures, seen=_says_something(fault, cleaned))
            if later.over:
                continue
            if self._has_become_normal(later, index):
                self._accept_as_normal(later)
                findings.append(self._finding(later, counts, cleaned, measures, weekday, new_normal=True))
                continue
            still.append(later)
            findings.append(self._finding(later, counts, cleaned, measures, weekday))
            cleaned = self._without(later, cleaned, weekday, frozen)
        self.faults = still
        return findings, cleaned, frozen

    def _has_become_normal(self, fault: Fault, index: int) -> bool:
        """Return True if a fault has lasted so long, or a small one that grows no further for a week."""
        if fault.aspect in {"ratio", "contrast"}:
            least = self.sizes.fall if fault.aspect == "ratio" else self.sizes.of_contrast(fault.place)
            if abs(fault.effect) < least and index - fault.opened >= SMALL_DAYS:
                return True
        return index - fault.since >= self.rules.new_normal_days

    def _is_worse(self, measures: Measures) -> bool:
        """Return True if today's ratio is as far beyond the open fault of its channel as a new fault would be."""
        fault = next(each for each in self.faults if each.aspect == "ratio")
        size = float(measures.ratio.size[0])
        beyond = (size - fault.effect) * (1 if fault.effect > 0 else -1)
        limit = self.rules.budget.one_day("ratio", self.rules.channels, float(self.levels.ratio.days[0]))
        sure = beyond / float(measures.ratio.deviation2[0]) ** 0.5 >= limit
        return sure and beyond >= self.sizes.fall * (1 if fault.effect < 0 else 2)

    def _find(
        self, counts: Counts, cleaned: Counts, measures: Measures, weekday: int, index: int, frozen: Frozen
    ) -> tuple[list[Finding], Counts, Measures]:
        """Find new faults, one after another, until nothing is left that is unusual."""
        findings: list[Finding] = []
        for _ in range(MOST_CAUSES):
            alarms = self._alarms(measures, frozen)
            fault = next_cause(cleaned, measures, alarms, self.levels, weekday, index, self.campaigns)
            if fault is None:
                break
            fault = self._from_its_beginning(fault, measures)
            if fault.aspect == "ratio":  # what was open is worse now: one fault, found anew
                self.faults = [each for each in self.faults if each.aspect != "ratio"]
            self.faults.append(fault)
            findings.append(self._finding(fault, counts, cleaned, measures, weekday))
            cleaned = self._without(fault, cleaned, weekday, frozen)
            measures = self.levels.measure(cleaned, weekday)
        return findings, cleaned, measures

    def _alarms(self, measures: Measures, frozen: Frozen) -> Alarms:
        """Find what exceeds its limits, but for the series that an open fault is about."""
        tested = _untested(measures, frozen)
        alarms = alarms_of(tested, self.levels, self.rules.budget, self.sizes, self.rules.channels)
        return replace(
            alarms,
            ratio=alarms.ratio
            and abs(float(measures.ratio.errors[0])) >= self.rules.min_errors
            and (not frozen.ratio or self._is_worse(measures)),
            ratio_sum=None if frozen.ratio else alarms.ratio_sum,
            volume=alarms.volume and not frozen.volume,
            contrast_sums=tuple(
                flags & ~touched for flags, touched in zip(alarms.contrast_sums, frozen.contrasts, strict=True)
            ),
        )

    def _without(self, fault: Fault, counts: Counts, weekday: int, frozen: Frozen) -> Counts:
        """Undo a fault, and keep what it touches from learning."""
        if fault.aspect == "ratio":
            frozen.ratio = True
        elif fault.aspect == "volume":
            frozen.volume = True
        else:
            frozen.contrasts[fault.place][fault.value] = True
            frozen.shares[fault.place][fault.value] |= fault.aspect == "share"
        return undo(fault, counts, self.levels, weekday)

    def _from_its_beginning(self, fault: Fault, measures: Measures) -> Fault:
        """Put levels back to where they were before a fault that began days ago, and tell a slide from a step."""
        if fault.aspect == "contrast":
            sums, level = self.levels.contrast_sums[fault.place], self.levels.contrasts[fault.place]
        elif fault.aspect == "ratio":
            sums, level = self.levels.ratio_sums, self.levels.ratio
        else:
            return fault
        way = UP if fault.effect > 0 else DOWN
        if fault.aspect == "ratio" and fault.opened - fault.since >= FEWEST_RUN_DAYS:
            today = float(level.level[0] + measures.ratio.size[0])
            fault = self._slide_or_step(fault, float(sums.anchor[way, 0]), today)
        if fault.since < fault.opened:
            level.level[fault.value] = sums.anchor[way, fault.value]
        sums.reset(fault.value)
        return fault

    def _slide_or_step(self, fault: Fault, level: float, today: float) -> Fault:
        """Fit a slide and a step to the days since a change began, and take the closer."""
        days = fault.opened - fault.since
        changes = np.array([*self.recent[-days:], today]) - level
        ages = np.arange(1, len(changes) + 1)
        slope = float(ages @ changes / (ages @ ages))
        slide_error = float(((changes - slope * ages) ** 2).sum())
        step_error = float(((changes - changes.mean()) ** 2).sum())
        return replace(fault, kind="slide") if slide_error < step_error else fault

    def _accept_as_normal(self, fault: Fault) -> None:
        """Let a fault's level be the normal one from now on."""
        if fault.aspect == "contrast":
            self.levels.contrasts[fault.place].jump(fault.value, fault.effect)
        elif fault.aspect == "share":
            self.levels.shares[fault.place].jump(fault.value, fault.effect)
        else:
            (self.levels.ratio if fault.aspect == "ratio" else self.levels.volume).jump(0, fault.effect)

    def _learn(self, cleaned: Counts, weekday: int, measures: Measures, frozen: Frozen) -> None:
        """Learn of the day what no fault has touched."""
        odds = float(log_odds(np.array([cleaned.positives]), np.array([cleaned.rows]))[0])
        self.recent = [*self.recent[-40:], odds - float(self.levels.ratio.weekday[0, weekday])]
        self.levels.learn(cleaned, weekday, measures, frozen)

    def _finding(
        self,
        fault: Fault,
        counts: Counts,
        cleaned: Counts,
        measures: Measures,
        weekday: int,
        *,
        new_normal: bool = False,
    ) -> Finding:
        """Put a fault beside what it explains of its day."""
        without = undo(fault, cleaned, self.levels, weekday)
        return Finding(fault, explain(fault, counts, cleaned, without, self.levels, weekday, measures), new_normal)


@dataclass(frozen=True)
class WatchedDay:
    """A channel's day with its findings, and the ratios that would not have been unusual."""

    findings: tuple[Finding, ...]
    expected: float | None  # the positive ratio; None where there is too little history
    low: float | None
    high: float | None
    errors: float | None  # standard errors between received and expected
    days: int  # of history


def watch_channel(series: ChannelSeries, rules: Rules) -> list[WatchedDay]:
    """Watch all days of a channel and say of each what was expected and found.

    Nothing is kept from one night to the next, so a restated day or one that was filled in later counts as it is now.
    """
    watch = ChannelWatch(series, rules)
    return [_watched(watch, index) for index in range(len(series.days))]


def _watched(watch: ChannelWatch, index: int) -> WatchedDay:
    """Step over a day, and keep what was expected of it before it was learnt."""
    weekday, days = watch.series.days[index].weekday(), int(watch.levels.ratio.days[0])
    if days < watch.rules.min_days:
        return WatchedDay(tuple(watch.step(index)), None, None, None, None, days)
    expected = float(watch.levels.ratio.mean(weekday)[0])
    least = max(watch.rules.budget.one_day("ratio", watch.rules.channels, days), watch.rules.min_errors)
    rows = float(watch.series.rows[index])
    low, high = usual_ratios(expected, float(watch.levels.ratio.uncertainty(weekday)[0]), rows, least, watch.sizes.fall)
    measures = watch.levels.measure(counts_of(watch.series, index), weekday)
    errors = float(measures.ratio.errors[0]) if rows else None
    middle = float(probability(np.array(expected)))
    return WatchedDay(tuple(watch.step(index)), middle, low, high, errors, days)


def _says_something(fault: Fault, counts: Counts) -> bool:
    """Return True unless a slice without impressions has nothing to say of its ratio."""
    return fault.aspect != "contrast" or counts.tables[fault.place][0][fault.value] > 0


def _untested(measures: Measures, frozen: Frozen) -> Measures:
    """Leave out the slices that an open fault is about."""
    return replace(
        measures,
        contrasts=tuple(
            replace(c, tested=c.tested & ~f) for c, f in zip(measures.contrasts, frozen.contrasts, strict=True)
        ),
        shares=tuple(replace(c, tested=c.tested & ~f) for c, f in zip(measures.shares, frozen.shares, strict=True)),
    )
