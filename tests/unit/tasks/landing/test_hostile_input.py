"""Rules of hostile input: it is data, or it is told; nothing is executed, and nothing outside the root is written."""

import gzip
import json
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctr_retrain.models.documents.day_documents import Counts
from ctr_retrain.models.errors import StorageError
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.landing.landed_values import read_footer
from ctr_retrain.tasks.reading import read_stream
from ctr_retrain.tasks.store import layout
from tests.support.landed_day import FORMATS, clean, impression, ingest

NAMES = [
    "select",
    "group",
    "from",
    "_reason",
    "_row",
    "_raw",
    "hash",
    "label_click",
    "age_days_click",
    "known",
    "🙂",
    "é",
]


@pytest.mark.parametrize("name", FORMATS)
def test_columns_named_like_keywords_or_like_our_own_are_columns(
    store, landing, land_rows, tiny_recipe, day, now, name
):
    land_rows("impressions", day, [impression("a", **dict.fromkeys(NAMES, "x")), impression("b")], name)
    found = ingest(store, landing, tiny_recipe(), day, now)
    assert found.impressions == Counts(received=2, kept=2, duplicates=0, quarantined=0)
    assert set(found.unknown_columns) == set(NAMES)


@pytest.mark.parametrize("name", FORMATS)
def test_features_may_be_named_like_keywords(landing, land_rows, tiny_recipe, day, name):
    features = [
        {"name": f"f{i}", "kind": "categorical", "column": column} for i, column in enumerate(("select", "hash"))
    ]
    land_rows("impressions", day, [impression("a", select="1; DROP TABLE known", hash="'")], name)
    found = clean(landing, tiny_recipe(features=features), day)
    (kept,) = found.rows
    assert (kept["select"], kept["hash"]) == ("1; DROP TABLE known", "'")


@pytest.mark.parametrize("name", FORMATS)
def test_values_of_a_megabyte_are_values(landing, land_rows, tiny_recipe, day, name):
    land_rows("impressions", day, [impression("a", device="x" * 2**20, user_id="y" * 2**20), impression("b")], name)
    found = clean(landing, tiny_recipe(), day)
    assert found.impressions.kept == 2
    assert {len(row["device"]) for row in found.rows} == {2**20, 3}


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
def test_line_of_seventeen_megabytes_is_quarantined_and_its_neighbours_are_kept(
    landing, land_rows, tiny_recipe, day, name
):
    land_rows("impressions", day, [impression("a"), impression("long", device="x" * 17 * 2**20), impression("b")], name)
    found = clean(landing, tiny_recipe(), day)
    assert found.impressions == Counts(received=3, kept=2, duplicates=0, quarantined=1)
    (bad,) = found.quarantined
    assert bad["row"] == 2
    assert "expected a line of at most 16 MiB" in bad["reason"]
    assert len(bad["raw"]) == 2000


