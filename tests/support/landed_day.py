"""A landed day in tests: its rows, its ingest, and what became of them."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from ctr_retrain.models.documents.day_documents import UnreadableValues
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.ingest.day_summary import _unreadable_values
from ctr_retrain.tasks.ingest.deduplicate import Deduplicated, deduplicate
from ctr_retrain.tasks.ingest.ingest_day import current_day_object, impressions_of, ingest_day
from ctr_retrain.tasks.ingest.landed_changes import list_landed
from ctr_retrain.tasks.landing.landing_zone import LocalLandingZone
from ctr_retrain.tasks.store.layout import IMPRESSIONS, QUARANTINE
from ctr_retrain.tasks.store.shards import WHOLE
from tests.support.counts import draws

# Names of files, one of each form and packing in `make test`.
FORMATS = draws(
    ["a.jsonl.gz", "a.csv.zst", "a.parquet"],
    ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.csv", "a.csv.gz", "a.csv.zst", "a.parquet"],
)


def impression(event_id, ts="2026-03-02T10:00:00Z", **changes):
    row = {"event_id": event_id, "ts": ts, "user_id": "u1", "channel": "ad", "campaign_id": "c1"}
    return {**row, "device": "ios", "bid": "0.5", **changes}


def ingest(store, landing, recipe, day, now):
    return ingest_day(store, LocalLandingZone(landing), recipe, day, now)


@dataclass(frozen=True)
class Cleaned:
    """What ingest makes of a day's impressions, before it counts and publishes them."""

    found: Deduplicated
    rows: list[dict]  # those that were kept, in order
    quarantined: list[dict]  # as `quarantined` answers them
    unreadable_values: dict[str, UnreadableValues]  # by column, as an ingested day has them

    @property
    def impressions(self):
        """Rows by what became of them, as an ingested day has them."""
        return self.found.counts

    @property
    def unreadable(self):
        """Files by what is wrong with them, as an ingested day has them."""
        return self.found.unreadable

    def became(self, column, key="event_id"):
        """Values of a column of the kept rows, by another one."""
        return {row[key]: row[column] for row in self.rows}


def clean(landing, recipe, day):
    """Read, clean and deduplicate a day's impressions as ingest does; nothing is counted or published.

    A third of an ingest's time: for rules of what becomes of each row, of which there are hundreds.
    """
    landed = list_landed(LocalLandingZone(landing), day, inline_label=recipe.inline_label)
    with tempfile.TemporaryDirectory(dir=landing.parent) as name:
        folder = Path(name)
        scratch = folder / "scratch"
        for path in (scratch, folder / IMPRESSIONS, folder / QUARANTINE):
            path.mkdir()
        with duck.connect(scratch, threads=1) as connection:
            found = deduplicate(connection, impressions_of(landed, recipe, WHOLE), folder, scratch)
            files = sorted((folder / IMPRESSIONS).glob("*.parquet"))
            missing = _unreadable_values(connection, files, found, recipe)
        return Cleaned(found, _rows_in(folder / IMPRESSIONS), _quarantined_in(folder), missing)


def clean_files(folder, recipe, day, files):
    """Land files of a day's impressions, name → bytes, in a folder of their own below `folder`, and clean them."""
    landing = Path(tempfile.mkdtemp(dir=folder)) / "landing"
    landed = landing / IMPRESSIONS / f"dt={day}"
    landed.mkdir(parents=True)
    for name, content in files.items():
        (landed / name).write_bytes(content)
    return clean(landing, recipe, day)


def rows_of(store, day, name):
    """Rows of a file of the day's object, or of all files of one of its folders in their order."""
    path = store.open(current_day_object(store, day)) / name
    return _rows_in(path) if path.is_dir() else pq.ParquetFile(path).read().to_pylist()


def quarantined(store, day):
    return _quarantined_in(store.open(current_day_object(store, day)))


def _rows_in(folder):
    return [row for file in sorted(folder.glob("*.parquet")) for row in pq.ParquetFile(file).read().to_pylist()]


def _quarantined_in(folder):
    tables = {file.stem: pq.ParquetFile(file).read() for file in sorted((folder / QUARANTINE).glob("*.parquet"))}
    return [{"stream": name.split("-")[0], **row} for name, rows in tables.items() for row in rows.to_pylist()]
