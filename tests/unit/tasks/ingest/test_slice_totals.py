"""Rules of counts by slice: each value of a slice has its rows and positives, and a column of very many stays small."""

from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctr_retrain.models.data.slices import MISSING, OTHERS, SliceCount, slice_counts
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.ingest import slice_totals
from ctr_retrain.tasks.ingest.ingest_day import current_day_object
from ctr_retrain.tasks.ingest.slice_totals import add_slices_up
from ctr_retrain.tasks.validate.day_counts import load_counted_day
from tests.support.landed_day import impression, ingest, rows_of

CLICKED = range(0, 60, 7)


@pytest.fixture
def rows(day):
    """Sixty impressions of three devices, some without one, in two campaigns and channels, one of the day before."""
    devices = ("ios", "android", "web", "")
    made = [
        impression(
            f"e{number}",
            device=devices[number % 4],
            campaign_id=f"c{number % 2}",
            channel="push" if number % 5 == 0 else "ad",
        )
        for number in range(60)
    ]
    return [*made, impression("late", ts="2026-03-01T23:00:00Z", device="ios")]


@pytest.fixture
def landed(land_rows, rows, day):
    land_rows("impressions", day, rows[:25], "a.jsonl")
    land_rows("impressions", day, rows[25:], "b.csv")
    clicks = [{"event_id": f"e{number}", "ts": f"{day}T11:00:00Z", "kind": "click"} for number in CLICKED]
    land_rows("outcomes", day, clicks)


def by_hand(rows, column):
    """Rows and positives by channel and value, of the day itself."""
    own = [row for row in rows if row["event_id"] != "late"]
    counted = Counter((row["channel"], row[column] or MISSING) for row in own)
    clicked = Counter((row["channel"], row[column] or MISSING) for row in own if int(row["event_id"][1:]) in CLICKED)
    return {(*key, column): (rows, clicked[key]) for key, rows in counted.items()}


def test_each_value_of_each_slice_has_its_rows_and_positives_of_the_day_itself(
    store, landing, landed, rows, tiny_recipe, day, now
):
    ingest(store, landing, tiny_recipe(), day, now)
    found = load_counted_day(store, day)
    counted = {(one.channel, one.value, one.column): (one.rows, one.positives) for one in found.slices}
    assert counted == by_hand(rows, "device") | by_hand(rows, "campaign_id")
    assert all(one.labelled == one.rows for one in found.slices)
    assert sum(one.rows for one in found.slices if one.column == "device") == 60
    assert {name: (count.rows, count.positives) for name, count in found.channels.items()} == {
        channel: tuple(
            sum(getattr(one, name) for one in found.slices if (one.channel, one.column) == (channel, "device"))
            for name in ("rows", "positives")
        )
        for channel in ("ad", "push")
    }
    assert [hour.hour for hour in found.hours if hour.rows] == [10]
    (late,) = (row for row in rows_of(store, day, "slices.parquet") if not row["own_day"] and row["column"] == "device")
    assert (str(late["event_day"]), late["value"], late["rows"]) == ("2026-03-01", "ios", 1)


def test_a_recipe_without_slices_counts_none_and_its_profile_is_the_same(store, landing, landed, tiny_recipe, day, now):
    ingest(store, landing, tiny_recipe(), day, now)
    profile = rows_of(store, day, "profile.parquet")
    ingest(store, landing, tiny_recipe(drift={"slices": []}), day, now)
    assert rows_of(store, day, "profile.parquet") == profile
    assert load_counted_day(store, day).slices == ()


def test_a_column_may_be_a_slice_whatever_it_is_called(store, landing, land_rows, tiny_recipe, day, now):
    odd = "co\"l 'umn"
    features = [{"name": "odd", "column": odd, "kind": "categorical"}, {"name": "bid", "kind": "numeric"}]
    land_rows("impressions", day, [{**impression("a"), odd: "x'y"}, {**impression("b"), odd: "v" * 300}])
    ingest(store, landing, tiny_recipe(features=features, drift={"slices": [odd]}), day, now)
    assert load_counted_day(store, day).slices == (
        SliceCount("ad", odd, "v" * slice_totals.VALUE_CHARACTERS, 1, 1, 0),
        SliceCount("ad", odd, "x'y", 1, 1, 0),
    )


def test_a_day_that_an_older_version_ingested_has_its_channels_and_no_slices(
    store, landing, landed, tiny_recipe, day, now
):
    ingest(store, landing, tiny_recipe(), day, now)
    (store.open(current_day_object(store, day)) / "slices.parquet").unlink()
    found = load_counted_day(store, day)
    assert found.slices == ()
    assert found.channels.keys() == {"ad", "push"}


def test_a_day_that_was_not_ingested_has_no_counts(store, day):
    assert load_counted_day(store, day) is None


def part(day, *values):
    """Counts by slice of a part, of (channel, value, rows)."""
    rows = [
        {"event_day": day, "own_day": True, "channel": channel, "column": "user", "value": value}
        | {"rows": count, "labelled": count, "positives": 1}
        for channel, value, count in values
    ]
    return pa.Table.from_pylist(rows)


def test_beyond_the_most_frequent_values_of_a_channel_and_column_all_are_added_up_under_one_name(
    monkeypatch, tmp_path, day
):
    monkeypatch.setattr(slice_totals, "MOST_VALUES", 2)
    parts = [
        part(day, ("ad", "a", 5), ("ad", "b", 3), ("ad", "c", 4), ("ad", OTHERS, 100), ("push", "c", 1)),
        part(day, ("ad", "b", 3), ("ad", "d", 1)),
    ]
    with duck.connect(tmp_path, threads=1) as connection:
        add_slices_up(connection, pa.concat_tables(parts), tmp_path / "slices.parquet", whole=True)
    assert slice_counts(pq.read_table(tmp_path / "slices.parquet")) == (
        SliceCount("ad", "user", OTHERS, 105, 105, 3),  # c, d, and those that a part had added up before
        SliceCount("ad", "user", "a", 5, 5, 1),
        SliceCount("ad", "user", "b", 6, 6, 2),
        SliceCount("push", "user", "c", 1, 1, 1),
    )


def test_however_many_values_a_column_has_its_counts_take_no_more_room_and_lose_no_row(
    monkeypatch, store, landing, land_rows, tiny_recipe, day, now
):
    monkeypatch.setattr(slice_totals, "MOST_VALUES_OF_PART", 50)
    rows = [impression(f"e{number}", user_id=f"u{number}", device="ios") for number in range(400)]
    rows += [impression(f"often{number}", user_id="often", device="ios") for number in range(9)]
    land_rows("impressions", day, rows)
    ingest(store, landing, tiny_recipe(drift={"slices": ["user_id"]}), day, now)
    found = load_counted_day(store, day).slices
    assert len(found) == 51
    assert sum(one.rows for one in found) == 409
    assert next(one.rows for one in found if one.value == "often") == 9
