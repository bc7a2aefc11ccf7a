"""Faults: what is wrong with a channel, from the day that shows it to the day that no longer does.

A fault is a change of one series: the channel's ratio or volume, one slice value's ratio beside its channel's rest, or
its share of the rows. While it lasts, each day is asked which is likelier, that the fault goes on or that it is over
(Wald's sequential test), so that a day of chance neither ends nor doubles it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import log
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ctr_retrain.models.incidents.signal import SignalKind
    from ctr_retrain.models.levels.drift_days import ChannelSeries
    from ctr_retrain.models.levels.measures import Change, Measures

Aspect = Literal["share", "contrast", "volume", "ratio"]  # in the order in which faults are undone

SURE = 3.0  # natural logarithm of the odds at which a fault is over, and the most that its past days count for
TYPICAL_SHARE = 0.75  # of a fault's mean effect that its weaker days have
MOST_TYPICAL = 1.0  # on the logarithmic scale: a logger that lost all and now loses half is not whole again
EFFECT_DAYS = 4  # over which a fault's effect is averaged
DEAD = log(4)  # a campaign without three quarters of its positives
UNSEEN_DAYS = 3  # without impressions: what a fault was about has ended


@dataclass(frozen=True)
class Fault:
    """A change of one series that lasts."""

    kind: SignalKind
    aspect: Aspect
    effect: float  # mean change of the series, on its logarithmic scale
    since: int  # index of the first day that shows it
    opened: int  # index of the day on which it was found
    place: int = 0  # of the slice's column; only of contrasts and shares
    value: int = 0  # index of the slice's value; of no meaning for the channel as a whole
    lasting: float = SURE  # log-odds that it lasts
    unseen: int = 0  # days on end on which its slice had no impressions
    instead_of: SignalKind | None = None  # kind of the change of the whole channel that it was taken for at first

    @property
    def over(self) -> bool:
        """Return True if it has ended."""
        return self.lasting < -SURE or self.unseen >= UNSEEN_DAYS

    @property
    def of_slice(self) -> bool:
        """Return True if it is one slice value's and not its channel's."""
        return self.aspect in {"contrast", "share"}

    def change_in(self, measures: Measures) -> tuple[Change, int]:
        """Return the changes of the fault's kind of series, and its place among them."""
        if self.aspect == "contrast":
            return measures.contrasts[self.place], self.value
        if self.aspect == "share":
            return measures.shares[self.place], self.value
        return (measures.ratio if self.aspect == "ratio" else measures.volume), 0

    def after(self, measures: Measures, *, seen: bool) -> Fault:
        """Return the fault after one more day; seen: whether the day says anything of it."""
        if not seen:
            return replace(self, unseen=self.unseen + 1)
        change, index = self.change_in(measures)
        size, deviation2 = float(change.size[index]), float(change.deviation2[index])
        typical = max(-MOST_TYPICAL, min(TYPICAL_SHARE * self.effect, MOST_TYPICAL))
        lasting = min(self.lasting + typical * (size - typical / 2) / deviation2, SURE)
        # A day that looks healthy is not averaged in: it may be the first after the fault.
        healthy = size / typical < 0.5
        effect = self.effect if healthy else self.effect + (size - self.effect) / EFFECT_DAYS
        return replace(self, effect=effect, lasting=lasting, unseen=0)


def slice_text(series: ChannelSeries, fault: Fault) -> str:
    """Return column and value of the slice that a fault is about; nothing of a whole channel."""
    if not fault.of_slice:
        return ""
    table = series.tables[fault.place]
    return f"{table.column}={table.names[fault.value]}"


def subject_of(series: ChannelSeries, fault: Fault) -> str:
    """Name what a fault is about: its channel, and the slice within it."""
    return f"{series.channel} {slice_text(series, fault)}" if fault.of_slice else series.channel


def slice_kind(effect: float, *, campaign: bool) -> SignalKind:
    """Name what a change of one slice's ratio looks like."""
    if effect > 0:
        return "slice_changed"
    if campaign:
        return "campaign_dead" if effect < -DEAD else "slice_changed"
    return "logger_down"
