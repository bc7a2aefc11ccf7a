"""What the disk refuses is an error and no damage; what a day is named after is what its rows were read from."""

import errno
import io
import json
from pathlib import Path

import duckdb
import pytest

from ctr_retrain.models.errors import BusyError, StorageError, UsageError
from ctr_retrain.tasks.ingest import ingest_day as ingest_module
from ctr_retrain.tasks.landing import landed_bytes, read_landing
from ctr_retrain.tasks.landing.landed_bytes import open_landed
from ctr_retrain.tasks.landing.landing_zone import LocalLandingZone
from ctr_retrain.tasks.reading import read_stream, small_files
from tests.support.landed_day import impression, ingest, rows_of

NOT_A_BYTE = Path("/proc/self/mem")  # a file that opens, and whose first byte the kernel refuses with EIO
TEXTS = ["a.jsonl", "a.jsonl.zst", "a.csv.gz"]


class FailingFile(io.FileIO):
    """A file whose disk fails once, at its first reading."""

    failures = 1

    def readinto(self, buffer):
        if FailingFile.failures:
            FailingFile.failures -= 1
            raise OSError(errno.EIO, "Input/output error")
        return super().readinto(buffer)


@pytest.fixture
def failing_once(monkeypatch):
    """Let the disk fail once while a file is read after its digest was taken: at the second opening."""

    def fail(path, opening=2):
        opened, FailingFile.failures = [], 1

        def open_raw(wanted):
            opened.extend([wanted] * (wanted == path))
            return FailingFile(wanted) if wanted == path and len(opened) >= opening else io.FileIO(wanted)

        monkeypatch.setattr(landed_bytes, "open_raw", open_raw)

    return fail


@pytest.fixture
def ingested(store, landing, tiny_recipe, day, now):
    """Ingest the day as it lies."""
    return lambda: ingest(store, landing, tiny_recipe(), day, now)


def nothing_is_published(store, day):
    return store.read_ref(f"days/{day}") is None and not store.list_objects(f"days/{day}")


def test_error_of_a_real_disk_is_none_of_those_that_tell_of_a_torn_file():
    with (
        open_landed(NOT_A_BYTE) as file,
        pytest.raises(StorageError, match="/proc/self/mem: expected to read it, received: Input"),
    ):
        file.read(1)


@pytest.mark.parametrize("name", TEXTS)
def test_disk_that_fails_once_ends_the_ingest_and_the_next_one_has_every_row(
    store, land_rows, day, ingested, failing_once, name
):
    rows = [impression(f"{name}-{number}") for number in range(40)]
    path = land_rows("impressions", day, rows, name)
    land_rows("impressions", day, [impression("beside")], "b.jsonl")
    failing_once(path)
    with pytest.raises(StorageError, match=f"{name}: expected to read it, received: Input/output error"):
        ingested()
    assert nothing_is_published(store, day)
    assert ingested().impressions.kept == 41


def test_parquet_that_can_not_be_read_at_first_and_can_be_then_is_the_disk_s_fault(
    store, land_rows, day, ingested, monkeypatch
):
    land_rows("impressions", day, [impression("a")], "a.parquet")
    land_rows("impressions", day, [impression("b")], "b.jsonl")
    whole, errors = read_landing._read_parquet, [duckdb.IOException("Could not read from file: Input/output error")]

    def read(*arguments):
        if errors:
            raise errors.pop()
        return whole(*arguments)

    monkeypatch.setattr(read_landing, "_read_parquet", read)
    with pytest.raises(StorageError, match=r"a.parquet: expected each reading .*, received at first: Could not"):
        ingested()
    assert nothing_is_published(store, day)
    assert ingested().impressions.kept == 2


def test_parquet_whose_rows_fail_differently_each_time_is_the_disk_s_fault(
    store, land_rows, day, ingested, monkeypatch
):
    path = land_rows("impressions", day, [impression(f"{number}") for number in range(300)], "a.parquet")
    land_rows("impressions", day, [impression("b")], "b.jsonl")
    content = bytearray(path.read_bytes())
    content[20:40] = b"\xff" * 20
    path.write_bytes(content)
    found = ingested()
    assert list(found.unreadable) == ["impressions/a.parquet"]
    damage, said = read_stream._damage_of, ["once"]
    monkeypatch.setattr(read_stream, "_damage_of", lambda *given: said.pop() if said else damage(*given))
    land_rows("impressions", day, [impression("c")], "c.jsonl")
    with pytest.raises(StorageError, match="received at first: once; a moment later: column "):
        ingested()