@pytest.mark.parametrize("line", [json.dumps(impression("x")).encode() + b"\n", b" " * 100])
def test_gzip_bomb_is_one_unreadable_file_beside_the_others(landing, land_rows, tiny_recipe, day, line):
    land_rows("impressions", day, [impression("a")], "good.jsonl")
    path = land_rows("impressions", day, [], "bomb.jsonl.gz")
    path.write_bytes(gzip.compress(line * (3 * 10**6 // len(line))))
    assert path.stat().st_size < 30_000
    found = clean(landing, tiny_recipe(landing={"max_file_gb": 0.001}), day)
    assert found.impressions.kept == found.impressions.received == 1
    assert "expected at most 1,073,742 bytes unpacked" in found.unreadable["impressions/bomb.jsonl.gz"]


@pytest.mark.parametrize(("rows", "max_file_gb"), [(300_000, 0.01), (3_000, 0.0001)])
def test_parquet_bomb_is_one_unreadable_file_beside_the_others(landing, land_rows, tiny_recipe, day, rows, max_file_gb):
    """Pages of one repeated value are a few bytes, however many rows they make."""
    for name in ("a", "b"):
        land_rows("impressions", day, [impression(name)], f"{name}.parquet")
    columns = {key: pa.repeat(value, rows) for key, value in impression("x").items()}
    path = landing / "impressions" / f"dt={day}" / "bomb.parquet"
    pq.write_table(pa.table(columns), path)
    assert path.stat().st_size < 10_000
    found = clean(landing, tiny_recipe(landing={"max_file_gb": max_file_gb}), day)
    assert found.impressions.kept == found.impressions.received == 2
    assert re.fullmatch(
        rf"too large: expected at most {round(max_file_gb * 2**30):,} bytes unpacked \(landing.max_file_gb\), received "
        rf"{rows * 56:,}, at 8 or more a value: {rows:,} rows of 7 columns",
        found.unreadable["impressions/bomb.parquet"],
    )


@pytest.mark.parametrize("small", [True, False])
def test_parquet_of_one_long_text_in_very_many_rows_is_one_unreadable_file_beside_the_others(
    landing, land_rows, tiny_recipe, day, monkeypatch, small
):
    """Half a megabyte that says a hundred gigabytes: a dictionary has each text once."""
    monkeypatch.setattr(duck, "MEMORY_LIMIT_MB", 100)
    monkeypatch.setattr(read_stream, "SMALL_BYTES", 1 << 20 if small else -1)
    land_rows("impressions", day, [impression("good")], "good.parquet")
    rows = 30_000
    columns = impression("x") | {"event_id": [str(number) for number in range(rows)]}
    table = {name: value if isinstance(value, list) else [value] * rows for name, value in columns.items()}
    long = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["x" * 400_000]))
    pq.write_table(pa.table(table | {"device": long}), landing / "impressions" / f"dt={day}" / "bomb.parquet")
    found = clean(landing, tiny_recipe(), day)
    assert found.impressions.kept == 1
    assert found.unreadable == {
        "impressions/bomb.parquet": "column device: expected values that fit into memory, 2,048 at a time, "
        "received one of 400,000 bytes"
    }


def test_too_little_memory_is_no_fault_of_the_data(store, landing, land_rows, tiny_recipe, day, now, monkeypatch):
    monkeypatch.setattr(duck, "MEMORY_LIMIT_MB", 1)
    land_rows("impressions", day, [impression(str(number)) for number in range(300)], "a.parquet")
    with pytest.raises(
        StorageError, match=r"expected to need at most 1 MB, received: Out of Memory.* nothing is wrong"
    ):
        ingest(store, landing, tiny_recipe(), day, now)
    assert store.read_ref(layout.day_ref(day)) is None


def test_parquet_of_many_values_in_few_rows_is_counted_by_its_values(tmp_path):
    path = tmp_path / "lists.parquet"
    pq.write_table(pa.table({"tags": pa.array([["x"] * 100_000] * 3)}), path)
    assert read_footer(path).unpacked_bytes == 2_400_000


def test_link_out_of_the_landing_zone_or_to_no_file_is_told_and_not_read(
    landing, land_rows, tiny_recipe, day, tmp_path
):
    good = land_rows("impressions", day, [impression("a")], "good.jsonl")
    (tmp_path / "secret.jsonl").write_text(json.dumps(impression("secret")), encoding="utf-8")
    elsewhere = land_rows("more", day, [impression("inside")], "inside.jsonl")
    links = {"out": tmp_path / "secret.jsonl", "in": elsewhere, "nothing": tmp_path / "gone", "folder": landing}
    for name, target in links.items():
        (good.parent / f"{name}.jsonl").symlink_to(target)
    (good.parent / "itself.jsonl").symlink_to(good.parent / "itself.jsonl")
    found = clean(landing, tiny_recipe(), day)
    assert {row["event_id"] for row in found.rows} == {"a", "inside"}
    reasons = {name.split("/")[1]: reason for name, reason in found.unreadable.items()}
    assert set(reasons) == {"out.jsonl", "nothing.jsonl", "folder.jsonl", "itself.jsonl"}
    assert "leads out of it" in reasons["out.jsonl"]
    assert all("symbolic link to none" in reasons[f"{name}.jsonl"] for name in ("nothing", "folder", "itself"))


def test_json_that_is_deep_wide_or_full_of_nothing_is_data_or_is_quarantined(landing, tiny_recipe, day):
    path = landing / "impressions" / f"dt={day}" / "a.jsonl"
    path.parent.mkdir(parents=True)
    wide = {**impression("wide"), **{f"key{number}": number for number in range(5000)}}
    lines = [
        json.dumps(impression("a")),
        json.dumps(wide),
        '{"event_id": ' + "[" * 100_000 + "]" * 100_000 + "}",
        json.dumps({**impression("nul"), "device": "a\0b"}),
        "\0" * 1000,
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = clean(landing, tiny_recipe(), day)
    assert found.impressions.received == found.impressions.kept + found.impressions.quarantined == 5
    assert {"a", "wide"} <= {row["event_id"] for row in found.rows}


def test_a_bad_row_of_thousands_of_columns_takes_no_gigabyte(landing, land_rows, tiny_recipe, day, monkeypatch):
    monkeypatch.setattr(duck, "MEMORY_LIMIT_MB", 300)
    more = {f"key{number}": str(number) for number in range(2000)}
    rows = [{**impression("a"), **more}, {**impression("bad", ts="?"), **more}]
    land_rows("impressions", day, rows, "a.parquet")
    found = clean(landing, tiny_recipe(), day)
    assert (found.impressions.kept, found.impressions.quarantined) == (1, 1)
    (bad,) = found.quarantined
    assert len(bad["raw"]) == 2000
    assert bad["raw"].startswith('{"event_id":"bad","ts":"?","user_id":"u1"')
