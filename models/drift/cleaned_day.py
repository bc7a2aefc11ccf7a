"""One day of a channel as it would be without the faults that have been found on it so far."""

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
