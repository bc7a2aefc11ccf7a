"""Rules of labelled rows: each landed row stands beside its own label, or there is an error; never beside another's."""

import shutil
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctr_retrain.models.errors import StorageError
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.ingest.ingest_day import current_day_object
from ctr_retrain.tasks.label import join_outcomes
from ctr_retrain.tasks.label.label_day import label_day
from ctr_retrain.tasks.label.labelled_rows import labelled_files, labelled_rows
from ctr_retrain.tasks.store.local_store import LocalStore
from ctr_retrain.tasks.store.shards import open_shards
from tests.support.counts import draws
from tests.support.labelled_day import label_rows
from tests.support.landed_day import impression, ingest


@pytest.fixture
def small_parts(monkeypatch):
    """Landed files of at most 40 rows, so that a small day has many."""
    monkeypatch.setattr(duck, "PART_ROWS", 40)


@pytest.fixture(scope="module")
def ingested(tmp_path_factory):
    """Roots with both days ingested, by recipe and rows of a part: made once, and copied by each test."""
    roots = {}

    def root_of(recipe, make):
        made = (recipe.digest, duck.PART_ROWS)
        if made not in roots:
            roots[made] = tmp_path_factory.mktemp("ingested") / "root"
            make(LocalStore(roots[made]))
        return roots[made]

    return root_of


@pytest.fixture
def landed(store, landing, land_rows, day, now, ingested):
    """Two landing days; the later one brings five late rows of the first and sends three of it again."""
    later = day + timedelta(days=1)
    events = [f"e{number}" for number in range(100)]
    land_rows("impressions", day, [impression(event, bid=str(n)) for n, event in enumerate(events)])
    late = [impression(event) for event in ("late0", "e3", "late1", "late2", "e50", "late3", "e99", "late4")]
    land_rows("impressions", later, [*late, impression("own", ts=f"{later}T10:00:00Z")])
    clicked = [*events[::7], "late1", "late4"]
    outcomes = [{"event_id": event, "kind": "click", "ts": "2026-03-02T12:00:00Z"} for event in clicked]
    land_rows("outcomes", later, outcomes)

    def ingest_both(root, recipe):
        for on in (day, later):
            ingest(root, landing, recipe, on, now)

    def into(recipe):
        if not Path(store.root).exists():
            shutil.copytree(ingested(recipe, lambda root: ingest_both(root, recipe)), store.root)
        return label_day(store, recipe, day, later)

    into.clicked = {event: int(event in clicked) for event in [*events, *(f"late{n}" for n in range(5))]}
    return into


def test_rows_of_many_files_stand_beside_their_own_labels_and_repeated_ones_are_left_out(
    store, landed, tiny_recipe, small_parts
):
    labelled = landed(tiny_recipe())
    files = labelled_files(store, labelled)
    assert [file.landed_rows for file in files] == [40, 40, 20, 8]
    assert [file.rows for file in files] == [40, 40, 20, 5]
    rows = label_rows(store, labelled)
    assert [(row["event_id"], row["label"]) for row in rows] == list(landed.clicked.items())
    assert [row["landed_days_late"] for row in rows] == [0] * 100 + [1] * 5
    assert [file.counted().tolist() for file in files[2:]] == [[True] * 20, [row in "02357" for row in "01234567"]]


def test_a_label_object_holds_no_column_of_the_impressions(store, landed, tiny_recipe):
    labelled = landed(tiny_recipe())
    for part in store.open(labelled.path).glob("2026-*.parquet"):
        assert pq.read_schema(part).names == ["label_click", "label", "age_days_click", "_elsewhere"]


def test_a_landed_file_without_rows_adds_none(store, landing, land_rows, tiny_recipe, day, now, small_parts):
    broken = [impression(f"broken{number}", channel="mail") for number in range(40)]
    land_rows("impressions", day, broken, "1.csv")
    land_rows("impressions", day, [impression("a"), impression("b")], "2.jsonl")  # of another form: read by itself
    ingest(store, landing, tiny_recipe(), day, now)
    labelled = label_day(store, tiny_recipe(), day, day)
    assert [file.landed_rows for file in labelled_files(store, labelled)] == [0, 2]
    assert [(row["event_id"], row["label"]) for row in label_rows(store, labelled)] == [("a", 0), ("b", 0)]


def test_a_day_of_which_only_late_rows_of_another_landed_has_no_labels(
    store, landing, land_rows, tiny_recipe, day, now
):
    land_rows("impressions", day, [impression("late", ts=f"{day - timedelta(days=1)}T10:00:00Z")])
    ingest(store, landing, tiny_recipe(), day, now)
    labelled = label_day(store, tiny_recipe(), day, day)
    assert (labelled.rows, labelled_files(store, labelled)) == (0, [])


def test_a_landed_file_all_of_whose_rows_came_before_adds_none(store, landing, land_rows, tiny_recipe, day, now):
    later, rows = day + timedelta(days=1), [impression("a"), impression("b")]
    land_rows("impressions", day, rows)
    land_rows("impressions", later, rows)
    for on in (day, later):
        ingest(store, landing, tiny_recipe(), on, now)
    labelled = label_day(store, tiny_recipe(), day, later)
    assert [file.rows for file in labelled_files(store, labelled)] == [2, 0]
    assert [row["event_id"] for row in label_rows(store, labelled)] == ["a", "b"]


