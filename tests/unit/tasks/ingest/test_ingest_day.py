"""Rules of ingest: what came in is kept, a duplicate, or quarantined with a reason; nothing else happens to a row."""

import gzip
import json
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctr_retrain.models.documents.day_documents import Counts, DaySummary, UnreadableValues
from ctr_retrain.models.errors import DataRejectedError, StorageError, UsageError
from ctr_retrain.tasks.ingest.ingest_day import ingest_day, ingested_by, load_ingested_day
from ctr_retrain.tasks.landing.landing_zone import LocalLandingZone
from ctr_retrain.tasks.store.layout import SUMMARY_FILE
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.support.landed_day import FORMATS, impression, ingest, quarantined, rows_of

EMPTY = ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.csv", "a.csv.gz", "a.csv.zst", "a.parquet"]


def outcome(event_id, ts="2026-03-02T11:00:00Z", kind="click"):
    return {"event_id": event_id, "ts": ts, "kind": kind}


# 20 rows: 9 distinct good events, of which one came three times and one twice; the others are bad, each in its way.
DIRTY = [
    impression("good-1"),
    impression("good-2", ts="2026-03-02T23:59:59.999999Z"),
    impression("good-3", ts="2026-03-02T00:00:00+00:00", bid=""),
    impression("late", ts="2026-03-01T23:30:00Z"),
    impression("zone", ts="2026-03-02T01:00:00+01:00"),
    impression("nan", bid="NaN"),
    impression("twice", ts="2026-03-02T12:00:01Z", device="web"),
    impression("twice", ts="2026-03-02T12:00:00Z", device="ios"),
    impression("thrice"),
    impression("thrice"),
    impression("thrice"),
    impression(""),
    impression("no-time", ts=""),
    impression("bad-time", ts="yesterday"),
    impression("future", ts="2026-03-03T00:00:00Z"),
    impression("old", ts="2026-02-28T23:59:59Z"),
    impression("no-channel", channel=""),
    impression("mail", channel="mail"),
    impression("nobody", user_id=""),
    impression("bad-bid", bid="much"),
]
REASONS = {
    "event_id_missing": 1,
    "ts_missing": 1,
    "ts_unreadable": 1,
    "ts_in_future": 1,
    "ts_too_old": 1,
    "channel_missing": 1,
    "channel_unknown": 1,
    "user_id_missing": 1,
}
DIRTY_OUTCOMES = [
    outcome("good-1"),
    outcome("good-1", ts="2026-03-02T10:30:00Z"),
    outcome("good-1", kind="dismissal"),
    outcome("never-seen"),
    outcome(""),
    outcome("good-2", kind=""),
    outcome("good-2", ts="2026-03-03T00:00:01Z"),
    outcome("good-2", ts="soon"),
]


@pytest.mark.parametrize("name", FORMATS)
def test_dirty_rows_are_conserved_and_mean_the_same_in_every_format(
    store, landing, land_rows, tiny_recipe, day, now, name
):
    land_rows("impressions", day, DIRTY, name)
    land_rows("outcomes", day, DIRTY_OUTCOMES, name)
    found = ingest(store, landing, tiny_recipe(), day, now)
    assert found.impressions == Counts(received=20, kept=9, duplicates=3, quarantined=8)
    assert found.outcomes == Counts(received=8, kept=3, duplicates=1, quarantined=4)
    assert found.unreadable == {}
    kept = {row["event_id"]: row for row in rows_of(store, day, "impressions")}
    assert kept.keys() == {"good-1", "good-2", "good-3", "late", "zone", "nan", "twice", "thrice", "bad-bid"}
    assert kept["twice"]["device"] == "ios"  # the earlier time wins
    assert kept["zone"]["ts"].isoformat() == "2026-03-02T00:00:00"
    assert [kept[event]["bid"] for event in ("good-1", "good-3", "nan", "bad-bid")] == [0.5, None, None, None]
    assert found.unreadable_values == {"bid": UnreadableValues(rows=1, values=7, example="much")}
    clicks = [row["ts"].isoformat() for row in rows_of(store, day, "outcomes") if row["event_id"] == "good-1"]
    assert sorted(clicks) == ["2026-03-02T10:30:00", "2026-03-02T11:00:00"]  # the click's earliest, and the dismissal
    bad = quarantined(store, day)
    assert Counter(row["reason"] for row in bad if row["stream"] == "impressions") == REASONS
    assert all(row["file"] == name and row["reason"] and row["raw"] for row in bad)
    for row in bad:  # the number leads back to the row that landed
        landed = (DIRTY if row["stream"] == "impressions" else DIRTY_OUTCOMES)[row["row"] - 1]
        assert {key: value or "" for key, value in json.loads(row["raw"]).items()} == landed


