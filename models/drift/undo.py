"""A day's counts as they would be without a fault, so that what the fault explains raises no second one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.models.levels.channel_levels import FEWEST_DAYS, ChannelLevels
from ctr_retrain.models.levels.evidence import probability
from ctr_retrain.models.levels.measures import Counts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ctr_retrain.models.drift.faults import Fault
    from ctr_retrain.models.levels.following_level import FollowingLevel

    Floats = NDArray[np.float64]


def undo(fault: Fault, counts: Counts, levels: ChannelLevels, weekday: int) -> Counts:
    """Return the counts without a slice's fault; those of a whole channel are told apart by their series alone."""
    if fault.aspect == "contrast":
        return _undo_contrast(fault, counts, levels, weekday)
    if fault.aspect == "share":
        return _undo_share(fault, counts, levels, weekday)
    return counts


def _undo_contrast(fault: Fault, counts: Counts, levels: ChannelLevels, weekday: int) -> Counts:
    """Give a slice value the positives that it is expected to have beside the rest of its channel."""
    rows, positives = counts.tables[fault.place]
    expected = probability(levels.expected_log_odds(counts, fault.place, weekday))[fault.value] * rows[fault.value]
    missing = expected - positives[fault.value]
    tables = list(counts.tables)
    for place, (others, theirs) in enumerate(counts.tables):
        if place == fault.place:
            tables[place] = (others, _with(theirs, fault.value, expected))
        else:  # which values of another column they belong to is unknown: to each as many as it has
            tables[place] = (others, np.clip(theirs + missing * _proportions(theirs, others), 0, others))
    whole = counts.positives + missing
    observed = counts.observed * (1 - expected / whole) if whole > expected else counts.observed
    return Counts(counts.rows, whole, tuple(tables), observed)


def _undo_share(fault: Fault, counts: Counts, levels: ChannelLevels, weekday: int) -> Counts:
    """Give a slice value the rows that it is expected to have beside the rest of its channel."""
    rows, positives = counts.tables[fault.place]
    had = rows[fault.value]
    odds = float(np.exp(levels.shares[fault.place].mean(weekday)[fault.value]))
    expected = odds * (counts.rows - had)
    kept = _positives_without(fault, counts, levels, weekday, expected)
    moved, moved_positives = had - expected, positives[fault.value] - kept
    tables = list(counts.tables)
    for place, (others, theirs) in enumerate(counts.tables):
        if place == fault.place:
            tables[place] = (_with(others, fault.value, expected), _with(theirs, fault.value, kept))
        else:
            less = _moved_rows(others, counts.rows - moved, moved, levels.shares[place], weekday)
            fewer = moved_positives * _proportions(theirs, others)
            tables[place] = (np.maximum(others - less, 0), np.clip(theirs - fewer, 0, np.maximum(others - less, 0)))
    return Counts(counts.rows - moved, counts.positives - moved_positives, tuple(tables), counts.observed)


def _positives_without(fault: Fault, counts: Counts, levels: ChannelLevels, weekday: int, rows: float) -> float:
    """Return the positives of a slice value that would have so many rows."""
    had, positives = (float(part[fault.value]) for part in counts.tables[fault.place])
    if fault.kind == "bots":  # never click: all positives are people's
        return min(positives, rows)
    if had:
        return positives * rows / had
    return rows * float(probability(levels.expected_log_odds(counts, fault.place, weekday))[fault.value])


def _moved_rows(rows: Floats, without: float, moved: float, level: FollowingLevel, weekday: int) -> Floats:
    """Spread moved rows over another column's values: to those that have more, or fewer, than they would without."""
    mean = level.mean(weekday)
    known = level.days >= FEWEST_DAYS
    expected = np.where(known & (rows > 0), without * probability(mean), rows)
    apart = np.maximum(np.sign(moved) * (rows - expected), 0)
    total = apart.sum()
    return np.asarray(moved * (apart / total if total else _proportions(rows, rows)))


def _proportions(values: Floats, otherwise: Floats) -> Floats:
    """Return values as shares of their sum; of the others where they are all zero."""
    chosen = values if values.sum() > 0 else otherwise
    total = chosen.sum()
    return np.asarray(chosen / total if total > 0 else chosen)


def _with(values: Floats, index: int, value: float) -> Floats:
    """Return values with one of them replaced."""
    changed = values.copy()
    changed[index] = value
    return changed