@pytest.mark.parametrize(
    ("landed_in", "labelled_in"), draws([(1, [2]), (2, [1])], [(1, [3]), (2, [1, 3]), (3, [1, 2])])
)
def test_labels_in_other_shards_than_the_day_landed_in_are_the_same(
    store, landed, tiny_recipe, day, small_parts, landed_in, labelled_in
):
    landed(tiny_recipe(landing={"buckets": landed_in}))
    for shards in labelled_in:
        remove_labels(store)
        labelled = label_day(store, tiny_recipe(landing={"buckets": shards}), day, day + timedelta(days=1))
        rows = label_rows(store, labelled)
        assert (labelled.rows, labelled.shards) == (105, shards)
        assert labelled.positives == sum(landed.clicked.values())
        assert len(rows) == 105
        assert {row["event_id"]: row["label"] for row in rows} == landed.clicked


def test_queries_over_labelled_rows_keep_each_label_with_its_row(store, landed, tiny_recipe, small_parts, tmp_path):
    """Neither a filter nor a sorted limit may reach one side of the join without the other; on any number of cores."""
    rows = labelled_rows(store, landed(tiny_recipe()))
    queries = {
        "WHERE bid >= 30 AND bid < 90 AND landed_days_late = 0": lambda e: e[0] == "e" and 30 <= int(e[1:]) < 90,
        "WHERE label = 1": lambda e: landed.clicked[e],
        "WHERE event_id LIKE 'late%'": lambda e: e.startswith("late"),
        "ORDER BY event_id DESC LIMIT 7": lambda e: e in sorted(landed.clicked)[-7:],
        "LIMIT 11 OFFSET 90": lambda e: e in list(landed.clicked)[90:101],
    }
    for threads in (1, None):
        with duck.connect(tmp_path, threads) as connection:
            for condition, holds in queries.items():
                found = connection.sql(rows).query("asked", f"FROM asked SELECT event_id, label {condition}").fetchall()
                assert dict(found) == {e: label for e, label in landed.clicked.items() if holds(e)}, condition
                assert len(dict(found)) == len(found)


def test_labels_come_in_the_landed_order_when_a_join_does_not(store, landed, tiny_recipe, monkeypatch):
    """A join that is too large for the memory answers in another order."""
    expected = label_rows(store, landed(tiny_recipe()))
    remove_labels(store)
    labelled = join_outcomes.labelled
    monkeypatch.setattr(join_outcomes, "labelled", lambda *asked: f"{labelled(*asked)} ORDER BY hash(event_id)")
    assert label_rows(store, landed(tiny_recipe())) == expected


def remove_labels(store):
    """As if they had not been made: in which shards they lie is not in their names."""
    for folder in ("labels", "pieces/labels"):
        shutil.rmtree(Path(store.root) / folder, ignore_errors=True)


def landed_file(store, day):
    (folder, *_) = open_shards(store, current_day_object(store, day))
    return next((folder / "impressions").glob(f"{day}-*.parquet"))


@pytest.mark.parametrize("rows", [99, 101, 0])
def test_a_landed_file_with_another_number_of_rows_is_an_error(store, landed, tiny_recipe, day, rows):
    labelled = landed(tiny_recipe())
    file = landed_file(store, day)
    pq.write_table(pq.read_table(file).take(pa.array(np.arange(rows) % 100)), file)
    with pytest.raises(
        StorageError, match=rf"{file.name} of days/.*expected the 100 rows .*received {rows}\. .*restore"
    ):
        labelled_rows(store, labelled)


def test_a_file_of_labels_with_another_number_of_rows_is_an_error(store, landed, tiny_recipe, day):
    labelled = landed(tiny_recipe())
    file = store.open(labelled.path) / f"{day}-0000.parquet"
    pq.write_table(pq.read_table(file).slice(1), file)
    with pytest.raises(
        StorageError, match=f"{file.name} of {labelled.path} under .*expected the 100 rows .*received 99"
    ):
        labelled_rows(store, labelled)


def test_a_landed_file_that_is_gone_is_an_error(store, landed, tiny_recipe, day):
    labelled = landed(tiny_recipe())
    landed_file(store, day).unlink()
    with pytest.raises(StorageError, match="expected the 100 rows that were labelled, received no file"):
        labelled_rows(store, labelled)


@pytest.mark.parametrize("shards", [1, 2])
def test_a_landed_day_that_is_gone_is_an_error(store, landed, tiny_recipe, day, shards):
    labelled = landed(tiny_recipe(landing={"buckets": shards}))
    path = current_day_object(store, day)
    store.remove([path, *store.manifest(path).get("pieces", [])])
    with pytest.raises(StorageError, match=r"days/.* under .*expected the object.*received none.*run again"):
        labelled_rows(store, labelled)
