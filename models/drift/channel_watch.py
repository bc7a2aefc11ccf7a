"""One channel watched day by day: faults go on, end or become normal, new ones are found, the rest is learnt."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.models.drift.causes import next_cause
from ctr_retrain.models.drift.cleaned_day import CleanedDay
from ctr_retrain.models.drift.explained import Explained, explain
from ctr_retrain.models.drift.faults import slice_text, subject_of
from ctr_retrain.models.drift.limits import Sizes, alarms_of
from ctr_retrain.models.drift.slice_behind import Suspects, slice_behind
from ctr_retrain.models.incidents.said_normal import entry_about
from ctr_retrain.models.levels.channel_levels import ChannelLevels
from ctr_retrain.models.levels.measures import Counts, Frozen, Measures, counts_of
from ctr_retrain.models.levels.running_sums import DOWN, UP
from ctr_retrain.models.levels.slide_evidence import SlideEvidence

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from ctr_retrain.models.drift.faults import Aspect, Fault
    from ctr_retrain.models.drift.limits import Alarms
    from ctr_retrain.models.incidents.incident import Handled
    from ctr_retrain.models.levels.drift_days import ChannelSeries
    from ctr_retrain.models.levels.evidence import Budget

    Flags = NDArray[np.bool_]

MOST_CAUSES = 4  # of one channel's day: what is unusual beside so many is no fifth fault
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
    said: tuple[Handled, ...] = ()  # what people said is normal, which is so from the day after the one they said it of


@dataclass(frozen=True)
class Finding:
    """A fault on a day, with what it explains of it."""

    fault: Fault
    explained: Explained
    new_normal: bool = False  # from this day on it is the normal state
    said: Handled | None = None  # who said so, where it isn't by the days that it has lasted


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

    def copy(self, series: ChannelSeries | None = None) -> ChannelWatch:
        """Copy it, so that other days can follow: those of the series given, whose days so far are the same."""
        other = copy(self)
        other.series = series or self.series
        other.levels, other.faults = self.levels.copy(), list(self.faults)
        other.rested = set(self.rested)
        return other

    def step(self, index: int, suspects: Suspects = ()) -> list[Finding]:
        """Watch one more day of the series; return its findings, those of faults that go on too."""
        return self.follow(self.meet(index), suspects)

    def meet(self, index: int) -> CleanedDay:
        """Hold one more day of the series, as it came, against what the days before have taught."""
        counts = counts_of(self.series, index)
        self.levels.meet(counts, index)
        return CleanedDay.of(counts, self.levels, index, self.series.days[index].weekday())

    def follow(self, met: CleanedDay, suspects: Suspects = ()) -> list[Finding]:
        """Learn of the day that was met last; return its findings, those of faults that go on too.

        suspects: the slices that are open in other channels, which are likelier to be the cause here too.
        """
        counts, weekday = met.counts, met.weekday
        if self._rests(counts, weekday):
            return []
        frozen = Frozen.of(counts, complete=bool(self.series.complete[met.index]))
        findings, day = self._go_on(met, frozen, counts)
        if self.levels.ratio.days[0] >= self.rules.min_days:
            suspected = self._suspected(suspects)
            named, day = self._name(day, frozen, suspected, counts)
            found, day = self._find(day, frozen, suspected, counts)
            findings = [each for each in findings if each.new_normal or each.fault in self.faults] + named + found
        self.levels.learn(day.counts, weekday, day.measures, frozen)
        return findings

    def _suspected(self, suspects: Suspects) -> list[Flags]:
        """Return by column the values that are open in other channels."""
        return [
            np.array([(table.column, name) in suspects for name in table.names], bool) for table in self.series.tables
        ]

    def _rests(self, counts: Counts, weekday: int) -> bool:
        """Return True if the channel has nothing on a weekday on which it usually has nothing."""
        usual = weekday in self.rested
        self.rested = self.rested - {weekday} if counts.rows else self.rested
        return not counts.rows and usual

    def _go_on(self, day: CleanedDay, frozen: Frozen, counts: Counts) -> tuple[list[Finding], CleanedDay]:
        """Ask of each open fault whether it lasts, and undo those that do."""
        findings: list[Finding] = []
        still: list[Fault] = []
        for fault in sorted(self.faults, key=lambda each: ORDER.index(each.aspect)):
            later = fault
            if self._is_counted(fault, day):
                later = fault.after(day.measures, seen=_says_something(fault, day.counts))
            if later.over:
                continue
            said = self._said_to_be_normal(later, day.index)
            if (said or self._has_become_normal(later, day.index)) and self._tells_of(later, day):
                findings.append(Finding(later, explain(later, counts, day), new_normal=True, said=said))
                day = day.with_normal(fault)  # as it was before today, which may bring another one
                continue
            still.append(later)
            findings.append(Finding(later, explain(later, counts, day)))
            day = _without(later, day, frozen)
        self.faults = still
        return findings, day

    def _is_counted(self, fault: Fault, day: CleanedDay) -> bool:
        """Return True unless a fault is about outcomes, and the day lacks some."""
        return bool(self.series.complete[day.index]) or fault.aspect not in {"ratio", "contrast"}

    def _tells_of(self, fault: Fault, day: CleanedDay) -> bool:
        """Return True unless a day can't show what a slice's fault does to its channel."""
        shown = day.counts.rows > 0 and self._is_counted(fault, day) and _says_something(fault, day.counts)
        return shown or not fault.of_slice

    def _said_to_be_normal(self, fault: Fault, index: int) -> Handled | None:
        """Return what somebody said by which a fault is the normal state; a device is one for all channels."""
        series, elsewhere = self.series, ""
        if fault.aspect == "contrast" and not self.campaigns[fault.place]:
            elsewhere = f" {slice_text(series, fault)}"
        cause = (fault.kind, subject_of(series, fault))
        return entry_about(self.rules.said, cause, series.days[fault.opened], series.days[index], elsewhere=elsewhere)

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

    def _name(
        self, day: CleanedDay, frozen: Frozen, suspected: list[Flags], counts: Counts
    ) -> tuple[list[Finding], CleanedDay]:
        """Name the slice behind an open change of the channel, if the days since it began tell one."""
        change = next((each for each in self.faults if each.aspect == "ratio"), None)
        fault = _behind(change, day, frozen, suspected)
        if change is None or fault is None:
            return [], day
        self.faults.remove(change)
        frozen.ratio = False
        finding, day = self._open(replace(fault, instead_of=change.kind), day, frozen, counts)
        return [finding], day

    def _find(
        self, day: CleanedDay, frozen: Frozen, suspected: list[Flags], counts: Counts
    ) -> tuple[list[Finding], CleanedDay]:
        """Find new faults, one after another, until nothing is left that is unusual."""
        findings: list[Finding] = []
        for _ in range(MOST_CAUSES):
            fault = next_cause(day, self._alarms(day, frozen), self.campaigns)
            if fault is None:
                break
            behind = _behind(fault, day, frozen, suspected)
            if behind:
                self._from_its_beginning(fault)
                fault = behind
            elif fault.aspect == "ratio":  # what was open is worse now: one fault, found anew
                self.faults = [each for each in self.faults if each.aspect != "ratio"]
            finding, day = self._open(fault, day, frozen, counts)
            findings.append(finding)
        return findings, day

    def _open(self, fault: Fault, day: CleanedDay, frozen: Frozen, counts: Counts) -> tuple[Finding, CleanedDay]:
        """Open a fault, and undo it."""
        self._from_its_beginning(fault)
        self.faults.append(fault)
        finding = Finding(fault, explain(fault, counts, day))
        return finding, _without(fault, day, frozen)

    def _alarms(self, day: CleanedDay, frozen: Frozen) -> Alarms:
        """Find what exceeds its limits, but for the series that an open fault is about or of which outcomes lack."""
        measures = day.measures
        tested = _untested(measures, frozen)
        alarms = alarms_of(tested, self.levels, self.rules.budget, self.sizes, self.rules.channels)
        return replace(
            alarms,
            ratio=alarms.ratio
            and bool(self.series.complete[day.index])
            and abs(float(measures.ratio.errors[0])) >= self.rules.min_errors
            and (not frozen.ratio or self._is_worse(measures)),
            slide=None if frozen.ratio else alarms.slide,
            volume=alarms.volume and not frozen.volume,
            contrast_sums=tuple(
                flags & ~touched for flags, touched in zip(alarms.contrast_sums, frozen.contrasts, strict=True)
            ),
        )

    def _from_its_beginning(self, fault: Fault) -> None:
        """Put levels back to where they were before a fault that began days ago."""
        if fault.aspect == "contrast":
            sums, level = self.levels.contrast_sums[fault.place], self.levels.contrasts[fault.place]
            days, recent = fault.opened - fault.since, self.levels.recent[fault.place]
            if 0 < days <= len(recent):
                level.level[fault.value] = recent[-days].level[fault.value]
            elif days:
                level.level[fault.value] = sums.anchor[UP if fault.effect > 0 else DOWN, fault.value]
            sums.reset(fault.value)
        elif fault.aspect == "ratio":
            days, ratio = fault.opened - fault.since, self.levels.ratio
            ratio.level[0] = self.levels.slides.levels[days - 1] if days else ratio.level[0]
            self.levels.slides = SlideEvidence()


def _behind(change: Fault | None, day: CleanedDay, frozen: Frozen, suspected: list[Flags]) -> Fault | None:
    """Return the slice behind a change of the whole channel's ratio, unless a fault is about that slice already."""
    found = slice_behind(change, day, suspected) if change and change.aspect == "ratio" else None
    return found if found and not frozen.contrasts[found.place][found.value] else None


def _without(fault: Fault, day: CleanedDay, frozen: Frozen) -> CleanedDay:
    """Undo a fault, and keep what it touches from learning."""
    if fault.aspect == "ratio":
        frozen.ratio = True
    elif fault.aspect == "volume":
        frozen.volume = True
    else:
        frozen.contrasts[fault.place][fault.value] = True
        frozen.shares[fault.place][fault.value] |= fault.aspect == "share"
    return day.without(fault)


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