@pytest.mark.parametrize("buckets", [1, 2])
def test_users_of_a_day_are_sampled_with_their_rows_however_the_day_is_cut(
    store, landing, land_rows, tiny_recipe, day, now, buckets
):
    rows = [impression(str(number), user_id=f"u{number % 7}") for number in range(30)]
    land_rows("impressions", day, rows[:20], "1.csv")
    land_rows("impressions", day, rows[20:], "2.csv")
    found = ingest(store, landing, tiny_recipe(landing={"buckets": buckets}), day, now)
    users = DaySummary.read(store.file(found.path, SUMMARY_FILE)).users
    assert sorted(users.rows.values()) == [4, 4, 4, 4, 4, 5, 5]
    assert max(map(int, users.rows)) < users.below == 2**52


def test_a_recipe_without_users_samples_none(store, landing, land_rows, tiny_recipe, day, now):
    recipe = tiny_recipe(landing={"columns": {"user_id": ""}}, features=[{"name": "device", "kind": "categorical"}])
    land_rows("impressions", day, [impression("a")])
    found = ingest(store, landing, recipe, day, now)
    assert DaySummary.read(store.file(found.path, SUMMARY_FILE)).users is None


def test_duplicates_are_counted_over_all_files_of_the_day(store, landing, land_rows, tiny_recipe, day, now):
    land_rows("impressions", day, [impression("a"), impression("b"), impression("a")], "1.csv")
    land_rows("impressions", day, [impression("a"), impression("c")], "2.jsonl.gz")
    land_rows("impressions", day, [impression("b")], "3.parquet")
    found = ingest(store, landing, tiny_recipe(), day, now)
    assert found.impressions == Counts(received=6, kept=3, duplicates=3, quarantined=0)


def test_late_impressions_are_kept_for_their_own_event_day(store, landing, land_rows, tiny_recipe, day, now):
    land_rows("impressions", day, [impression("on-time"), impression("late", ts="2026-03-01T23:00:00Z")])
    ingest(store, landing, tiny_recipe(), day, now)
    profile = rows_of(store, day, "profile.parquet")
    assert [(str(row["event_day"]), row["hour"], row["rows"]) for row in profile] == [
        ("2026-03-01", 23, 1),
        ("2026-03-02", 10, 1),
    ]


def test_profile_counts_positives_within_the_window_as_seen_by_the_days_end(
    store, landing, land_rows, tiny_recipe, day, now
):
    land_rows("impressions", day, [impression("a"), impression("b"), impression("c", channel="push", device="")])
    land_rows("outcomes", day, [outcome("a"), outcome("b", kind="dismissal"), outcome("c")])
    ingest(store, landing, tiny_recipe(validation={"max_null_share": {"device": 0.5}}), day, now)
    found = [
        (row["channel"], row["rows"], row["positives"], row["nulls_device"])
        for row in rows_of(store, day, "profile.parquet")
    ]
    assert found == [("ad", 2, 1, 0), ("push", 1, 1, 1)]


# --- days


def test_no_landing_folder_for_the_day_is_rejected_data(store, landing, tiny_recipe, day, now):
    with pytest.raises(
        DataRejectedError, match=rf"nothing landed on {day}: expected files under .*/impressions/dt={day}"
    ) as caught:
        ingest(store, landing, tiny_recipe(), day, now)
    assert caught.value.exit_code == 3


