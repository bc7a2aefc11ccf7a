"""Rules of objects and refs, here on a local disk: whole or absent, and one winner of every race."""

import hashlib
import json
from datetime import timedelta
from importlib.metadata import version

import pytest

from ctr_retrain.models.errors import BusyError, StorageError, UsageError
from ctr_retrain.tasks.integrity.manifest import MANIFEST
from ctr_retrain.tasks.store.protocol import digest_of
from tests.support.stored import put, read_manifest, staging_of, stored_names

# --- objects


def test_object_is_invisible_until_its_writer_is_done(store):
    with store.writing("days/d/1", {"day": "d"}) as folder:
        (folder / "rows").write_bytes(b"abc")
        assert store.open("days/d/1") is None
        assert store.list_objects("days/d") == []
    assert store.open("days/d/1") is not None
    assert store.list_objects("days/d") == ["days/d/1"]


def test_manifest_tells_sizes_and_digests_of_all_files_beside_what_the_writer_says(store):
    with store.writing("days/d/1", {"day": "d", "files": "not these"}) as folder:
        (folder / "inner").mkdir()
        (folder / "inner" / "rows").write_bytes(b"abc")
        (folder / "empty").write_bytes(b"")
    manifest = read_manifest(store.open("days/d/1"))
    assert manifest == store.manifest("days/d/1")
    manifest.pop("writer", None)  # S3's own
    assert manifest == {
        "code_version": version("ctr-retrain"),
        "day": "d",
        "files": [
            {"path": "empty", "bytes": 0, "sha256": hashlib.sha256(b"").hexdigest()},
            {"path": "inner/rows", "bytes": 3, "sha256": hashlib.sha256(b"abc").hexdigest()},
        ],
    }


def test_writer_that_fails_leaves_nothing(store):
    def fail():
        with store.writing("days/d/1", {}) as folder:
            (folder / "rows").write_bytes(b"abc")
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        fail()
    assert store.open("days/d/1") is None
    assert stored_names(store) == set()
    assert list(staging_of(store).iterdir()) == []


def test_object_that_is_there_stays_as_it_is(store):
    for content in (b"first", b"second"):
        with store.writing("days/d/1", {}) as folder:
            (folder / "rows").write_bytes(content)
    assert (store.open("days/d/1") / "rows").read_bytes() == b"first"
    assert list(staging_of(store).iterdir()) == []


def test_folder_without_manifest_is_no_object_and_gives_way_to_one(store):
    put(store, "days/d/1/half", b"x")
    assert store.open("days/d/1") is None
    assert store.list_objects("days/d") == []
    with store.writing("days/d/1", {}) as folder:
        (folder / "rows").write_bytes(b"abc")
    assert sorted(path.name for path in store.open("days/d/1").iterdir()) == [MANIFEST, "rows"]


def test_one_file_and_the_manifest_are_read_without_the_others(store):
    assert store.manifest("days/d/1") is None
    assert store.file("days/d/1", "rows") is None
    with store.writing("days/d/1", {"day": "d"}) as folder:
        (folder / "inner").mkdir()
        (folder / "inner" / "rows").write_bytes(b"abc")
    assert store.manifest("days/d/1")["day"] == "d"
    assert store.file("days/d/1", "inner/rows").read_bytes() == b"abc"
    assert store.file("days/d/1", "other") is None
    address = store.address("days/d/1", "inner/rows")
    assert address.startswith(f"{store.root}/")
    assert address.removeprefix(f"{store.root}/") in stored_names(store)


def test_removed_object_is_gone_and_leaves_nothing(store):
    for name in ("1", "2"):
        with store.writing(f"days/d/{name}", {}) as folder:
            (folder / "rows").write_bytes(b"abc")
    store.remove(["days/d/1"])
    store.remove(["days/d/1"])
    assert store.open("days/d/1") is None
    assert store.list_objects("days/d") == ["days/d/2"]
    assert not any(name.startswith("days/d/1") for name in stored_names(store))


def test_page_is_replaced_whole(store):
    for text in ("old", "new ü"):
        store.write_page("index.html", text)
    assert stored_names(store) == {"index.html"}


# --- refs


def test_ref_is_absent_then_what_was_swapped_in(store):
    assert store.read_ref("days/2026-03-01") is None
    first = store.swap_ref("days/2026-03-01", {"current": "a"}, None)
    assert store.read_ref("days/2026-03-01") == first
    second = store.swap_ref("days/2026-03-01", {"current": "b"}, first)
    assert store.read_ref("days/2026-03-01") == second
    assert store.list_refs("days") == ["days/2026-03-01"]
    assert store.list_refs("nowhere") == []


