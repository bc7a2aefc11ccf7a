"""Rules of `gc` beside processes at work: what one of them writes, or comes to need, is whole when both are done.

On S3 no lock protects what a process uses, and here no age does either; so what is left is that refs are looked at
again once the objects to remove are marked, and marks once a ref was swapped.
"""

import json
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from ctr_retrain.tasks.deploy.publish_model import deploy_challenger
from ctr_retrain.tasks.ingest.ingest_day import current_day_object
from ctr_retrain.tasks.integrity.manifest import MANIFEST
from ctr_retrain.tasks.operate.collect_garbage import collect_garbage
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.champion import read_champions
from ctr_retrain.tasks.store.local_store import LocalStore
from ctr_retrain.tasks.store.s3_bucket import Bucket, S3Access
from ctr_retrain.tasks.store.s3_store import S3Store
from tests.support.counts import draws
from tests.support.faulty_proxy import PASSED
from tests.support.forked import Forked
from tests.support.landed_day import ingest
from tests.support.landed_twice import DAY, NEW, NOW, OLD, Place, land, make_run, s3_store_in
from tests.support.stored import read_manifest, stored_names

FLIPS, KILLS = draws(8, 150), draws(3, 40)
AT_ONCE = timedelta(0)
FOREVER = 100_000  # seconds: whoever is held waits for its release alone
SECOND_FILE = f"impressions/dt={DAY}/1.jsonl"


@pytest.fixture(params=["local", "s3"])
def place(request, tmp_path, tiny_recipe, s3_server, s3_environment):
    store = LocalStore(tmp_path / "root") if request.param == "local" else s3_store_in(s3_server, tmp_path)
    return Place(store, tmp_path / "landing", tiny_recipe())


@pytest.fixture
def s3_place(tmp_path, tiny_recipe, s3_server, s3_environment):
    return Place(s3_store_in(s3_server, tmp_path), tmp_path / "landing", tiny_recipe())


def by_way_of(proxy, place):
    """The place's store on S3, reached by the faulty way."""
    access = S3Access(proxy.url, read_seconds=FOREVER)
    return S3Store(Bucket(place.store._bucket._bucket, "root", access), place.store._cache)


def patient_no_more(place):
    """The place for one who takes whoever was removing for dead, and is right."""
    if isinstance(place.store, LocalStore):
        return place
    return replace(place, store=S3Store(place.store._bucket, place.store._cache, removes_within=AT_ONCE))


def waits_for_removers(place):
    """The place for one who takes no remover for dead, however slow the machine is."""
    return replace(place, store=S3Store(place.store._bucket, place.store._cache, removes_within=timedelta(days=1)))


@contextmanager
def collection_held_before_it_deletes(place, proxy):
    """Garbage is collected meanwhile, as far as what is to go is marked; the fault's release lets it go on."""
    fault = proxy.order(PASSED, "POST", "?delete", held=True)
    collecting = threading.Thread(target=collect, args=(replace(place, store=by_way_of(proxy, place)),))
    collecting.start()
    fault.hit.wait()
    try:
        yield fault
    finally:
        fault.release.set()
        collecting.join()


def release_once(fault, reached, worker):
    """Let the held request go when the worker has come so far, which may have to wait for its end itself."""
    while not reached() and not worker.done():
        time.sleep(0.01)
    fault.release.set()


def collect(place):
    return set(collect_garbage(place.store, place.recipe, min_age=AT_ONCE).removed)


def ingest_and_validate(place):
    return ingest(place.store, place.landing, place.recipe, DAY, NOW).path


def open_whole(place, path, tmp_path):
    """By a reader with an empty cache, which verifies all that it fetches; by none that names it as in use."""
    if isinstance(place.store, LocalStore):
        return Path(place.store.root, path) if Path(place.store.root, path, MANIFEST).is_file() else None
    return place.seen_anew(tmp_path / "reader").store.open(path)


def left(place):
    """Names of all that is stored beside the refs."""
    return {name for name in stored_names(place.store) if not name.startswith("refs/")}


def files_of(place, path, tmp_path):
    """Names of an object's manifest and files where they are stored."""
    folder = open_whole(place, path, tmp_path)
    said = read_manifest(folder)
    below = f"{path}.by-{said['writer']}" if "writer" in said else path
    return {f"{path}/{MANIFEST}", *(f"{below}/{entry['path']}" for entry in said["files"])}


def leave_unnamed(place):
    """An object of the day that was in use once and that no ref names now; the landing zone holds its files again."""
    land(place.landing, 0)
    unnamed = ingest_and_validate(place)
    land(place.landing, 1, ["impressions"])
    named = ingest_and_validate(place)
    (place.landing / SECOND_FILE).unlink()
    assert unnamed != named
    return unnamed, named


def flip(place, times, seed):
    """Files come and go, so that each ingest finds, or has to make, what another made before."""
    chance = random.Random(seed)  # noqa: S311 - moments, no secrets
    land(place.landing, 0)
    for _ in range(times):
        if (place.landing / SECOND_FILE).exists():
            (place.landing / SECOND_FILE).unlink()
        else:
            land(place.landing, 1, ["impressions"])
        path = ingest_and_validate(place)
        time.sleep(chance.uniform(0, 0.05))
    return path


def collect_until(place, gate):
    removed = 0
    while not gate.exists():
        removed += len(collect(place))
    return removed


