"""Rules of what lies below a day's folder: each file is read, however deep, or it is told why not."""

import os

import pytest

from tests.support.landed_day import clean, impression, ingest, quarantined, rows_of


def test_files_of_folders_are_read_under_their_path(store, landing, land_rows, tiny_recipe, day, now):
    for hour, rows in (("hour=13", ["a", "b"]), ("hour=14", ["c"])):
        land_rows("impressions", day, [impression(row) for row in rows], f"{hour}/part.jsonl")
    land_rows("impressions", day, [impression("d"), impression("e", ts="never")], "events.parquet/part-0.parquet")
    land_rows("impressions", day, [impression("f")], "part.jsonl")
    found = ingest(store, landing, tiny_recipe(), day, now)
    assert {row["event_id"] for row in rows_of(store, day, "impressions")} == set("abcdf")
    assert [row["file"] for row in quarantined(store, day)] == ["events.parquet/part-0.parquet"]
    assert found.not_read == {}


def test_ids_made_of_file_and_row_differ_between_folders(landing, land_rows, tiny_recipe, day):
    for hour in ("13", "14"):
        land_rows("impressions", day, [impression("x")], f"hour={hour}/part.csv")
    found = clean(landing, tiny_recipe(landing={"event_id_from": "file_row"}), day)
    assert {row["event_id"] for row in found.rows} == {f"{day}/hour={hour}/part.csv:0" for hour in ("13", "14")}


def test_what_is_not_read_is_told_with_the_reason_and_is_no_unreadable_file(
    store, landing, land_rows, tiny_recipe, day, now
):
    good = land_rows("impressions", day, [impression("a")], "events.parquet/part-0.parquet")
    for name in ("_SUCCESS", ".part-0.parquet.crc", "_temporary/0/part.jsonl", "_temporary/1/part.jsonl"):
        land_rows("impressions", day, [], f"events.parquet/{name}")
    land_rows("outcomes", day, [], "_started")
    os.mkfifo(good.parent.parent / "pipe.jsonl")
    (good.parent.parent / "empty").mkdir()
    found = ingest(store, landing, tiny_recipe(), day, now)
    assert found.unreadable == {}
    assert found.not_read == {
        "impressions/events.parquet/_SUCCESS": "its name begins with _, as that of what is not whole, or no data",
        "impressions/events.parquet/.part-0.parquet.crc": (
            "its name begins with ., as that of what is not whole, or no data"
        ),
        "impressions/events.parquet/_temporary": "its name begins with _, as that of what is not whole, or no data",
        "impressions/pipe.jsonl": "expected a file, received a device, a pipe or a socket",
        "outcomes/_started": "its name begins with _, as that of what is not whole, or no data",
    }


def test_link_in_a_folder_is_held_to_the_landing_zone(landing, land_rows, tiny_recipe, day, tmp_path):
    good = land_rows("impressions", day, [impression("a")], "hour=1/good.jsonl")
    (tmp_path / "secret.jsonl").write_text("{}", encoding="utf-8")
    (good.parent / "out.jsonl").symlink_to(tmp_path / "secret.jsonl")
    (good.parent / "in.jsonl").symlink_to(land_rows("more", day, [impression("b")], "b.jsonl"))
    (good.parent.parent / "folder").symlink_to(tmp_path)
    found = clean(landing, tiny_recipe(), day)
    assert {row["event_id"] for row in found.rows} == {"a", "b"}
    assert "leads out of it" in found.unreadable["impressions/hour=1/out.jsonl"]
    assert set(found.unreadable) == {"impressions/hour=1/out.jsonl", "impressions/folder"}


def test_day_of_markers_alone_says_that_it_found_them(landing, land_rows, tiny_recipe, day):
    land_rows("impressions", day, [], "_SUCCESS")
    with pytest.raises(Exception, match=r"nothing landed on .*, received only impressions/_SUCCESS"):
        clean(landing, tiny_recipe(), day)


BAD = [impression(f"bad{number}", ts="never") for number in range(3)]


@pytest.mark.parametrize("buckets", [1, 2])
def test_file_of_which_over_half_is_quarantined_is_named(store, landing, land_rows, tiny_recipe, day, now, buckets):
    land_rows("impressions", day, [impression(f"{number}") for number in range(50)], "good.jsonl")
    with land_rows("impressions", day, [impression("a"), *BAD[:1]], "mostly.jsonl").open("a") as file:
        file.write("{torn\n")
    land_rows("impressions", day, [impression("b"), *BAD[:1]], "half.csv")
    land_rows("outcomes", day, [{"event_id": "a", "ts": "never", "kind": "click"}], "late.csv")
    found = ingest(store, landing, tiny_recipe(landing={"buckets": buckets}), day, now)
    assert found.mostly_quarantined == {
        "impressions/mostly.jsonl": "2 of 3 rows quarantined",
        "outcomes/late.csv": "1 of 1 rows quarantined",
    }
