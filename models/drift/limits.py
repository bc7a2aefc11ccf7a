"""The limits of a fault: evidence, by the budget of false alarms, and size, by the recipe."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.models.drift.evidence import Budget, probability
from ctr_retrain.models.drift.running_sums import DOWN, UP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ctr_retrain.models.drift.channel_levels import Change, ChannelLevels, Measures
    from ctr_retrain.models.drift.running_sums import RunningSums

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

# Weights of the families in the budget. Slides get the most, since no single day shows them.
FAMILIES = {
    "ratio": 2.0,
    "ratio fall sum": 30.0,
    "ratio rise sum": 0.5,
    "volume": 1.0,
    "contrast": 3.5,
    "contrast sum": 2.0,
    "share": 0.7,
}

VOLUME = log(1.65)  # a holiday may be a third down
SHARE = 0.5  # of log-odds
FEWEST_SUM_DAYS = 28  # of history before running sums are believed: the first days teach level and weekdays
MOVED = 0.08  # of the channel's rows, at least
SLOW = 0.45  # of the least size on one day: what a sum of days must have come to
RISE = 1.5  # the same of rises: three days of a holiday are a sum, too
CAMPAIGN = log(2)  # campaigns tire, and are changed by people


def budget_of(a_year: float) -> Budget:
    """Divide a year's false alarms among the families."""
    total = sum(FAMILIES.values())
    return Budget(a_year, {family: weight / total for family, weight in FAMILIES.items()})


@dataclass(frozen=True)
class Sizes:
    """The least sizes of a change, on the logarithmic scale, where a fall counts sooner than a rise.

    Loggers lose and seldom invent; what raises a ratio is mostly a holiday or a good campaign.
    """

    fall: float  # of a ratio
    campaigns: Sequence[bool]  # by column: whether its values come and go

    @classmethod
    def of(cls, min_effect: float, campaigns: Sequence[bool]) -> Sizes:
        """Take the recipe's smallest relative change of the odds."""
        return cls(-log(1 - min_effect), tuple(campaigns))

    def large(self, size: Floats, least: float) -> Flags:
        """Tell the changes that are large enough."""
        return np.asarray((size <= -least) | (size >= 2 * least))

    def of_contrast(self, place: int) -> float:
        """Return the least fall of a slice value's ratio."""
        return CAMPAIGN if self.campaigns[place] else self.fall


@dataclass(frozen=True)
class Alarms:
    """The series of a channel that exceed all limits on a day."""

    ratio: bool
    ratio_sum: int | None  # the direction of a running sum that is too high: 0 up, 1 down
    volume: bool
    contrasts: tuple[Flags, ...]
    contrast_sums: tuple[Flags, ...]  # (2, values)
    shares: tuple[Flags, ...]

    @property
    def of_ratio(self) -> bool:
        """Return True if the channel's ratio is one of them."""
        return self.ratio or self.ratio_sum is not None


def alarms_of(measures: Measures, levels: ChannelLevels, budget: Budget, sizes: Sizes, channels: int) -> Alarms:
    """Find what exceeds its limits; channels: how many share the budget."""
    ratio, days = measures.ratio, float(levels.ratio.days[0])
    least = sizes.fall
    columns = max(len(measures.contrasts), 1)
    loud = abs(float(ratio.errors[0])) >= budget.one_day("ratio", channels, days)
    volume = measures.volume
    volume_loud = abs(float(volume.errors[0])) >= budget.one_day("volume", channels, float(levels.volume.days[0]))
    places = range(len(measures.contrasts))
    return Alarms(
        ratio=bool(ratio.tested[0] and loud and sizes.large(ratio.size, least)[0]),
        ratio_sum=_ratio_sum(measures, levels, budget, sizes, channels),
        volume=bool(volume_loud and abs(float(volume.size[0])) >= VOLUME),
        contrasts=tuple(
            _loud(measures.contrasts[p], budget, "contrast", channels * columns, days)
            & sizes.large(measures.contrasts[p].size, sizes.of_contrast(p))
            for p in places
        ),
        contrast_sums=tuple(_contrast_sums(measures, levels, budget, sizes, channels * columns, p) for p in places),
        shares=tuple(
            _loud(measures.shares[p], budget, "share", channels * columns, days) & _moved(measures.shares[p], levels, p)
            for p in places
        ),
    )


def _loud(change: Change, budget: Budget, family: str, groups: int, days: float) -> Flags:
    """Tell the series of a column whose evidence is enough; groups: columns and channels that share the budget."""
    tested = int(change.tested.sum())
    return np.asarray(change.tested & (np.abs(change.errors) >= budget.one_day(family, groups * tested, days)))


def _moved(change: Change, levels: ChannelLevels, place: int) -> Flags:
    """Tell the values whose share moved far enough, by its odds and by the channel's rows that it means."""
    level = levels.shares[place].level
    moved = probability(level + change.size) - probability(level)
    return np.asarray((np.abs(change.size) >= SHARE) & (np.abs(moved) >= MOVED))


def summed_effect(sums: RunningSums, level: Floats, size: Floats) -> Floats:
    """Return how far each series has gone since its running sums were zero, (2, series): the level has followed."""
    begun = sums.days > 0
    return np.asarray(np.where(begun, level - sums.anchor, 0.0) + size / 2)


def _ratio_sum(measures: Measures, levels: ChannelLevels, budget: Budget, sizes: Sizes, channels: int) -> int | None:
    """Return the direction in which the channel's ratio has gone for days, if any."""
    if levels.ratio.days[0] < FEWEST_SUM_DAYS:
        return None
    families = ("ratio rise sum", "ratio fall sum")
    heights = np.array([[budget.running_sum(family, channels)] for family in families])
    high = levels.ratio_sums.after(measures.ratio.errors) >= heights
    gone = summed_effect(levels.ratio_sums, levels.ratio.level, measures.ratio.size)
    if high[DOWN, 0] and gone[DOWN, 0] <= -SLOW * sizes.fall:
        return DOWN
    return UP if high[UP, 0] and gone[UP, 0] >= RISE * sizes.fall else None


def _contrast_sums(
    measures: Measures, levels: ChannelLevels, budget: Budget, sizes: Sizes, groups: int, place: int
) -> Flags:
    """Tell the slice values whose ratio has gone one way for days, (2, values)."""
    change, sums, level = measures.contrasts[place], levels.contrast_sums[place], levels.contrasts[place]
    ready = (sums.days > 0) & (level.days >= FEWEST_SUM_DAYS)
    height = budget.running_sum("contrast sum", 2 * groups * int((level.variance < level.pace.level**2).sum() or 1))
    gone, least = summed_effect(sums, level.level, change.size), SLOW * sizes.of_contrast(place)
    large = np.stack([gone[UP] >= RISE / SLOW * least, gone[DOWN] <= -least])
    return np.asarray(ready & (sums.after(change.errors) >= height) & large)
