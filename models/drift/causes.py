"""The cause of what is unusual about a channel's day: the one that leaves the least of it unexplained.

A device's dead logger lowers its own ratio, its channel's, and raises the others' beside it. So every candidate is
undone, and the one that leaves the rest as usual is the cause; of rows that moved it is the value that changed most.
Sources: Bhagwan et al. 2014, "Adtributor: Revenue Debugging in Advertising Systems" (explanatory power, succinctness,
surprise).
"""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.models.drift.faults import Fault, slice_kind
from ctr_retrain.models.drift.limits import summed_effect
from ctr_retrain.models.drift.slice_behind import dated_back

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from ctr_retrain.models.drift.cleaned_day import CleanedDay
    from ctr_retrain.models.drift.limits import Alarms
    from ctr_retrain.models.incidents.signal import SignalKind
    from ctr_retrain.models.levels.measures import Measures

    Floats = NDArray[np.float64]

TWICE = (log(1.7), log(2.4))  # a volume between is taken for files that were delivered twice
WORTH_A_SLICE = 4.0  # squared standard errors by which a slice must explain more than its channel as a whole
CANDIDATE = 2.0  # standard errors that make a slice value a candidate for what its channel shows
PLAIN = 2.6  # the same where the channel's change is one of many days
NO_CLICKS = 0.5  # of a growth of rows, in log-odds of the ratio: rows without clicks


def next_cause(day: CleanedDay, alarms: Alarms, campaigns: Sequence[bool]) -> Fault | None:
    """Return the cause to be undone first, or None where nothing is unusual; campaigns: which columns hold them.

    Rows that moved come first, since they move ratios too; volume by itself moves nothing else.
    """
    moved = _moved_rows(day, alarms)
    if moved:
        return moved
    if alarms.volume:
        size = float(day.measures.volume.size[0])
        return Fault(_volume_kind(size), "volume", size, day.index, day.index)
    of_slice = _best_slice(day, alarms, campaigns)
    if of_slice:
        return of_slice
    return _channel_ratio(day, alarms) if alarms.of_ratio else None


def _moved_rows(day: CleanedDay, alarms: Alarms) -> Fault | None:
    """Return the value whose share of rows changed most, by odds: it is the one that surprises."""
    measures = day.measures
    loud = [
        (abs(float(measures.shares[place].size[value])), place, int(value))
        for place, flags in enumerate(alarms.shares)
        for value in np.flatnonzero(flags)
    ]
    if not loud:
        return None
    _, place, value = max(loud)
    size = float(measures.shares[place].size[value])
    contrast = measures.contrasts[place]
    without_clicks = bool(contrast.size[value] < -NO_CLICKS * size)
    kind: SignalKind = "bots" if size > 0 and without_clicks else "mix_changed"
    return Fault(kind, "share", size, day.index, day.index, place, value)


def _volume_kind(size: float) -> SignalKind:
    """Name what a change of a whole channel's volume looks like."""
    if size < 0:
        return "files_missing"
    return "delivered_twice" if TWICE[0] <= size <= TWICE[1] else "volume_changed"


def _best_slice(day: CleanedDay, alarms: Alarms, campaigns: Sequence[bool]) -> Fault | None:
    """Return the slice value that explains an unusual ratio better than its channel as a whole, if any."""
    best, most = None, -float("inf")
    for fault in _slice_candidates(day, alarms, campaigns):
        left = day.without(fault).measures
        unexplained = float(left.ratio.errors[0]) ** 2 + _apart(left, fault.place, fault.value)
        gain = _apart(day.measures, fault.place, None) - unexplained
        enough = gain > WORTH_A_SLICE or (_is_loud(alarms, fault) and not alarms.of_ratio)
        if enough and gain > most:
            best, most = fault, gain
    return best


def _is_loud(alarms: Alarms, fault: Fault) -> bool:
    """Return True if a slice value exceeds its own limits."""
    sums = alarms.contrast_sums[fault.place][:, fault.value]
    return bool(alarms.contrasts[fault.place][fault.value] or sums.any())


def _apart(measures: Measures, place: int, without: int | None) -> float:
    """Return the squared standard errors by which a column's values differ from one another, but for one of them."""
    change = measures.contrasts[place]
    squares = np.where(change.tested, np.minimum(change.errors**2, 400), 0.0)
    if without is not None:
        squares[without] = 0
    return float(squares.sum())


def _slice_candidates(day: CleanedDay, alarms: Alarms, campaigns: Sequence[bool]) -> Iterator[Fault]:
    """Yield the slice values that exceed their limits, and where the channel does, those that come near."""
    for place, change in enumerate(day.measures.contrasts):
        sums = alarms.contrast_sums[place]
        # Of sixty campaigns one is always near. A change of many days is told by one alone only if that one is plain.
        least = CANDIDATE if alarms.ratio else PLAIN
        near = change.tested & (np.abs(change.errors) >= least) & (alarms.of_ratio and not campaigns[place])
        for value in np.flatnonzero(alarms.contrasts[place] | sums.any(axis=0) | near):
            of_sum = bool(sums[:, value].any() and not alarms.contrasts[place][value])
            days, effect = (_summed if of_sum else dated_back)(day, place, int(value))
            kind = slice_kind(effect, campaign=campaigns[place])
            yield Fault(kind, "contrast", effect, day.index - days, day.index, place, int(value))


def _summed(day: CleanedDay, place: int, value: int) -> tuple[int, float]:
    """Return for how many days a slice's change that a running sum found has lasted, and its effect."""
    sums, level, change = day.levels.contrast_sums[place], day.levels.contrasts[place], day.measures.contrasts[place]
    way = int(sums.after(change.errors)[:, value].argmax())
    return int(sums.days[way, value]), float(summed_effect(sums, level.level, change.size)[way, value])


def _channel_ratio(day: CleanedDay, alarms: Alarms) -> Fault:
    """Return the change of a channel's ratio as a whole: since one day, or a slide for days."""
    size, way = float(day.measures.ratio.size[0]), alarms.slide
    if alarms.ratio or way is None:
        return Fault("ratio_changed", "ratio", size, day.index, day.index)
    slides = day.levels.slides_after(day.measures)
    kind: SignalKind = "slide" if slides.is_slide(way) else "ratio_changed"
    return Fault(kind, "ratio", day.levels.slid(slides, way, size), day.index - slides.start(way), day.index)
