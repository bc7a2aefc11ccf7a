"""Rules of landing a file: each row below the day of its own time, nothing lost, nothing twice."""

import json
from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.errors import DataRejectedError, StorageError
from models.schema import Counts
from tasks.ingest import ingest_day
from tasks.land import LandedDays, land_file
from tasks.landing_zone import LocalLandingZone


def row(event_id, ts):
    return {"event_id": event_id, "ts": ts, "user_id": "u", "channel": "ad", "campaign_id": "c"}


@pytest.fixture
def source(land_rows, landing):
    """A file outside the landing zone; its name says its format."""

    def write(rows, name="events.csv"):
        path = land_rows("impressions", "none", rows, name)
        aside = landing.parent / name
        path.rename(aside)
        path.parent.rmdir()
        return aside

    return write


def landed(landing):
    found = {}
    for path in sorted((landing / "impressions").glob("dt=*/*.parquet")):
        found[f"{path.parent.name}/{path.name}"] = pq.read_table(path)["event_id"].to_pylist()
    return found


THREE_DAYS = [
    row("c", "2026-03-02T23:59:59Z"),
    row("a", "2026-03-02T00:00:00Z"),
    row("d", "2026-03-03T00:00:00Z"),
    row("b", "2026-03-02T01:00:00+00:00"),
    row("e", "2026-03-05T01:00:00+02:00"),
]


@pytest.mark.parametrize("name", ["events.csv", "events.csv.gz", "events.jsonl", "events.jsonl.zst", "events.parquet"])
def test_file_is_split_by_day_in_its_own_order(source, landing, tiny_recipe, name):
    answer = land_file(source(THREE_DAYS, name), tiny_recipe(), LocalLandingZone(landing))
    assert answer == LandedDays({"2026-03-02": 3, "2026-03-03": 1, "2026-03-04": 1}, malformed=0)
    stem = name.removesuffix(".parquet")
    assert landed(landing) == {
        f"dt=2026-03-02/{stem}.parquet": ["c", "a", "b"],
        f"dt=2026-03-03/{stem}.parquet": ["d"],
        f"dt=2026-03-04/{stem}.parquet": ["e"],
    }


@pytest.mark.parametrize(
    ("time", "first", "second"),
    [
        ("epoch_s", "1772409600", "1772496000"),
        ("epoch_ms", "1772409600000", "1772496000000"),
        ("%d/%m/%y %H:%M", "02/03/26 00:00", "03/03/26 00:00"),
    ],
)
def test_time_is_read_as_the_recipe_says(source, landing, tiny_recipe, time, first, second):
    answer = land_file(
        source([row("a", first), row("b", second)]), tiny_recipe(landing={"time": time}), LocalLandingZone(landing)
    )
    assert answer.rows == {"2026-03-02": 1, "2026-03-03": 1}


def test_columns_stay_as_they_are(source, landing, tiny_recipe):
    path = landing.parent / "typed.parquet"
    table = pa.table({"ts": pa.array([date(2026, 3, 2)]), "score": pa.array([1.5], pa.float32()), "Größe": [["a"]]})
    pq.write_table(table, path)
    land_file(path, tiny_recipe(), LocalLandingZone(landing))
    (found,) = (landing / "impressions").glob("dt=2026-03-02/*")
    assert pq.read_table(found).to_pydict() == table.to_pydict()
    assert pq.read_schema(found).field("score").type == pa.float32()
    jsonl = landing.parent / "few.jsonl"
    jsonl.write_text('{"ts": "2026-03-02", "x": "1"}\n', encoding="utf-8")
    land_file(jsonl, tiny_recipe(), LocalLandingZone(landing))
    names = pq.read_schema(landing / "impressions" / "dt=2026-03-02" / "few.jsonl.parquet").names
    assert sorted(names) == ["ts", "x"]


def test_landing_again_replaces_all_that_the_file_had_landed(source, landing, tiny_recipe):
    land_file(source([*THREE_DAYS, row("other", "2026-03-09T00:00:00Z")]), tiny_recipe(), LocalLandingZone(landing))
    land_file(source([row("kept", "2026-03-02T00:00:00Z")], "events.2.csv"), tiny_recipe(), LocalLandingZone(landing))
    land_file(source(THREE_DAYS[:3]), tiny_recipe(), LocalLandingZone(landing))
    assert landed(landing) == {
        "dt=2026-03-02/events.2.csv.parquet": ["kept"],
        "dt=2026-03-02/events.csv.parquet": ["c", "a"],
        "dt=2026-03-03/events.csv.parquet": ["d"],
    }


def test_rows_that_cannot_be_placed_land_on_the_first_day_and_ingest_quarantines_them(
    source, store, landing, tiny_recipe, day, now
):
    path = source([row("a", "2026-03-02T10:00:00Z"), row("b", "once"), row("c", "")], "events.jsonl")
    path.write_text(path.read_text() + '{"event_id": "half\n' + json.dumps(row("d", "2026-03-03T00:00:00Z")) + "\n")
    assert land_file(path, tiny_recipe(), LocalLandingZone(landing)) == LandedDays(
        {"2026-03-02": 3, "2026-03-03": 1}, malformed=1
    )
    assert ingest_day.fn(store, LocalLandingZone(landing), tiny_recipe(), day, now).impressions == Counts(4, 1, 0, 3)


def test_file_that_cannot_be_read_or_has_no_time_lands_nothing(source, landing, tiny_recipe):
    cases = {
        "half.csv.gz": ("readable file", lambda path: path.write_bytes(path.read_bytes()[:-9])),
        "none.csv": ("readable file", lambda path: path.unlink()),
        "other.csv": ("expected the time column 'ts', received", lambda path: path.write_text("when\n1\n")),
        "other.jsonl": ("expected the time column 'ts', received when", lambda path: path.write_text('{"when": 1}\n')),
        "never.csv": ("expected times like landing.time = 'iso'", lambda path: path.write_text("ts,x\nsoon,1\n")),
    }
    for name, (message, spoil) in cases.items():
        path = source(THREE_DAYS, name)
        spoil(path)
        with pytest.raises(DataRejectedError, match=message):
            land_file(path, tiny_recipe(), LocalLandingZone(landing))
    assert landed(landing) == {}


def test_landing_zone_that_cannot_be_written_is_a_storage_error(source, landing, tiny_recipe):
    path = source(THREE_DAYS)
    (landing / "impressions").rmdir()
    (landing / "impressions").write_text("in the way", encoding="utf-8")
    with pytest.raises(StorageError, match="expected a writable"):
        land_file(path, tiny_recipe(), LocalLandingZone(landing))