def test_swap_that_expects_another_version_changes_nothing(store):
    first = store.swap_ref("champion", {"current": "a"}, None)
    second = store.swap_ref("champion", {"current": "b"}, first)
    for stale in (None, first):
        with pytest.raises(BusyError, match="another run was faster") as caught:
            store.swap_ref("champion", {"current": "c"}, stale)
        assert caught.value.exit_code == 5
    assert store.read_ref("champion") == second


def test_ref_keeps_the_newest_fencing_token_it_was_written_under_apart_from_what_it_says(store):
    first = store.swap_ref("champion", {"current": "a"}, None, token=3)
    assert (first.token, store.read_ref("champion")) == (3, first)
    again = store.swap_ref("champion", {"current": "a"}, first, token=4)
    assert again.version != first.version  # so that a swap on what was read before is refused
    unguarded = store.swap_ref("champion", {"current": "b"}, again)
    assert (unguarded.token, store.read_ref("champion")) == (4, unguarded)
    assert unguarded.value == {"current": "b"}


def test_swap_under_an_older_token_than_the_refs_is_refused_whatever_version_it_names(store):
    first = store.swap_ref("champion", {"current": "a"}, None, token=3)
    second = store.swap_ref("champion", {"current": "b"}, first, token=5)
    for expected in (None, first, second):
        with pytest.raises(BusyError):
            store.swap_ref("champion", {"current": "c"}, expected, token=4)
    with pytest.raises(BusyError, match=r"expected a fencing token of 5 or newer.*received 4"):
        store.swap_ref("champion", {"current": "c"}, second, token=4)
    assert store.read_ref("champion") == second


def test_age_of_a_ref_is_told_by_the_clock_that_dates_it(store):
    assert store.ref_age("lease") is None
    first = store.swap_ref("lease", {"token": 1}, None)
    assert timedelta(0) <= store.ref_age("lease") < timedelta(minutes=5)
    store.swap_ref("lease", {"token": 2}, first)
    assert timedelta(0) <= store.ref_age("lease") < timedelta(minutes=5)


def test_ref_that_holds_no_json_is_a_storage_error(store):
    store.swap_ref("champion", {"current": "a"}, None)
    put(store, "refs/champion.json", b"{half")
    with pytest.raises(StorageError, match="expected JSON, received"):
        store.read_ref("champion")


def test_digest_of_values_does_not_depend_on_key_order():
    assert digest_of({"a": 1, "b": [2]}) == digest_of({"b": [2], "a": 1})
    assert digest_of({"a": 1}) != digest_of({"a": 2})
    assert digest_of("x") == hashlib.sha256(json.dumps("x").encode()).hexdigest()[:16]


@pytest.mark.parametrize("name", ["../x", "runs/../../x", "/etc", "runs//x", "runs/.", "a\0b", ""])
def test_names_that_lead_out_of_the_root_are_refused_and_nothing_is_read_or_written(store, name):
    for use in (store.open, store.manifest, store.read_ref, lambda n: store.swap_ref(n, {"current": "x"}, None)):
        with pytest.raises(UsageError, match="expected a name below the root"):
            use(name)
    with pytest.raises(UsageError, match="expected a name below the root"), store.writing(name, {}):
        pass
    assert stored_names(store) == set()


# --- looks at much at once


def test_the_mark_of_a_ref_changes_with_each_write_and_with_nothing_else(store):
    names = [f"runs/2026-03-0{day}" for day in (1, 2, 3)]
    refs = {name: store.swap_ref(name, {"current": "a"}, None) for name in names}
    put(store, "refs/runs/notes.txt", b"")
    before = store.ref_marks("runs")
    assert list(before) == names
    assert store.ref_marks("runs") == before
    assert list(store.ref_marks("runs", after=names[0])) == names[1:]
    assert store.ref_marks("runs", after=names[2]) == store.ref_marks("nowhere") == {}
    changed = store.swap_ref(names[1], {"current": "b"}, refs[names[1]])
    after = store.ref_marks("runs")
    assert [name for name in names if after[name] != before[name]] == [names[1]]
    store.swap_ref(names[1], {"current": "a"}, changed)  # as it was, and still another write
    assert store.ref_marks("runs")[names[1]] != after[names[1]]


def test_candidates_are_the_objects_right_below_a_folder_from_a_path_on(store):
    for path in ("runs/a", "runs/b", "runs/c", "models/a"):
        with store.writing(path, {}) as folder:
            (folder / "rows").write_bytes(b"abc")
    assert store.list_candidates("runs") == ["runs/a", "runs/b", "runs/c"]
    assert store.list_candidates("runs", after="runs/a") == ["runs/b", "runs/c"]
    assert store.list_candidates("runs", after="runs/c") == store.list_candidates("nowhere") == []
    store.remove(["runs/b"])
    assert store.list_candidates("runs") == ["runs/a", "runs/c"]


def test_a_page_is_read_as_it_was_written(store):
    assert store.read_page("history.json") is None
    store.write_page("history.json", "{}")
    assert store.read_page("history.json") == b"{}"