def test_landing_zone_that_is_not_there_is_wrong_use(store, landing, tiny_recipe, day, now):
    with pytest.raises(UsageError, match=r"expected a folder, received none\. Set --landing"):
        ingest(store, landing / "elsewhere", tiny_recipe(), day, now)


@pytest.mark.parametrize("name", EMPTY)
def test_empty_day_is_rejected_data(store, landing, land_rows, tiny_recipe, day, now, name):
    path = land_rows("impressions", day, [], name)
    if ".csv" in name:
        header = ",".join(impression("a")) + "\n"
        path.write_bytes(
            {"gz": gzip.compress(header.encode()), "zst": pa.compress(header.encode(), "zstd", asbytes=True)}.get(
                name[6:], header.encode()
            )
        )
    if name == "a.parquet":
        pq.write_table(pa.table({key: pa.array([], pa.string()) for key in impression("a")}), path)
    with pytest.raises(DataRejectedError, match="are empty: expected rows, received files without any"):
        ingest(store, landing, tiny_recipe(), day, now)
    assert store.read_ref(f"days/{day}") is None


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.txt", "a.jsonl.bz2"])
def test_file_of_no_bytes_or_no_known_format_is_unreadable(store, landing, land_rows, tiny_recipe, day, now, name):
    land_rows("impressions", day, [], name).write_bytes(b"")
    with pytest.raises(DataRejectedError):
        ingest(store, landing, tiny_recipe(), day, now)


def test_files_that_begin_with_a_dot_or_an_underscore_did_not_land(store, landing, land_rows, tiny_recipe, day, now):
    land_rows("impressions", day, [impression("a")], ".part.jsonl")
    land_rows("impressions", day, [], "_SUCCESS")
    with pytest.raises(DataRejectedError, match="nothing landed"):
        ingest(store, landing, tiny_recipe(), day, now)


def test_same_files_again_are_recognised_and_nothing_changes(store, landing, land_rows, tiny_recipe, day, now):
    land_rows("impressions", day, DIRTY)
    first = ingest(store, landing, tiny_recipe(), day, now)
    ref = store.read_ref(f"days/{day}")
    manifest = (store.open(first.path) / "manifest.json").stat()
    assert ingest(store, landing, tiny_recipe(), day, now + timedelta(days=1)) == first
    assert store.read_ref(f"days/{day}") == ref
    assert (store.open(first.path) / "manifest.json").stat() == manifest


def test_new_file_or_another_reading_makes_a_new_object_and_keeps_the_old_one(
    store, landing, land_rows, tiny_recipe, day, now
):
    land_rows("impressions", day, [impression("a")])
    first = ingest(store, landing, tiny_recipe(), day, now)
    land_rows("impressions", day, [impression("b")], "more.csv")
    second = ingest(store, landing, tiny_recipe(), day, now)
    assert [first.impressions.kept, second.impressions.kept] == [1, 2]
    assert store.open(first.path) is not None
    assert [entry["current"] for entry in store.read_ref(f"days/{day}").value["history"]] == [
        first.identity,
        second.identity,
    ]
    # What validation reads of the profile is part of the reading; its bounds are not.
    watched = ingest(store, landing, tiny_recipe(validation={"max_null_share": {"device": 0.5}}), day, now)
    assert watched.identity != second.identity
    assert ingest(store, landing, tiny_recipe(validation={"max_null_share": {"device": 0.9}}), day, now) == watched
    # So is which slices are counted.
    sliced = ingest(store, landing, tiny_recipe(drift={"slices": ["user_id"]}), day, now)
    assert sliced.identity not in (watched.identity, second.identity)


