"""Rules of small files, which are read together: what becomes of each row is what would have become of it alone."""

import gzip
import json
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctr_retrain.models.errors import StorageError
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.ingest import ingest_day as ingest_module
from ctr_retrain.tasks.landing.landing_zone import LocalLandingZone
from ctr_retrain.tasks.reading import read_stream, small_files
from tests.conftest import encoded
from tests.support.counts import draws
from tests.support.landed_day import clean, impression, ingest

NAMES = ["event_id", "ts", "user_id", "channel", "campaign_id", "device", "bid"]
TYPES = {"event_id": pa.int64(), "bid": pa.float64()}


def fate(landing, recipe, day):
    """All that an ingest says of a day: each row's fate, each file's, and the counts."""
    cleaned = clean(landing, recipe, day)
    kept = sorted(repr(sorted(row.items())) for row in cleaned.rows)
    # What the landed rows looked like depends on the columns of the table, of which a file has but some.
    bad = [{key: value for key, value in row.items() if key != "raw"} for row in cleaned.quarantined]
    found = cleaned.found
    counts = (found.counts, found.rows_in_files, found.unreadable, found.quarantined, found.unreadable_values)
    return kept, sorted(map(repr, bad)), counts, found.columns


@st.composite
def landed_files(draw):
    """Small files of every form, some of them torn, malformed or without a column, with ids that come in others too."""
    files = {}
    for number in range(draw(st.integers(2, 7))):
        ending = draw(st.sampled_from(["jsonl", "jsonl", "csv", "csv", "parquet", "jsonl.gz", "csv.gz"]))
        files[f"{number}.{ending}"] = draw(st.lists(rows(), max_size=4)), draw(st.sampled_from([""] * 5 + TRAITS))
    return files


@st.composite
def rows(draw):
    """A row, usable or not; few ids and two times make duplicates, and ties among them."""
    changes = {
        "ts": st.sampled_from(["2026-03-02T10:00:00Z"] * 5 + ["2026-03-02T11:00:00Z", "2026-03-01 10:00", "rubbish"]),
        "user_id": st.sampled_from(["u1", "u2", "", None]),
        "bid": st.sampled_from(["0.5", "17", "much", "true", None]),
        "campaign_id": st.sampled_from(["c1", "7", "7.0"]),
    }
    chosen = draw(st.sets(st.sampled_from(sorted(changes))))
    return impression(str(draw(st.integers(1, 9))), **{key: draw(changes[key]) for key in chosen})


TRAITS = ["malformed", "torn", "no channel", "more", "other types", "blank lines", "no line end"]


def content_of(name, rows, trait):
    """A file's bytes."""
    if trait == "no channel":
        rows = [{key: value for key, value in row.items() if key != "channel"} for row in rows]
    if trait == "more":
        rows = [{**row, "extra": "x"} for row in rows]
    if ".parquet" in name:
        types = TYPES if trait == "other types" else {}
        columns = [key for key in [*NAMES, "extra"] if rows and key in rows[0]] if rows else NAMES
        try:
            table = {key: pa.array([row.get(key) for row in rows], pa.string()) for key in columns}
            table |= {key: table[key].cast(type_) for key, type_ in types.items() if key in table}
        except pa.ArrowInvalid:  # the column holds more than numbers
            pass
        data = pa.BufferOutputStream()
        pq.write_table(pa.table(table), data)
        return data.getvalue().to_pybytes()[: -9 if trait == "torn" else None]
    text = encoded(rows, name) or (",".join(NAMES) + "\n").encode() * (".csv" in name)
    if trait == "malformed":
        text += b'{"event_id": "1"\n' if ".jsonl" in name else b"1,2\n"
    elif trait == "blank lines":
        text = text.replace(b"\n", b"\n\n")
    elif trait == "no line end":
        text = text.rstrip(b"\r\n")
    packed = gzip.compress(text, mtime=0) if name.endswith(".gz") else text
    return packed[:-7] if trait == "torn" and len(packed) > 20 else packed


def test_files_that_are_read_together_mean_what_each_means_alone(
    tmp_path, tiny_recipe, day, monkeypatch, record_property
):
    tried = 0

    @settings(max_examples=draws(3, 1000))
    @given(landed_files(), st.sampled_from(["columns", "file_row"]))
    def check(files, event_id_from):
        nonlocal tried
        tried += 1
        landing = tmp_path / f"landing-{tried}"
        folder = landing / "impressions" / f"dt={day}"
        folder.mkdir(parents=True)
        recipe = tiny_recipe(landing={"event_id_from": event_id_from})
        (folder / "good.jsonl").write_bytes(encoded([impression("good")], "good.jsonl"))
        for name, (its, trait) in files.items():
            (folder / name).write_bytes(content_of(name, its, trait))
        with monkeypatch.context() as patched:
            patched.setattr(read_stream, "SMALL_BYTES", -1)
            alone = fate(landing, recipe, day)
        assert fate(landing, recipe, day) == alone

    check()
    record_property("tried", f"{tried} days of small files, each read alone and together")


@pytest.fixture
def reads(monkeypatch):
    """The numbers of files that were read together, group by group."""
    groups, read = [], read_stream.read_together

    def note(connection, group, reading):
        groups.append(len(group))
        return read(connection, group, reading)

    monkeypatch.setattr(read_stream, "read_together", note)
    return groups


