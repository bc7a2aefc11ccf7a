"""Rules of a run that is killed: readers see the old state or the new one whole, and the next run finishes and sweeps.

The kills are SIGKILL at random moments of each stage, on a local disk and on S3: a few in `make test`, 50 a store in
`make soak`.
"""

import hashlib
import random
import re
import time
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

import pytest

from ctr_retrain.tasks.integrity.manifest import MANIFEST
from ctr_retrain.tasks.store.local_store import LocalStore
from ctr_retrain.tasks.store.s3_store import S3Store
from tests.support.counts import draws
from tests.support.forked import Forked
from tests.support.landed_twice import (
    NEW,
    STAGES,
    Place,
    contents,
    copied,
    named_by_refs,
    old_state,
    refs,
    s3_store_in,
    take_day_in,
)
from tests.support.stored import staging_of, stored_names

KILLS = draws(3, 50)  # a store


@dataclass(frozen=True)
class Undisturbed:
    """The old state to start from, and what a run that nobody disturbs makes of it."""

    place: Place
    old_refs: dict
    new_refs: dict
    contents: dict
    names: set
    seconds: dict  # of each stage


@pytest.fixture
def new_root(s3_server, s3_environment, tmp_path):
    """Roots of their own that hold what another holds."""
    count = iter(range(1000))
    return lambda place: copied(place, tmp_path / f"root{next(count)}", s3_server.new_bucket)


@pytest.fixture(params=["local", "s3"])
def undisturbed(request, tmp_path, tiny_recipe, s3_server, s3_environment, new_root):
    def run(buckets):
        folder = tmp_path / f"old{buckets}"
        local = request.param == "local"
        store = LocalStore(folder / "root") if local else s3_store_in(s3_server, folder)
        old = old_state(store, folder / "landing", tiny_recipe(landing={"buckets": buckets}))
        place = new_root(old)
        process = Forked(take_day_in, place, NEW, marked=True).go()
        process.answer()
        times = [at for _, at in process.marks]
        seconds = dict(zip(STAGES, (end - start for start, end in pairwise(times)), strict=True))
        return Undisturbed(old, refs(store), refs(place.store), contents(place.store), names(place), seconds)

    return run


def names(place):
    """All that is stored, whoever wrote it."""
    return {re.sub(r"\.by-[0-9a-f]{16}", ".by-WRITER", name) for name in stored_names(place.store)}


def check_what_readers_see(place, expected):
    """Each ref says the old or the new; every object that is there is one that was to be made, to the last byte."""
    found = refs(place.store)
    for name, value in found.items():
        assert value in (expected.old_refs[name], expected.new_refs[name])
    seen = contents(place.store)
    assert seen == {path: expected.contents[path] for path in seen}
    assert named_by_refs(place.store) <= seen.keys()
    if found == expected.new_refs:
        assert seen == expected.contents
    for path, said in seen.items():
        folder = place.store.open(path)
        digests = {
            file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
            for file in folder.rglob("*")
            if file.is_file() and file != folder / MANIFEST
        }
        assert digests == {entry["path"]: entry["sha256"] for entry in said["files"]}


def sweep_everything(place):
    """As a run sweeps once whoever died is old enough to be taken for dead."""
    store = place.store
    if isinstance(store, S3Store):
        S3Store(store._bucket, store._cache, dead_after=timedelta(0)).sweep()
        listed = store._bucket._client.list_multipart_uploads(Bucket=store._bucket._bucket)
        assert "Uploads" not in listed
    else:
        store.sweep()
    assert list(staging_of(store).iterdir()) == []


def forget(place):
    """A server in memory holds what was stored until it is removed."""
    if isinstance(place.store, S3Store):
        place.store._bucket.delete([stored.name for stored in place.store._bucket.keys("")])


def test_killed_at_any_moment_leaves_the_old_state_or_the_new_one_and_the_next_run_finishes_and_sweeps(
    undisturbed, new_root, tmp_path
):
    chance = random.Random(7)  # noqa: S311 - moments, no secrets
    in_pieces = {buckets: undisturbed(buckets) for buckets in draws([1], [1, 2])}
    hit = dict.fromkeys([*STAGES, "end", None], 0)
    for number in range(KILLS):
        expected = in_pieces[1 + number % len(in_pieces)]
        stage = STAGES[number % len(STAGES)]
        place = new_root(expected.place)
        victim = Forked(take_day_in, place, NEW, marked=True).go()
        assert victim.wait_for(stage)
        time.sleep(chance.uniform(0, expected.seconds[stage]))
        hit[victim.kill()] += 1

        check_what_readers_see(place.seen_anew(tmp_path / f"reader{number}"), expected)
        Forked(take_day_in, place, NEW, marked=True).go().answer()
        assert refs(place.store) == expected.new_refs
        sweep_everything(place)
        assert names(place) == expected.names
        check_what_readers_see(place.seen_anew(tmp_path / f"next{number}"), expected)
        forget(place)
    assert sum(hit.values()) == KILLS
    assert all(hit[stage] for stage in draws([], STAGES)), hit
