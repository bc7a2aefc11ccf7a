"""Rules of landed files: what can be read is, and what can't is told with its file, its row and the reason."""

import gzip
import json

import numpy as np
import pytest

from ctr_retrain.models.documents.day_documents import Counts
from ctr_retrain.models.errors import DataRejectedError
from tests.support.landed_day import clean, impression, ingest


@pytest.mark.parametrize("end", ["jsonl.gz", "jsonl.zst", "csv.gz", "csv.zst"])
def test_torn_file_gives_its_rows_up_to_the_tear_and_counts_as_unreadable(landing, land_rows, tiny_recipe, day, end):
    land_rows("impressions", day, [impression("a"), impression("b")], "good.jsonl.gz")
    draw = np.random.default_rng(1)  # a tear between two lines would leave no torn one
    rows = [
        impression(draw.bytes(16).hex()) for _ in range(4_000 if end.endswith("zst") else 800)
    ]  # zstd packs a thousand as one
    path = land_rows("impressions", day, rows, f"half.{end}")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    found = clean(landing, tiny_recipe(), day)
    kept = {row["event_id"] for row in found.rows} - {"a", "b"}
    assert kept == {row["event_id"] for row in rows[: len(kept)]}
    assert len(rows) / 8 < len(kept) < len(rows) * 7 / 8
    (torn,) = found.quarantined  # the line in which the file ends; its number leads there
    assert (torn["file"], torn["row"]) == (f"half.{end}", len(kept) + 1)
    assert torn["line"] == torn["row"] + ("csv" in end)
    assert torn["reason"].startswith("torn: ")
    assert torn["raw"]
    assert found.impressions == Counts(received=len(kept) + 3, kept=len(kept) + 2, duplicates=0, quarantined=1)
    assert list(found.unreadable) == [f"impressions/half.{end}"]
    expected = "ended before the end-of-stream" if end.endswith("gz") else "Truncated"
    assert expected in found.unreadable[f"impressions/half.{end}"]


def test_gzip_file_torn_at_its_very_beginning_is_unreadable_and_never_an_empty_one(
    landing, land_rows, tiny_recipe, day
):
    land_rows("impressions", day, [impression("a")], "good.jsonl.gz")
    beginnings = [1, 2, 9, 17, 30]
    for kept in beginnings:
        path = land_rows("impressions", day, [impression("b")], f"{kept}.jsonl.gz")
        path.write_bytes(path.read_bytes()[:kept])
    found = clean(landing, tiny_recipe(), day)
    assert found.unreadable.keys() == {f"impressions/{kept}.jsonl.gz" for kept in beginnings}
    assert found.impressions.kept == 1


def test_torn_parquet_file_is_one_unreadable_file_beside_the_rows_of_the_others(landing, land_rows, tiny_recipe, day):
    land_rows("impressions", day, [impression("a"), impression("b")], "good.jsonl.gz")
    path = land_rows("impressions", day, [impression(f"x{i}") for i in range(2000)], "half.parquet")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    found = clean(landing, tiny_recipe(), day)
    assert found.impressions == Counts(received=2, kept=2, duplicates=0, quarantined=0)
    assert list(found.unreadable) == ["impressions/half.parquet"]


def test_parquet_file_whose_rows_are_damaged_is_unreadable_too(landing, land_rows, tiny_recipe, day):
    land_rows("impressions", day, [impression("a")], "good.parquet")
    path = land_rows("impressions", day, [impression(f"x{i}") for i in range(2000)], "bad.parquet")
    content = bytearray(path.read_bytes())
    content[4:2000] = b"\xff" * 1996  # the first pages; the footer stays
    path.write_bytes(content)
    found = clean(landing, tiny_recipe(), day)
    assert found.impressions.kept == 1
    assert list(found.unreadable) == ["impressions/bad.parquet"]


def test_day_whose_files_are_all_unreadable_is_rejected_and_publishes_nothing(
    store, landing, land_rows, tiny_recipe, day, now
):
    path = land_rows("impressions", day, [impression("a")], "half.parquet")
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(
        DataRejectedError, match=r"at least one readable file, received 1 unreadable; half.parquet"
    ) as caught:
        ingest(store, landing, tiny_recipe(), day, now)
    assert caught.value.exit_code == 3
    assert store.read_ref(f"days/{day}") is None
    assert store.list_objects(f"days/{day}") == []


def test_malformed_line_among_good_ones_is_quarantined_with_its_row(landing, tiny_recipe, day):
    path = landing / "impressions" / f"dt={day}" / "a.jsonl"
    path.parent.mkdir(parents=True)
    lines = [
        json.dumps(impression("a")),
        '{"event_id": "b", "ts":',
        "",
        "[1, 2]",
        "[" * 100_000,
        json.dumps(impression("c")),
    ]
    bad_bytes = json.dumps(impression("d?")).encode().replace(b"?", b"\xff")
    path.write_bytes("\n".join(lines).encode() + b"\n" + bad_bytes + b"\n")
    found = clean(landing, tiny_recipe(), day)
    assert found.impressions == Counts(received=6, kept=2, duplicates=0, quarantined=4)
    bad = found.quarantined
    assert [(row["row"], row["reason"].split(":")[0]) for row in bad] == [
        (2, "malformed_json"),
        (3, "malformed_json"),
        (4, "malformed_json"),
        (6, "malformed_encoding"),
    ]
    assert bad[0]["raw"] == '{"event_id": "b", "ts":'


def test_rows_before_and_after_a_malformed_one_mean_what_they_mean_without_it(landing, land_rows, tiny_recipe, day):
    rows = [
        {**impression("a"), "user_id": 1.50, "bid": 1e3},
        {**impression("b"), "user_id": 12345678901234567890, "bid": None},
    ]
    land_rows("impressions", day, rows)
    found = clean(landing, tiny_recipe(), day)
    fast = found.rows
    with land_rows("impressions", day, rows).open("a") as file:
        file.write("{broken\n")
    found = clean(landing, tiny_recipe(), day)
    assert found.impressions.quarantined == 1
    assert found.rows == fast


def test_csv_line_of_another_length_or_with_an_open_quote_takes_no_other_line_with_it(landing, tiny_recipe, day):
    path = landing / "impressions" / f"dt={day}" / "a.csv"
    path.parent.mkdir(parents=True)
    good = "{},2026-03-02T10:00:00Z,{},ad,c1,ios,0.5"
    lines = [
        "event_id,ts,user_id,channel,campaign_id,device,bid",
        good.format("a", "u1"),
        "b,2026-03-02T10:00:00Z",
        good.format("c", '"two\nlines, one ""user"""'),
        good.format("d", '"never closed'),
        good.format("e", "u1") + ",more",
        "",
        good.format("f", "ü"),
    ]
    path.write_text("\ufeff" + "\r\n".join(lines) + "\r\n", encoding="utf-8", newline="")
    found = clean(landing, tiny_recipe(), day)
    assert found.impressions == Counts(received=6, kept=3, duplicates=0, quarantined=3)
    kept = {row["event_id"]: row["user_id"] for row in found.rows}
    assert kept == {"a": "u1", "c": 'two\nlines, one "user"', "f": "ü"}
    assert [row["row"] for row in found.quarantined] == [2, 4, 5]


def test_gzip_files_that_were_joined_are_read_to_their_end(landing, land_rows, tiny_recipe, day):
    path = land_rows("impressions", day, [impression("a")], "joined.jsonl.gz")
    path.write_bytes(path.read_bytes() + gzip.compress(json.dumps(impression("b")).encode()))
    found = clean(landing, tiny_recipe(), day)
    assert found.impressions.kept == 2