@pytest.mark.parametrize("end", ["jsonl", "csv", "jsonl.gz", "parquet"])
def test_many_small_files_of_one_form_are_one_table_in_each_query(landing, land_rows, tiny_recipe, day, reads, end):
    for number in range(30):
        land_rows("impressions", day, [impression(f"{number}-{row}") for row in range(3)], f"{number:02d}.{end}")
    found = clean(landing, tiny_recipe(), day)
    assert found.impressions.kept == 90
    assert reads == [30]


def test_groups_are_bounded(landing, land_rows, tiny_recipe, day, reads, monkeypatch):
    monkeypatch.setattr(small_files, "MOST_FILES", 4)
    monkeypatch.setattr(small_files, "MOST_ROWS", 6)
    for number, rows in enumerate([1, 1, 1, 1, 1, 3, 4, 1]):
        land_rows("impressions", day, [impression(f"{number}-{row}") for row in range(rows)], f"{number}.jsonl")
    found = clean(landing, tiny_recipe(), day)
    assert found.impressions.kept == 13
    assert reads == [4, 2, 2]


def test_parquet_files_whose_columns_have_other_types_are_read_apart(landing, land_rows, tiny_recipe, day, reads):
    for number in range(6):
        path = land_rows("impressions", day, [impression(f"{number}")], f"{number}.parquet")
        if number % 2:
            table = pq.read_table(path)
            ids = pa.array([float(number)])
            pq.write_table(table.set_column(table.schema.get_field_index("event_id"), "event_id", ids), path)
    found = clean(landing, tiny_recipe(), day)
    assert found.impressions.kept == 6
    assert {row["event_id"] for row in found.rows} == set("012345")
    assert reads == [3, 3]


def test_of_rows_with_equal_ids_and_times_that_of_the_first_file_is_kept_though_other_forms_stand_between(
    landing, land_rows, tiny_recipe, day
):
    for number, end in enumerate(["csv", "jsonl", "csv", "jsonl", "parquet", "parquet"]):
        land_rows(
            "impressions", day, [impression(f"{number}"), impression("same", user_id=f"u{number}")], f"{number}.{end}"
        )
    found = clean(landing, tiny_recipe(), day)
    assert (found.impressions.kept, found.impressions.duplicates) == (7, 5)
    assert [row["user_id"] for row in found.rows if row["event_id"] == "same"] == ["u0"]


def test_damaged_parquet_among_many_is_found_and_named_and_the_others_rows_are_kept(
    landing, land_rows, tiny_recipe, day
):
    for number in range(9):
        path = land_rows("impressions", day, [impression(f"{number}-{n}") for n in range(40)], f"{number}.parquet")
        if number == 5:
            content = bytearray(path.read_bytes())
            content[20:60] = b"\xff" * 40
            path.write_bytes(content)
    found = clean(landing, tiny_recipe(), day)
    assert list(found.unreadable) == ["impressions/5.parquet"]
    assert "column " in found.unreadable["impressions/5.parquet"]
    assert found.impressions.kept == 320


def test_parquet_files_that_can_be_read_the_second_time_are_the_disk_s_fault(
    store, landing, land_rows, tiny_recipe, day, now, monkeypatch
):
    for number in range(3):
        land_rows("impressions", day, [impression(f"{number}")], f"{number}.parquet")
    errors, write = [duck.duckdb.IOException("Could not read from file: Input/output error")], duck.write

    def fail_once(*given):
        if errors:
            raise errors.pop()
        return write(*given)

    monkeypatch.setattr(small_files.duck, "write", fail_once)
    with pytest.raises(StorageError, match=r"0.parquet: expected each reading .*, received at first: Could not"):
        ingest(store, landing, tiny_recipe(), day, now)
    assert ingest(store, landing, tiny_recipe(), day, now).impressions.kept == 3


def test_quarantine_names_each_bad_row_s_own_file_row_and_line(landing, land_rows, tiny_recipe, day):
    for number in range(3):
        path = land_rows(
            "impressions", day, [impression(f"{number}"), impression(f"{number}x", ts="?")], f"{number}.jsonl"
        )
        path.write_text(path.read_text() + f'\n{{"event_id": "{number}y"\n', encoding="utf-8")
    found = clean(landing, tiny_recipe(), day).quarantined
    said = Counter((row["file"], row["row"], row["line"], row["reason"].split(":")[0]) for row in found)
    unreadable = {(f"{number}.jsonl", 2, None, "ts_unreadable"): 1 for number in range(3)}
    assert said == unreadable | {(f"{number}.jsonl", 3, 4, "malformed_json"): 1 for number in range(3)}
    assert [json.loads(row["raw"])["event_id"] for row in found if row["line"] is None] == ["0x", "1x", "2x"]


def test_shards_of_a_day_of_small_files_have_each_row_once(store, landing, land_rows, tiny_recipe, day, now):
    for number in range(8):
        rows = [impression(f"{number}-{row}") for row in range(5)] + [impression("same"), impression("bad", ts="?")]
        land_rows("impressions", day, rows, f"{number}.{['jsonl', 'parquet'][number % 2]}")
    found = ingest_module.ingest_day(store, LocalLandingZone(landing), tiny_recipe(landing={"buckets": 2}), day, now)
    counts = found.impressions
    assert (counts.received, counts.kept, counts.duplicates, counts.quarantined) == (56, 41, 7, 8)
