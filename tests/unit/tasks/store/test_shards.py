"""Rules of days in pieces: cut by events, ingested and labelled piece by piece, and the same as in one."""

import json
import shutil
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctr_retrain.models.errors import DataRejectedError, StorageError
from ctr_retrain.tasks.ingest.ingest_day import current_day_object, ingest_day, load_ingested_day
from ctr_retrain.tasks.ingest.quarantine_reasons import quarantine_reasons
from ctr_retrain.tasks.label.label_day import count_young_day, label_day
from ctr_retrain.tasks.label.outcome_accounting import account_outcomes
from ctr_retrain.tasks.landing.landing_zone import LocalLandingZone
from ctr_retrain.tasks.store.local_store import LocalStore
from ctr_retrain.tasks.store.shards import open_shards
from ctr_retrain.tasks.validate.day_counts import load_counted_day
from tests.support.counts import draws
from tests.support.labelled_day import label_rows
from tests.support.landed_day import impression

EVENTS = [f"e{number}" for number in range(300)]


@pytest.fixture
def landed(landing, land_rows, day):
    """Two landing days with duplicates, late rows, broken rows and lines, and outcomes of both days' events."""
    later = day + timedelta(days=1)
    rows = [impression(event, bid="0.1" if number % 2 else "") for number, event in enumerate(EVENTS)]
    twice = [impression(event, ts="2026-03-02T09:00:00Z") for event in EVENTS[:20]]
    broken = [impression(""), impression("old", ts="2020-01-01T00:00:00Z"), impression("bad", bid="much")]
    path = land_rows("impressions", day, [*rows, *twice, *broken], "a.jsonl")
    path.write_text(path.read_text() + "{torn\n", encoding="utf-8")
    land_rows("impressions", day, [impression(f"more{number}", channel="push") for number in range(50)], "b.csv")
    land_rows("outcomes", day, [{"event_id": e, "ts": "2026-03-02T12:00:00Z", "kind": "click"} for e in EVENTS[::7]])
    late = [impression(event) for event in (*EVENTS[:5], "late1", "late2")]
    land_rows("impressions", later, [*late, impression("n", ts=f"{later}T01:00:00Z")])
    outcomes = [{"event_id": e, "ts": "2026-03-03T01:00:00Z", "kind": "click"} for e in ("late1", *EVENTS[::9], "none")]
    land_rows("outcomes", later, [*outcomes, *outcomes])
    return LocalLandingZone(landing)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return tmp_path_factory.mktemp("made") / "root"


@pytest.fixture
def cut(store, landed, tiny_recipe, day, now, made):
    """The first day as ingested in three pieces: made once, and copied for each test; its recipe and the day."""
    recipe = tiny_recipe(landing={"buckets": 3})
    if not made.exists():
        ingest_day(LocalStore(made), landed, recipe, day, now)
    shutil.copytree(made, store.root)
    return recipe, load_ingested_day(store, day)


def taken_in(store, landed, recipe, day, now, fan_out=None):
    later = day + timedelta(days=1)
    counts = [ingest_day(store, landed, recipe, on, now, fan_out) for on in (day, later)]
    labels = label_day(store, recipe, day, later)
    rows = label_rows(store, labels)
    profiles = [pq.read_table(store.open(current_day_object(store, on)) / "profile.parquet") for on in (day, later)]
    return {
        "counts": [(found.impressions, found.outcomes, found.unreadable) for found in counts],
        "labels": sorted(rows, key=lambda row: row["event_id"]),
        "positives": (labels.rows, labels.positives),
        "profiles": [profile.to_pylist() for profile in profiles],
        "slices": [load_counted_day(store, on).slices for on in (day, later)],
        "quarantine": sorted(quarantined(store, day), key=str),
        "reasons": reasons(store, day),
        "arrivals": pq.read_table(store.open(labels.path) / "arrivals.parquet").to_pylist(),
    }


def reasons(store, day):
    return quarantine_reasons(store, current_day_object(store, day), Path(store.root))


