"""Rules of the store on S3 beyond those of every store: two writers never mix, litter goes, large files in parts."""

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from ctr_retrain.models.errors import BusyError, StorageError, UsageError
from ctr_retrain.tasks.store.cache import Cache
from ctr_retrain.tasks.store.protocol import name_below_root
from ctr_retrain.tasks.store.s3_bucket import PART_BYTES, Bucket, S3Access
from ctr_retrain.tasks.store.s3_store import S3Store
from tests.integration.flows.test_hostile_arguments import CLIMBS
from tests.support.faulty_proxy import CUT
from tests.support.stored import put, stored_names


def publish(store, path, **files):
    with store.writing(path, {}) as folder:
        for name, content in files.items():
            (folder / name).write_bytes(content)


@pytest.fixture
def another_machine(bucket, tmp_path):
    """The same root, seen with an empty cache."""
    return S3Store(bucket, Cache(tmp_path / "another", limit_gb=1))


def test_another_bucket_of_the_process_reads_no_description_of_services_anew(s3_server, bucket, monkeypatch):
    assert bucket.read("none") is None
    monkeypatch.setattr("botocore.loaders.JSONFileLoader.load_file", lambda _, path: pytest.fail(f"{path} was read"))
    assert Bucket(bucket._bucket, "other", S3Access(s3_server.url)).read("none") is None


def test_files_of_two_writers_of_one_object_never_mix_and_the_first_manifest_wins(s3_store, another_machine):
    with s3_store.writing("days/d/1", {}) as mine, another_machine.writing("days/d/1", {}) as theirs:
        for name in ("a", "b"):
            (mine / name).write_bytes(b"mine " + name.encode())
            (theirs / name).write_bytes(b"theirs " + name.encode())
    for store in (s3_store, another_machine):
        folder = store.open("days/d/1")
        assert [(folder / name).read_bytes() for name in ("a", "b")] == [b"theirs a", b"theirs b"]
    assert len(stored_names(s3_store)) == 3  # the manifest and the winner's files: no marker, nothing of the loser


def test_object_written_here_is_opened_without_fetching_it(behind_proxy, proxy):
    publish(behind_proxy, "days/d/1", rows=b"abc")
    assert (behind_proxy.open("days/d/1") / "rows").read_bytes() == b"abc"
    assert proxy.asked("GET", "rows") == 0


def test_object_written_elsewhere_is_fetched_once(behind_proxy, proxy, another_machine):
    publish(another_machine, "days/d/1", rows=b"abc", same=b"abc")
    for _ in range(2):
        folder = behind_proxy.open("days/d/1")
        assert {path.name for path in folder.iterdir()} == {"manifest.json", "rows", "same"}
        assert (folder / "same").read_bytes() == b"abc"
    assert proxy.asked("GET", ".by-") == 1


def test_large_file_goes_up_in_parts_and_comes_down_in_ranges(behind_proxy, proxy, another_machine):
    content = os.urandom(1000) * (2 * PART_BYTES // 1000 + 1234)
    publish(another_machine, "models/m", weights=content)
    (name,) = (name for name in stored_names(another_machine) if name.endswith("/weights"))
    (stored,) = another_machine._bucket.keys(name)
    assert "-3" in stored.etag
    fetched = (behind_proxy.open("models/m") / "weights").read_bytes()
    assert hashlib.sha256(fetched).digest() == hashlib.sha256(content).digest()
    assert proxy.asked("GET", "/weights") == 3


def test_listings_go_on_after_a_thousand_names(s3_store, s3_server, bucket_name):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: put(s3_store, f"refs/days/{number:04d}.json", b"{}"), range(1050)))
    assert s3_store.list_refs("days") == [f"days/{number:04d}" for number in range(1050)]
    s3_store._bucket.delete(f"refs/days/{number:04d}.json" for number in range(1049))
    assert s3_store.list_refs("days") == ["days/1049"]


def test_root_may_be_copied_from_a_local_disk(s3_store, local_store):
    publish(local_store, "days/d/1", rows=b"abc")
    local_store.swap_ref("champion", {"current": "a"}, None)
    for name in stored_names(local_store):
        put(s3_store, name, Path(local_store.root, name).read_bytes())
    copied = s3_store.read_ref("champion")
    assert copied.value == {"current": "a"}
    assert s3_store.swap_ref("champion", {"current": "b"}, copied).value == {"current": "b"}
    assert s3_store.list_objects("days/d") == ["days/d/1"]
    assert (s3_store.open("days/d/1") / "rows").read_bytes() == b"abc"
    s3_store.remove(["days/d/1"])
    assert stored_names(s3_store) == {"refs/champion.json"}


def test_swap_back_to_an_earlier_value_is_another_version(s3_store):
    first = s3_store.swap_ref("champion", {"current": "a"}, None)
    s3_store.swap_ref("champion", {"current": "a"}, s3_store.swap_ref("champion", {"current": "b"}, first))
    with pytest.raises(BusyError):
        s3_store.swap_ref("champion", {"current": "c"}, first)


# --- what writers that died leave behind


def test_sweep_removes_the_files_of_a_writer_that_died_but_never_of_a_young_one(behind_proxy, proxy, s3_store, bucket):
    proxy.order(CUT, "PUT", "days/d/1/manifest.json", times=10)
    with pytest.raises(StorageError):
        publish(behind_proxy, "days/d/1", rows=b"abc")
    begun = bucket._client.create_multipart_upload(
        Bucket=bucket._bucket, Key=min(f"root/{name}" for name in stored_names(s3_store)) + ".large"
    )
    assert begun["UploadId"]
    assert s3_store.sweep() == 0
    assert len(stored_names(s3_store)) == 2
    late = S3Store(bucket, s3_store._cache, dead_after=timedelta(0))
    assert late.sweep() == 1
    assert stored_names(s3_store) == set()
    assert "Uploads" not in bucket._client.list_multipart_uploads(Bucket=bucket._bucket)
    assert late.sweep() == 0


