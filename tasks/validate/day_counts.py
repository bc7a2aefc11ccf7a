"""Read what was counted of a landed day, as plain values: its channels, hours and slices, as of the day's own end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from ctr_retrain.models.data.profile import ChannelCount, HourCounts, count_channels, count_hours
from ctr_retrain.models.data.slices import SliceCount, slice_counts
from ctr_retrain.tasks.ingest.ingest_day import current_day_object
from ctr_retrain.tasks.store.layout import PROFILE_FILE, SLICES_FILE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from ctr_retrain.tasks.store.protocol import Store

READERS = 16  # days read at once, each of which a bucket answers in its own time


@dataclass(frozen=True)
class CountedDay:
    """Counts of the impressions of a landing day itself, and of their positives as seen by the day's end."""

    day: date
    channels: Mapping[str, ChannelCount]  # of those that had any impression with a label
    hours: tuple[HourCounts, ...]  # all 24, empty ones too
    slices: tuple[SliceCount, ...]  # by channel, column and value; none where an older version didn't count them
    path: str | None = None  # of the day's object; None where there is none

    def hourly_rows(self, channel: str) -> list[int]:
        """Return a channel's impressions of each hour, 24 of them."""
        rows = {hour.hour: hour.channels[channel].rows for hour in self.hours if channel in hour.channels}
        return [rows.get(hour, 0) for hour in range(24)]


def load_counted_day(store: Store, day: date, path: str | None = None) -> CountedDay | None:
    """Load the counts of a day's object, by default the current one; None where the day was not ingested."""
    path = path or current_day_object(store, day)
    file = store.file(path, PROFILE_FILE) if path else None
    if path is None or file is None:
        return None
    profile, slices = pq.read_table(file), store.file(path, SLICES_FILE)
    return CountedDay(
        day=day,
        channels=count_channels(profile, day),
        hours=tuple(count_hours(profile, day)),
        slices=slice_counts(pq.read_table(slices)) if slices else (),
        path=path,
    )
