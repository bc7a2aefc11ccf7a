"""Counts by slice: impressions and positives of a landing day by channel and by each value of a column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

OTHERS = "(others)"  # in place of the rarest values of a column that has very many
MISSING = "(missing)"  # in place of a value that isn't there
KEYS = ("channel", "column", "value")
COUNTS = ("rows", "labelled", "positives")


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