def quarantined(store, day):
    folders = open_shards(store, current_day_object(store, day))
    files = [file for folder in folders for file in sorted((folder / "quarantine").glob("*.parquet"))]
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def test_day_in_pieces_is_the_same_as_in_one(landed, tiny_recipe, day, now, tmp_path):
    whole, later = LocalStore(tmp_path / "whole"), day + timedelta(days=1)
    expected = taken_in(whole, landed, tiny_recipe(), day, now)
    assert expected["counts"][0][0].received == 300 + 20 + 3 + 1 + 50
    cut, recipe = LocalStore(tmp_path / "cut"), tiny_recipe(landing={"buckets": draws(2, 3)})
    assert taken_in(cut, landed, recipe, day, now) == expected
    young = [count_young_day(store, recipe, day, later, tmp_path).to_pylist() for store in (whole, cut)]
    assert young[0] == young[1] == expected["arrivals"]
    accounts = [account_outcomes(store, recipe, later, later, tmp_path) for store in (whole, cut)]
    assert accounts[0] == accounts[1]
    assert sum(accounts[0].values()) == expected["counts"][1][1].kept


def test_pieces_are_objects_that_share_no_event_and_that_the_day_names(store, cut):
    _, found = cut
    shards = store.manifest(found.path)["pieces"]
    assert shards == [f"pieces/{found.path}/{number:04d}-of-0003" for number in range(3)]
    tables = [pa.concat_tables(map(pq.read_table, (store.open(p) / "impressions").glob("*"))) for p in shards]
    events = [set(table["event_id"].to_pylist()) for table in tables]
    assert all(50 < len(part) < 200 for part in events)
    assert sum(map(len, events)) == len(set.union(*events)) == found.impressions.kept


def test_the_reasons_of_quarantine_are_counted_over_all_pieces_and_nothing_else_is_fetched(store, cut, day, tmp_path):
    _, found = cut
    files_alone = SimpleNamespace(root=store.root, manifest=store.manifest, file=store.file)  # opens no whole object
    rows = quarantine_reasons(files_alone, found.path, tmp_path)
    assert sum(row.rows for row in rows) == found.impressions.quarantined == 3
    store.remove([store.manifest(found.path)["pieces"][1]])
    with pytest.raises(StorageError, match=r"pieces/.*/0001-of-0003 under .*: expected the object"):
        reasons(store, day)


def test_a_piece_that_was_made_before_a_crash_is_used(store, landed, cut, day, now):
    recipe, found = cut
    first = store.manifest(found.path)["pieces"][0]
    made = (store.open(first) / "manifest.json").stat().st_mtime_ns
    (store.open(found.path) / "manifest.json").unlink()  # as if it had died before the day was whole
    assert ingest_day(store, landed, recipe, day, now) == found
    assert (store.open(first) / "manifest.json").stat().st_mtime_ns == made


def test_file_that_lands_between_two_pieces_is_in_all_of_them(store, landed, land_rows, tiny_recipe, day, now):
    class Changing(LocalLandingZone):
        """A zone in which a file lands after the day was looked at."""

        looks = 0

        def files(self, stream, on):
            self.looks += 1
            if self.looks == 3:
                land_rows("impressions", day, [impression("new")], "new.jsonl")
            return super().files(stream, on)

    recipe = tiny_recipe(landing={"buckets": 2})
    found = ingest_day(store, Changing(landed._folder), recipe, day, now)
    assert found == ingest_day(store, landed, recipe, day, now)
    assert "new" in {row["event_id"] for row in impressions(store, day)}


def impressions(store, day):
    folders = open_shards(store, current_day_object(store, day))
    files = [file for folder in folders for file in sorted((folder / "impressions").glob("*.parquet"))]
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def test_day_in_pieces_without_a_usable_row_is_rejected(store, landing, land_rows, tiny_recipe, day, now):
    land_rows("impressions", day, [impression(f"e{number}", channel="mail") for number in range(20)])
    with pytest.raises(DataRejectedError, match=r"received none of 20; most often channel_unknown \(20 rows"):
        ingest_day(store, LocalLandingZone(landing), tiny_recipe(landing={"buckets": 2}), day, now)
    assert json.dumps(store.list_refs("days")) == "[]"
