"""Counts by slice: impressions and positives of a landing day by channel and by each value of a column."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import inf, log
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

OTHERS = "(others)"  # in place of the rarest values of a column that has very many
MISSING = "(missing)"  # in place of a value that isn't there
KEYS = ("channel", "column", "value")
COUNTS = ("rows", "labelled", "positives")
PRIOR_POSITIVES = 5.0  # of the channel's own ratio in each value's, so that a rare value says little
LEAST_EXPECTED = 10.0  # outcomes: fewer can't tell a part of them missing from all there


@dataclass(frozen=True)
class SliceCount:
    """Impressions of the landing day itself with one value of a column, as seen by the day's end."""

    channel: str
    column: str  # campaign_id, device, …
    value: str  # OTHERS and MISSING among them
    rows: int  # impressions
    labelled: int  # of these, those that have a label: all of them, unless it is inline and empty
    positives: int  # of these, those with a positive outcome landed by then


def slice_counts(slices: pa.Table) -> tuple[SliceCount, ...]:
    """Return the counts of the day itself, in order; those of late impressions, an earlier day's, are left out.

    slices: what lies beside a landed day's profile, by event day too, of which a day of a zone may touch two.
    """
    own = slices.filter(slices["own_day"]).group_by(list(KEYS)).aggregate([(name, "sum") for name in COUNTS])
    own = own.sort_by([(key, "ascending") for key in KEYS])
    return tuple(
        SliceCount(*(row[key] for key in KEYS), *(row[f"{name}_sum"] for name in COUNTS)) for row in own.to_pylist()
    )


def likelier_complete(expected: float, received: float, missing_share: float) -> bool:
    """Return True where a count is likelier with all outcomes there than with that share of them missing.

    Poisson: received·ln(1 − share) + share·expected is the logarithm of the likelihoods' ratio. Too few say nothing.
    """
    if expected < LEAST_EXPECTED:
        return False
    remaining = log(1 - missing_share) if missing_share < 1 else -inf
    return received > 0 and received * remaining + missing_share * expected < 0


def concentrated(today: Sequence[SliceCount], history: Sequence[Sequence[SliceCount]], missing_share: float) -> bool:
    """Return True where a day's missing positives are those of one value of a slice, and all others have theirs.

    history: earlier days' counts, by whose ratios the day's rows let one expect positives.
    """
    expected = _expected_positives(today, history)
    received: Counter[tuple[str, str]] = Counter()
    for one in today:
        received[one.column, one.value] += one.positives
    for column in {one.column for one in today}:
        values = [key for key in expected if key[0] == column]
        worst = max(values, key=lambda key: expected[key] - received[key])
        rest = [key for key in values if key != worst]
        if likelier_complete(sum(expected[key] for key in rest), sum(received[key] for key in rest), missing_share):
            return True
    return False


def _expected_positives(
    today: Sequence[SliceCount], history: Sequence[Sequence[SliceCount]]
) -> dict[tuple[str, str], float]:
    """Return the positives that a day's rows let one expect by column and value, each channel's at its own ratio."""
    labelled: Counter[tuple[str, ...]] = Counter()
    positives: Counter[tuple[str, ...]] = Counter()
    for one in (count for day in history for count in day):
        for of in ((one.channel, one.column), (one.channel, one.column, one.value)):
            labelled[of] += one.labelled
            positives[of] += one.positives
    expected: dict[tuple[str, str], float] = {}
    for one in today:
        channel, own = (one.channel, one.column), (one.channel, one.column, one.value)
        ratio = positives[channel] / labelled[channel] if labelled[channel] else 0.0
        prior = PRIOR_POSITIVES / ratio if ratio else 0.0  # rows
        rate = (positives[own] + PRIOR_POSITIVES) / (labelled[own] + prior) if prior else 0.0
        key = (one.column, one.value)
        expected[key] = expected.get(key, 0.0) + one.labelled * rate
    return expected