@pytest.mark.parametrize(
    ("name", "how"),
    [("a.jsonl", "grows"), ("a.jsonl", "is replaced"), ("a.csv", "has another time"), ("a.parquet", "goes")],
)
def test_file_that_changes_while_it_is_read_is_read_again_whole(
    store, land_rows, day, ingested, monkeypatch, how, name
):
    path = land_rows("impressions", day, [impression("a")], name)
    land_rows("impressions", day, [impression("b")], "b.jsonl")
    fill, times = ingest_module.deduplicate, []

    def change():
        if how == "goes":
            path.unlink()
        elif how == "has another time":
            path.touch()
        else:
            land_rows("impressions", day, [impression("a"), impression("more")][how == "is replaced" :], name)

    def and_change(*arguments):
        found = fill(*arguments)
        if not times:
            change()
        times.append(arguments)
        return found

    monkeypatch.setattr(ingest_module, "deduplicate", and_change)
    ingested()
    expected = {"grows": {"a", "b", "more"}, "is replaced": {"b", "more"}, "goes": {"b"}}.get(how, {"a", "b"})
    assert {row["event_id"] for row in rows_of(store, day, "impressions")} == expected


def test_file_that_never_stops_changing_is_told_and_nothing_is_published(store, land_rows, day, ingested, monkeypatch):
    path = land_rows("impressions", day, [impression("a")], "a.jsonl")
    fill = ingest_module.deduplicate

    def and_grow(*arguments):
        found = fill(*arguments)
        with path.open("a") as file:
            file.write(json.dumps(impression(f"{path.stat().st_size}")) + "\n")
        return found

    monkeypatch.setattr(ingest_module, "deduplicate", and_grow)
    with pytest.raises(BusyError, match=f"landed files {day}: expected the files that ingest began with"):
        ingested()
    assert nothing_is_published(store, day)


def test_folder_that_is_a_link_out_of_the_landing_zone_is_told_and_nothing_of_it_is_read(
    landing, day, ingested, tmp_path
):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.jsonl").write_text(json.dumps(impression("secret")), encoding="utf-8")
    (landing / "impressions").mkdir()
    (landing / "impressions" / f"dt={day}").symlink_to(outside)
    with pytest.raises(Exception, match="folder that is a symbolic link and that leads out of it") as caught:
        ingested()
    assert caught.value.exit_code == 3
    with (
        pytest.raises(UsageError, match="symbolic link that leads out of it"),
        LocalLandingZone(landing).writing("impressions", str(day), "new.jsonl"),
    ):
        pass
    assert [path.name for path in outside.iterdir()] == ["secret.jsonl"]


def test_landing_zone_that_is_a_link_itself_and_a_day_linked_to_another_are_read(
    store, landing, land_rows, tiny_recipe, day, now, tmp_path
):
    land_rows("impressions", "elsewhere", [impression("a")], "a.jsonl")
    (landing / "impressions" / f"dt={day}").symlink_to(landing / "impressions" / "dt=elsewhere")
    (tmp_path / "zone").symlink_to(landing)
    assert ingest(store, tmp_path / "zone", tiny_recipe(), day, now).impressions.kept == 1


def test_too_little_memory_is_never_a_landed_files_fault(store, land_rows, ingested, day, monkeypatch):
    land_rows("impressions", day, [impression("a")], "a.parquet")

    def need_more(*_):
        msg = "could not allocate block of size 256.0 KiB"
        raise duckdb.OutOfMemoryException(msg)

    monkeypatch.setattr(small_files, "_copy_parquet", need_more)
    monkeypatch.setattr(read_landing, "_read_parquet", need_more)
    with pytest.raises(StorageError, match="nothing is wrong with the data"):
        ingested()
    assert nothing_is_published(store, day)