def test_published_day_holds_its_data_and_no_scratch(store, landing, land_rows, tiny_recipe, day, now):
    land_rows("impressions", day, DIRTY, "a.csv.gz")
    found = ingest(store, landing, tiny_recipe(), day, now)
    names = {file["path"] for file in json.loads((store.open(found.path) / "manifest.json").read_text())["files"]}
    assert names == {
        f"impressions/{day - timedelta(days=1)}-0000.parquet",
        f"impressions/{day}-0000.parquet",
        f"outcomes/{day}-0000.parquet",
        "quarantine/impressions-0000.parquet",
        "quarantine/impressions-lines.parquet",
        "quarantine/outcomes-lines.parquet",
        "profile.parquet",
        "values.parquet",
        "slices.parquet",
        "summary.json",
    }


def test_disk_that_cannot_be_written_is_a_storage_error(landing, land_rows, tiny_recipe, day, now, tmp_path):
    land_rows("impressions", day, [impression("a")])
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(StorageError) as caught:
        ingest(LocalStore(tmp_path / "file"), landing, tiny_recipe(), day, now)
    assert caught.value.exit_code == 4


def test_summary_that_an_older_version_wrote_is_read_and_that_of_a_newer_one_is_refused(
    store, landing, land_rows, tiny_recipe, day, now
):
    land_rows("impressions", day, [impression("a", strange="x")])
    found = ingest(store, landing, tiny_recipe(), day, now)
    file = store.open(found.path) / "summary.json"
    written = json.loads(file.read_text(encoding="utf-8"))
    assert written["format"] == 1
    older = {key: written[key] for key in ("impressions", "outcomes", "unreadable", "unknown_columns")}
    file.write_text(json.dumps(older), encoding="utf-8")
    assert load_ingested_day(store, day) == replace(found, attribution=None)
    assert found.unknown_columns == ("strange",)
    file.write_text(json.dumps({**older, "format": 2}), encoding="utf-8")
    with pytest.raises(StorageError, match=r"summary\.json under .*: expected format 1, received format 2"):
        load_ingested_day(store, day)


def test_day_that_does_not_say_how_it_was_read_is_ingested_anew(store, landing, land_rows, tiny_recipe, day, now):
    land_rows("impressions", day, [impression("a")])
    found = ingest(store, landing, tiny_recipe(), day, now)
    assert ingested_by(store, day, tiny_recipe())
    file = store.open(found.path) / "manifest.json"
    manifest = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({key: manifest[key] for key in manifest if key != "definition"}), encoding="utf-8")
    assert not ingested_by(store, day, tiny_recipe())


def test_day_that_was_not_ingested_says_so(store, day):
    with pytest.raises(DataRejectedError, match="was not ingested"):
        load_ingested_day(store, day)


def test_conservation_needs_every_row():
    assert Counts(received=3, kept=1, duplicates=1, quarantined=1).conserved
    assert not Counts(received=4, kept=1, duplicates=1, quarantined=1).conserved
    assert Counts(received=3, kept=1, duplicates=1, quarantined=1).to_json()["received"] == 3


class _Outrun(LocalLandingZone):
    """A landing zone in which, once its files were listed, one more lands and another run publishes the day."""

    def __init__(self, folder, meanwhile):
        super().__init__(folder)
        self._meanwhile = meanwhile

    def files(self, stream, day):
        found = super().files(stream, day)
        if stream == "impressions" and self._meanwhile:
            meanwhile, self._meanwhile = self._meanwhile, None
            meanwhile()
        return found


def test_ingest_that_was_outrun_by_one_that_saw_more_files_takes_the_others_day(
    store, landing, land_rows, tiny_recipe, day, now
):
    land_rows("impressions", day, [impression("a")])

    def meanwhile():
        land_rows("impressions", day, [impression("b")], name="more.jsonl")
        ingest(store, landing, tiny_recipe(), day, now)

    found = ingest_day(store, _Outrun(landing, meanwhile), tiny_recipe(), day, now)
    assert found.impressions.kept == 2
    ref = store.read_ref(f"days/{day}").value
    assert ref["current"] == found.identity
    assert [entry["current"] for entry in ref["history"]] == [found.identity]
