"""Rules of text files whose rows are all usable: cleaned while they are read, and published as they are."""

import pyarrow.parquet as pq
import pytest

from ctr_retrain.models.documents.day_documents import Counts
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.ingest import deduplicate
from ctr_retrain.tasks.landing import text_to_parquet
from ctr_retrain.tasks.reading import read_stream
from tests.support.counts import draws
from tests.support.landed_day import clean, impression, ingest

BAD = impression("bad", ts="yesterday")


@pytest.fixture(autouse=True)
def _large_files_and_parts_of_a_few_rows(monkeypatch):
    monkeypatch.setattr(duck, "PART_ROWS", 8)
    monkeypatch.setattr(read_stream, "SMALL_BYTES", 0)


@pytest.fixture
def copied(monkeypatch):
    """The files that the second pass wrote anew."""
    targets, write = [], deduplicate.duck.write

    def note(connection, target, *args):
        if "impressions" in target.parts:
            targets.append(target.name)
        return write(connection, target, *args)

    monkeypatch.setattr(deduplicate.duck, "write", note)
    return targets


def rows_from(first, last):
    return [impression(f"e{n}", bid=n / 7, device=None if n % 3 else f"d{n}") for n in range(first, last)]


def published(store, day):
    """Names, columns and rows of the day's files of impressions."""
    return [
        (name, [(field.name, field.type) for field in pq.read_schema(file)], pq.read_table(file).to_pylist())
        for name, file in sorted(_files(store, day).items())
    ]


def _files(store, day):
    from ctr_retrain.tasks.ingest.ingest_day import load_ingested_day  # noqa: PLC0415

    folder = store.open(load_ingested_day(store, day).path) / "impressions"
    return {file.name: file for file in folder.iterdir()}


@pytest.mark.parametrize("end", draws(["jsonl.zst", "csv.gz"], ["jsonl", "jsonl.gz", "jsonl.zst", "csv", "csv.gz"]))
def test_a_file_of_usable_rows_is_written_once(store, landing, land_rows, tiny_recipe, day, now, copied, end):
    for number in range(2):
        land_rows("impressions", day, rows_from(6 * number, 6 * number + 6), f"{number}.{end}")
    found = ingest(store, landing, tiny_recipe(), day, now)
    assert found.impressions == Counts(received=12, kept=12, duplicates=0, quarantined=0)
    assert copied == []
    assert [len(rows) for *_, rows in published(store, day)] == [6, 6]


@pytest.mark.parametrize("end", ["jsonl.gz", "csv"])
def test_rows_are_the_same_where_a_bad_one_stands_among_them(
    store, landing, land_rows, tiny_recipe, day, now, copied, end
):
    rows = rows_from(0, 7)
    land_rows("impressions", day, rows, f"0.{end}")
    ingest(store, landing, tiny_recipe(), day, now)
    clean = published(store, day)
    assert copied == []
    land_rows("impressions", day, [*rows[:4], BAD, *rows[4:]], f"0.{end}")
    found = ingest(store, landing, tiny_recipe(), day, now)
    assert found.impressions == Counts(received=8, kept=7, duplicates=0, quarantined=1)
    assert len(copied) == 1
    assert published(store, day) == clean


def test_duplicates_among_clean_files_count_once(landing, land_rows, tiny_recipe, day):
    land_rows("impressions", day, rows_from(0, 6), "0.jsonl.gz")
    land_rows("impressions", day, rows_from(5, 11), "1.jsonl.gz")
    land_rows("impressions", day, [*rows_from(11, 16), *rows_from(15, 16)], "2.csv.gz")
    found = clean(landing, tiny_recipe(), day)
    assert found.impressions == Counts(received=18, kept=16, duplicates=2, quarantined=0)
    assert sorted(row["event_id"] for row in found.rows) == sorted(f"e{n}" for n in range(16))


def test_late_rows_of_a_clean_file_stand_under_their_own_day(store, landing, land_rows, tiny_recipe, day, now):
    late = [impression("late", ts="2026-03-01T23:00:00Z")]
    land_rows("impressions", day, [*rows_from(0, 5), *late], "0.jsonl.gz")
    ingest(store, landing, tiny_recipe(), day, now)
    by_file = {name: [row["event_id"] for row in rows] for name, _, rows in published(store, day)}
    assert by_file == {
        "2026-03-01-0000.parquet": ["late"],
        "2026-03-02-0000.parquet": ["e0", "e1", "e2", "e3", "e4"],
    }


def test_unknown_keys_of_a_clean_file_are_reported(store, landing, land_rows, tiny_recipe, day, now, copied):
    land_rows("impressions", day, [row | {"new": 1} for row in rows_from(0, 6)], "0.jsonl.gz")
    assert ingest(store, landing, tiny_recipe(), day, now).unknown_columns == ("new",)
    assert copied == []


def test_event_ids_made_of_file_and_row_are_the_same_where_a_bad_row_stands_behind(
    store, landing, land_rows, tiny_recipe, day, now
):
    recipe = tiny_recipe(landing={"event_id_from": "file_row"})
    land_rows("impressions", day, rows_from(0, 6), "0.jsonl.gz")
    ingest(store, landing, recipe, day, now)
    clean = published(store, day)
    land_rows("impressions", day, [*rows_from(0, 6), BAD], "0.jsonl.gz")
    ingest(store, landing, recipe, day, now)
    assert published(store, day) == clean


def test_a_damaged_file_beside_clean_ones_leaves_their_rows_and_none_of_a_first_attempt(
    store, landing, land_rows, tiny_recipe, day, now
):
    for number in range(3):
        land_rows("impressions", day, rows_from(6 * number, 6 * number + 6), f"{number}.jsonl.gz")
    path = land_rows("impressions", day, [impression(f"x{n}", bid=f"{n}") for n in range(2000)], "9.parquet")
    content = bytearray(path.read_bytes())
    content[4:2000] = b"\xff" * 1996  # the first pages; the footer stays
    path.write_bytes(content)
    found = ingest(store, landing, tiny_recipe(), day, now)
    assert list(found.unreadable) == ["impressions/9.parquet"]
    assert found.impressions == Counts(received=18, kept=18, duplicates=0, quarantined=0)
    assert [len(rows) for *_, rows in published(store, day)] == [6, 6, 6]


@pytest.mark.parametrize("end", ["jsonl", "csv"])
def test_no_attempt_to_read_a_file_writes_where_another_did(landing, land_rows, tiny_recipe, day, monkeypatch, end):
    """DuckDB may remove what a failed COPY wrote only after the next attempt has written."""
    targets, write = [], text_to_parquet.duck.copy_to

    def note(path, query, compression="zstd"):
        targets.append(path)
        return write(path, query, compression)

    monkeypatch.setattr(text_to_parquet.duck, "copy_to", note)
    land_rows("impressions", day, [*rows_from(0, 6), BAD, impression("e7", bid="much")], f"0.{end}")
    clean(landing, tiny_recipe(), day)
    staged = [target.stem for target in targets if target.parent.name == "scratch"]
    assert len(staged) == len(set(staged)) >= 2
    assert all(len(name) == len("0123456789abcdef") * 2 for name in staged)  # of one attempt, and of no file
