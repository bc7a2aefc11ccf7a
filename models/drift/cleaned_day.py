"""One day of a channel as it would be without the faults that have been found on it so far, or with one as normal."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ctr_retrain.models.drift.undo import undo

if TYPE_CHECKING:
    from ctr_retrain.models.drift.faults import Fault
    from ctr_retrain.models.levels.channel_levels import ChannelLevels
    from ctr_retrain.models.levels.measures import Counts, Measures


@dataclass(frozen=True)
class CleanedDay:
    """A day's counts without some faults, against the levels of the days before."""

    index: int  # of the day in its series
    weekday: int
    counts: Counts
    measures: Measures
    levels: ChannelLevels

    @classmethod
    def of(cls, counts: Counts, levels: ChannelLevels, index: int, weekday: int) -> CleanedDay:
        """Take a day as it came."""
        return cls(index, weekday, counts, levels.measure(counts, weekday), levels)

    def without(self, fault: Fault) -> CleanedDay:
        """Return the day without one more fault."""
        counts = undo(fault, self.counts, self.levels, self.weekday)
        return replace(self, counts=counts, measures=self.levels.measure(counts, self.weekday))

    def with_normal(self, fault: Fault) -> CleanedDay:
        """Let the levels take a fault for normal, and return the day against them.

        A slice's fault is the other slices' and its channel's too: these follow by what a typical day of it shows.
        """
        levels, clean, days = self.levels, self.without(fault).measures, self.index - fault.opened
        if fault.aspect == "contrast":
            levels.contrasts[fault.place].jump(fault.value, fault.effect, days)
        elif fault.aspect == "share":
            levels.shares[fault.place].jump(fault.value, fault.effect, days)
        else:
            (levels.ratio if fault.aspect == "ratio" else levels.volume).jump(0, fault.effect, days)
        if fault.of_slice:
            # What undoes a fault against its own new level leaves as much of it as a typical day has.
            levels.shift(clean, self.without(fault).measures)
        return replace(self, measures=levels.measure(self.counts, self.weekday))
