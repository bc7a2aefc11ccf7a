"""The slice behind a change of its whole channel: what the days since the change began say of each together.

A device that loses two fifths of its clicks shows on its channel before it shows by itself. So while a change of a
channel is young, each day asks anew whether one value of a lasting column explains it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.models.drift.faults import TYPICAL_SHARE, Fault, slice_kind
from ctr_retrain.models.levels.channel_levels import RECENT_DAYS
from ctr_retrain.models.levels.evidence import probability
from ctr_retrain.models.levels.measures import ContrastDay

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ctr_retrain.models.drift.cleaned_day import CleanedDay

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

PLAIN = 3.0  # standard errors of the days together that make a slice the cause
SUSPECTED = 1.5  # the same of one that is open in another channel
TESTED = 0.5  # of the days, at least, on which a slice must have enough positives to be tested
EXPLAINS = 0.5  # of the channel's change, at least

Suspects = Collection[tuple[str, str]]  # column and value of slices that are open in other channels


def slice_behind(change: Fault, day: CleanedDay, suspected: Sequence[Flags]) -> Fault | None:
    """Return the slice value that explains a change of its channel, if one does surely enough.

    suspected: by column, the values that are open in another channel.
    """
    age = day.index - change.since
    if age > RECENT_DAYS:
        return None
    best, most = None, -np.inf
    for place, recent in enumerate(day.levels.recent):
        if day.levels.ages[place]:  # of sixty campaigns one always comes near
            continue
        history = [*recent[max(len(recent) - age, 0) :], _today(day, place)]
        shares = _expected_shares(day, place)
        least = np.where(suspected[place], SUSPECTED, PLAIN)
        for begun in range(len(history)):
            errors, effect = _together(history[begun:])
            explains = shares * np.expm1(effect) / np.expm1(change.effect)
            beyond = np.where(explains >= EXPLAINS, np.sign(change.effect) * errors - least, -np.inf)
            value = int(beyond.argmax())
            if beyond[value] >= 0 and beyond[value] > most:
                since = day.index - (len(history) - 1 - begun)
                kind = slice_kind(float(effect[value]), campaign=False)
                best = Fault(kind, "contrast", float(effect[value]), since, day.index, place, value)
                most = float(beyond[value])
    return best


def _today(day: CleanedDay, place: int) -> ContrastDay:
    """Return the day's own contrasts of a column."""
    return ContrastDay(day.measures.contrasts[place], day.levels.contrasts[place].level)


def _expected_shares(day: CleanedDay, place: int) -> Floats:
    """Return the shares of the channel's positives that a column's values are expected to have."""
    rows = day.counts.tables[place][0]
    expected = probability(day.levels.expected_log_odds(day.counts, place, day.weekday)) * rows
    return np.asarray(expected / max(expected.sum(), 1e-9))


def dated_back(day: CleanedDay, place: int, value: int) -> tuple[int, float]:
    """Return for how many days before today a value's change has lasted, and its mean effect.

    The days before count as long as they are likelier with three quarters of today's effect than with none, so that a
    change that needed days to show is not dated to the day that showed it.
    """
    today, recent = _today(day, place), day.levels.recent[place]
    likely = TYPICAL_SHARE * float(today.change.size[value])
    best, most, total = 0, 0.0, 0.0
    for days, earlier in enumerate(reversed(recent), 1):
        size, deviation2 = float(earlier.change.size[value]), float(earlier.change.deviation2[value])
        total += (likely * size - likely**2 / 2) / deviation2
        if total > most:
            best, most = days, total
    return best, float(_together([*recent[len(recent) - best :], today])[1][value])


def _together(days: Sequence[ContrastDay]) -> tuple[Floats, Floats]:
    """Put days together: standard errors, and the mean change since the first, weighted by what each day tells."""
    tested = np.mean([day.change.tested for day in days], axis=0) >= TESTED
    weights = np.array([1 / day.change.deviation2 for day in days])
    # Levels have followed the change: what it is to be held against is the first day's.
    sizes = np.array([day.change.size + day.level - days[0].level for day in days])
    errors = np.sum([day.change.errors for day in days], axis=0) / len(days) ** 0.5
    return np.where(tested, errors, 0.0), np.asarray((weights * sizes).sum(axis=0) / weights.sum(axis=0))
