"""Rules of verification, here on a local disk: what runs or judges was read first, and a whole root can be read."""

import json
from pathlib import Path

import pytest

from ctr_retrain.models.errors import StorageError
from ctr_retrain.tasks.integrity.file_digests import compare
from ctr_retrain.tasks.integrity.manifest import FileEntry
from ctr_retrain.tasks.operate.verify_root import verify_root
from ctr_retrain.tasks.store.protocol import open_verified
from tests.support.older_refs import BEFORE
from tests.support.stored import put, stored_names

MODEL = "models/2026-03-07-ab"
GRAPH = b"a graph with the constant 1"
CHANGED = b"a graph with the constant 9"


@pytest.fixture
def model(store):
    """A published model."""
    with store.writing(MODEL, {"data_through": "2026-03-04", "recipe_digest": "ab"}) as folder:
        for name, content in {"serving/saved_model.pb": GRAPH, "bundle.json": b"{}"}.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(content)
    return store.open(MODEL)


def stored(store, name):
    """The name below the root of a file of the model, wherever the store keeps it."""
    return store.address(MODEL, name).removeprefix(f"{store.root}/")


def test_model_that_is_as_it_was_written_opens_and_one_that_is_not_there_is_none(store, model):
    assert open_verified(store, MODEL) == model
    assert open_verified(store, "models/none") is None
    assert verify_root(store).damaged == ()


def test_file_is_read_once_a_process(store, model, monkeypatch):
    read = []
    open_file = Path.open
    monkeypatch.setattr(Path, "open", lambda path, *how: (read.append(path), open_file(path, *how))[1])
    open_verified(store, MODEL, "serving/")
    first = [path for path in read if path.name == "saved_model.pb"]
    open_verified(store, MODEL, "serving/")
    assert [path for path in read if path.name == "saved_model.pb"] == first
    assert len(first) == 1
    assert not [path for path in read if path.name == "bundle.json"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("serving/saved_model.pb", CHANGED, "serving/saved_model.pb: expected SHA-256 .{64}, received .{64}"),
        ("serving/saved_model.pb", GRAPH[:5], "serving/saved_model.pb: expected 27 bytes, received 5"),
        ("serving/assets.extra/more", b"x", "serving/assets.extra/more: expected no such file, received one"),
    ],
    ids=["changed", "cut", "added"],
)
def test_verification_of_the_root_names_a_file_that_is_not_as_it_was_written(store, model, name, content, message):
    put(store, stored(store, name), content)
    (damage,) = verify_root(store).damaged
    assert damage.path == MODEL
    with pytest.raises(StorageError, match=message):
        raise StorageError(damage.message)


def test_verification_goes_on_behind_what_is_damaged_and_counts_what_it_read(store, model):
    with store.writing("comparisons/2026-03-07-ab", {}) as folder:
        (folder / "report.html").write_bytes(b"abc")
    with store.writing("days/2026-03-07/ab", {}) as folder:
        (folder / "rows").write_bytes(b"abc")
    put(store, "days/2026-03-07/ab/manifest.json", b"{half")
    put(store, f"{MODEL}/manifest.json", json.dumps({**store.manifest(MODEL), "data_through": "never"}).encode())
    put(store, "refs/days/notes.json", b"{}")
    store.swap_ref("days/2026-03-01", {"current": "gone"}, None)
    store.swap_ref("champion", {"format": 2}, None)
    store.swap_ref("accepted/2026-03-01", BEFORE["refs-accepted"], None)
    answer = verify_root(store)
    found = {damage.path: damage.message for damage in answer.damaged}
    assert set(found) == {
        *("days/2026-03-07/ab", MODEL, "refs/days/notes.json", "refs/days/2026-03-01.json"),
        *("refs/champion.json", "refs/accepted/2026-03-01.json"),
    }
    assert "the key 'data_through', received 'never'" in found[MODEL]
    assert "expected the object days/2026-03-01/gone, received none" in found["refs/days/2026-03-01.json"]
    assert (answer.refs, answer.objects, answer.files) == (4, 3, 3)


def test_verification_changes_nothing(store, model):
    put(store, stored(store, "serving/saved_model.pb"), CHANGED)
    before = stored_names(store)
    verify_root(store)
    assert stored_names(store) == before


@pytest.mark.parametrize("content", [CHANGED, GRAPH[:5], None], ids=["changed", "cut", "gone"])
def test_model_whose_file_was_changed_where_it_lies_is_not_opened(local_store, content):
    local = Path(local_store.root) / MODEL / "serving" / "saved_model.pb"
    with local_store.writing(MODEL, {}) as folder:
        (folder / "serving").mkdir()
        (folder / "serving" / "saved_model.pb").write_bytes(GRAPH)
    open_verified(local_store, MODEL)
    local.unlink() if content is None else local.write_bytes(content)
    with pytest.raises(
        StorageError, match=rf"^{MODEL} under .*serving/saved_model.pb: expected .*promote another model"
    ):
        open_verified(local_store, MODEL)
    (local.parent / "saved_model.pbtxt").write_bytes(b"another graph")
    with pytest.raises(StorageError, match=r"saved_model.pbtxt: expected no such file, received one"):
        open_verified(local_store, MODEL, "serving/saved_model.pbtxt")
    assert open_verified(local_store, MODEL, "bundle.json")  # what is not asked for is not looked at


def test_disk_that_can_not_be_read_is_named_with_the_file(tmp_path):
    (tmp_path / "rows").symlink_to("/proc/self/mem")  # whose first byte the kernel refuses
    difference = compare(tmp_path, FileEntry(path="rows", size=0, sha256="0" * 64))
    assert str(difference) == "rows: expected to read it, received Input/output error"
