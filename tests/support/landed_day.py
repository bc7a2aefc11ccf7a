"""A landed day in tests: its rows, its ingest, and what became of them."""

import pyarrow.parquet as pq

from ctr_retrain.tasks.ingest.ingest_day import current_day_object, ingest_day
from ctr_retrain.tasks.landing.landing_zone import LocalLandingZone


def impression(event_id, ts="2026-03-02T10:00:00Z", **changes):
    row = {"event_id": event_id, "ts": ts, "user_id": "u1", "channel": "ad", "campaign_id": "c1"}
    return {**row, "device": "ios", "bid": "0.5", **changes}


def ingest(store, landing, recipe, day, now):
    return ingest_day(store, LocalLandingZone(landing), recipe, day, now)


def rows_of(store, day, name):
    """Rows of a file of the day's object, or of all files of one of its folders in their order."""
    path = store.open(current_day_object(store, day)) / name
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def quarantined(store, day):
    folder = store.open(current_day_object(store, day))
    files = sorted((folder / "quarantine").glob("*.parquet"))
    return [{"stream": file.stem.split("-")[0], **row} for file in files for row in pq.read_table(file).to_pylist()]