def test_sweep_keeps_what_was_published_when_its_writer_died_just_after(behind_proxy, proxy, s3_store, bucket):
    proxy.order(CUT, "POST", "?delete", times=10)
    with pytest.raises(StorageError):
        publish(behind_proxy, "days/d/1", rows=b"abc")
    assert S3Store(bucket, s3_store._cache, dead_after=timedelta(0)).sweep() == 0
    assert (s3_store.open("days/d/1") / "rows").read_bytes() == b"abc"
    assert len(stored_names(s3_store)) == 2


def test_writer_that_took_so_long_that_it_may_be_taken_for_dead_publishes_nothing(bucket, cache):
    store = S3Store(bucket, cache, dead_after=timedelta(0))
    with pytest.raises(StorageError, match="expected to upload it within"):
        publish(store, "days/d/1", rows=b"abc")
    assert store.open("days/d/1") is None


# --- what a bucket may hold


@pytest.mark.parametrize("path", ["../outside", "/outside", "inner/../../outside"])
def test_manifest_that_leads_out_of_the_cache_is_refused(s3_store, cache, path):
    digest = hashlib.sha256(b"abc").hexdigest()
    put(s3_store, "days/d/1.by-w/" + path, b"abc")
    entry = {"path": path, "bytes": 3, "sha256": digest}
    put(s3_store, "days/d/1/manifest.json", json.dumps({"writer": "w", "files": [entry]}).encode())
    with pytest.raises(StorageError):
        s3_store.open("days/d/1")
    assert not [path for path in cache._folder.parent.rglob("outside") if path.is_file()]


@pytest.mark.parametrize("digest", ["../../../../outside", "/etc/hostname", "folders/../../outside"])
def test_manifest_whose_digest_is_a_path_is_refused_and_nothing_is_written_or_taken_over(s3_store, cache, digest):
    put(s3_store, "days/d/1.by-w/rows", b"abc")
    entry = {"path": "rows", "bytes": 3, "sha256": digest}
    put(s3_store, "days/d/1/manifest.json", json.dumps({"writer": "w", "files": [entry]}).encode())
    for use in (s3_store.open, s3_store.manifest, lambda path: s3_store.file(path, "rows")):
        with pytest.raises(StorageError, match=r"manifest of days/d/1 .*the key 'files.0.sha256'"):
            use("days/d/1")
    assert not [path for path in cache._folder.parent.rglob("outside") if path.is_file()]
    assert not list(cache._folder.glob("blobs/*/*"))


def test_file_that_is_said_to_be_endless_is_refused_after_one_look(s3_store, bucket):
    publish(s3_store, "days/d/1", rows=b"abc")
    manifest = s3_store.manifest("days/d/1")
    manifest["files"][0] |= {"bytes": 4 * 2**40, "sha256": "0" * 64}
    bucket.write("days/d/1/manifest.json", json.dumps(manifest).encode())
    with pytest.raises(StorageError, match=r"rows: expected 4,398,046,511,104 bytes, received 3"):
        s3_store.open("days/d/1")


@pytest.mark.parametrize("mark", ["writing/w.json", "removing/w.json"])
@pytest.mark.parametrize("content", [{}, {"path": "../x", "files": ""}, {"path": "days/d/1", "files": "days"}, []])
def test_mark_that_is_none_deletes_nothing(s3_store, bucket, cache, mark, content):
    publish(s3_store, "days/d/1", rows=b"abc")
    store = S3Store(bucket, cache, dead_after=timedelta(0), removes_within=timedelta(0))
    before = stored_names(store)
    bucket.write(mark, json.dumps(content).encode())
    if mark == "writing/w.json" and content and content["path"] == "days/d/1":
        store.sweep()  # its own writer is another: what it wrote, which is nothing, goes
    else:
        with pytest.raises(StorageError, match=mark):
            store.sweep() if mark.startswith("writing") else store.remove(["days/d/2"])
    assert stored_names(store) - {mark} == before


@pytest.mark.parametrize("text", [b"{half", b"[]", b"{}", b'{"writer": "w", "files": [{}]}'])
def test_manifest_that_is_none_is_a_storage_error(s3_store, text):
    put(s3_store, "days/d/1/manifest.json", text)
    with pytest.raises(StorageError, match="manifest of days/d/1"):
        s3_store.open("days/d/1")


def test_store_needs_no_prefix(s3_server, bucket_name, cache):
    store = S3Store(Bucket(bucket_name, "", S3Access(s3_server.url)), cache)
    publish(store, "days/d/1", rows=b"abc")
    assert store.root == f"s3://{bucket_name}"
    assert store.list_objects("days/d") == ["days/d/1"]
    assert (store.open("days/d/1") / "rows").read_bytes() == b"abc"


@pytest.mark.parametrize("name", [*CLIMBS, "a//b", "/", "a/"])
def test_name_of_an_object_is_below_the_root_in_a_bucket_too(s3_store, name):
    with pytest.raises(UsageError, match="expected a name below the root"):
        name_below_root(f"runs/{name}")
    for ask in (s3_store.manifest, s3_store.open, s3_store.read_ref):
        with pytest.raises(UsageError, match="expected a name below the root"):
            ask(f"runs/{name}")