def write_slowly(place, gate, mark):
    with place.store.writing("days/2026-03-20/slow", {}) as folder:
        (folder / "rows").write_bytes(b"first")
        mark("half")
        while not gate.exists():
            time.sleep(0.01)
        (folder / "rows").write_bytes(b"whole")
    mark("written")
    signal.pause()


def test_writer_at_work_publishes_whole_whatever_is_collected_and_swept_meanwhile(place, tmp_path):
    writer = Forked(write_slowly, place, tmp_path / "gate", marked=True).go()
    assert writer.wait_for("half")
    for _ in range(3):
        assert collect(place) == set()
        assert place.store.sweep() == 0
    (tmp_path / "gate").touch()
    assert writer.wait_for("written")
    assert (open_whole(place, "days/2026-03-20/slow", tmp_path) / "rows").read_bytes() == b"whole"
    if isinstance(place.store, LocalStore):
        assert collect(place) == set()  # it lives, and so does what it wrote
    writer.kill()


def test_slow_upload_is_published_whole_whatever_is_collected_and_swept_meanwhile(s3_place, proxy, tmp_path):
    fault = proxy.order(PASSED, "PUT", "/rows", held=True)
    slow = by_way_of(proxy, s3_place)

    def write():
        with slow.writing("days/2026-03-20/slow", {}) as folder:
            (folder / "rows").write_bytes(b"whole")

    writer = threading.Thread(target=write)
    writer.start()
    fault.hit.wait()
    for _ in range(3):
        assert s3_place.store.sweep() == 0
        assert collect(s3_place) == set()
    fault.release.set()
    writer.join()
    assert (open_whole(s3_place, "days/2026-03-20/slow", tmp_path) / "rows").read_bytes() == b"whole"


def test_days_that_are_taken_in_again_and_again_while_garbage_is_collected_are_whole(place, tmp_path):
    collecting = Forked(collect_until, place, tmp_path / "gate").go()
    last = Forked(flip, place, FLIPS, 3).go().answer()
    (tmp_path / "gate").touch()
    collecting.answer()
    assert current_day_object(place.store, DAY) == last
    assert open_whole(place, last, tmp_path) is not None
    collect(place)
    assert left(place) == files_of(place, last, tmp_path)


def test_object_that_a_ref_names_before_its_manifest_goes_stays(s3_place, proxy, tmp_path):
    unnamed, _ = leave_unnamed(s3_place)
    with collection_held_before_it_deletes(s3_place, proxy) as fault, ThreadPoolExecutor() as others:
        ingesting = others.submit(ingest_and_validate, waits_for_removers(s3_place))
        release_once(fault, lambda: current_day_object(s3_place.store, DAY) == unnamed, ingesting)
    assert ingesting.result() == unnamed
    assert open_whole(s3_place, unnamed, tmp_path) is not None
    collect(s3_place)
    assert left(s3_place) == files_of(s3_place, unnamed, tmp_path)


def test_object_whose_manifest_goes_before_its_writer_swaps_the_ref_is_made_anew(s3_place, proxy, tmp_path):
    unnamed, _ = leave_unnamed(s3_place)
    fault = proxy.order(PASSED, "PUT", "refs/days/", held=True)
    taken = []
    slow = replace(s3_place, store=by_way_of(proxy, s3_place))
    taking = threading.Thread(target=lambda: taken.append(ingest_and_validate(slow)))
    taking.start()
    fault.hit.wait()
    collect(s3_place)
    fault.release.set()
    taking.join()
    assert taken == [unnamed]
    assert open_whole(s3_place, unnamed, tmp_path) is not None


def test_bundle_that_is_promoted_by_hand_while_it_is_collected_stays(s3_place, proxy, tmp_path):
    store = s3_place.store
    for version in (OLD, NEW):
        make_run(store, version)
    make = json.loads((store.open(layout.run_object(OLD)) / layout.CHALLENGER / layout.BUNDLE_FILE).read_text())
    with store.writing(layout.model_object(OLD), {"run_id": make["run_id"]}) as folder:
        (folder / "weights").write_bytes(b"old")
    deploy_challenger(store, NEW, "promote", "because", NOW)
    patient = waits_for_removers(s3_place).store
    with collection_held_before_it_deletes(s3_place, proxy) as fault, ThreadPoolExecutor() as others:
        promoting = others.submit(deploy_challenger, patient, OLD, "override", "by hand", NOW)
        release_once(fault, lambda: read_champions(store).current.version == OLD, promoting)
    assert promoting.result() is None
    assert read_champions(store).current.version == OLD
    assert open_whole(s3_place, layout.model_object(OLD), tmp_path) is not None


def test_collection_that_is_killed_harms_nothing_and_a_later_one_ends_it(place, tmp_path):
    chance = random.Random(5)  # noqa: S311 - moments, no secrets
    seconds = 0.3
    for number in range(KILLS):
        (place.landing / SECOND_FILE).unlink(missing_ok=True)
        unnamed, current = Forked(leave_unnamed, place).go().answer()
        began = time.monotonic()
        victim = Forked(collect, place).go()
        time.sleep(chance.uniform(0, seconds))
        if victim.kill() is None:
            seconds = (seconds + time.monotonic() - began) / 2
        assert open_whole(place, current, tmp_path / str(number)) is not None
        late = patient_no_more(place)
        if number % 2:
            current = Forked(ingest_and_validate, late).go().answer()
            assert current == unnamed
        Forked(collect, late).go().answer()
        late.store.sweep()
        assert left(place) == files_of(place, current, tmp_path / str(number))
