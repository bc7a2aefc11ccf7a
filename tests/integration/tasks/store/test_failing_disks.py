"""Rules of failing disks: a publication fails as a storage error, and what was there before is all that there is."""

import json
import subprocess
import sys
import uuid
from datetime import timedelta

import pytest

from ctr_retrain.models.errors import StorageError
from ctr_retrain.tasks.integrity.manifest import MANIFEST
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.support.landed_day import impression
from tests.support.processes import finish, start
from tests.support.repository import REPOSITORY
from tests.support.small_mounts import NAMESPACE, mounts, on_small_disk
from tests.support.stored import stored_names

# --- disks that fail, as any user: a limit on file size, and a file where a folder should be

PUBLISH = (
    "store = LocalStore(Path(sys.argv[1]))\n"
    "try:\n"
    "    with store.writing('days/d/2', {}) as folder:\n"
    "        (folder / 'rows').write_bytes(b'x' * 3_000_000)\n"
    "    store.swap_ref('champion', {'current': '2'}, store.read_ref('champion'))\n"
    "    print('published')\n"
    "except StorageError as error:\n"
    "    print(error.exit_code, error)\n"
)


@pytest.fixture
def published(store):
    """A store with one object and a champion, and what must be there whatever fails later."""
    with store.writing("days/d/1", {}) as folder:
        (folder / "rows").write_bytes(b"abc")
    store.swap_ref("champion", {"current": "1"}, None)
    return store


def assert_untouched(store):
    assert store.read_ref("champion").value == {"current": "1"}
    assert store.list_objects("days/d") == ["days/d/1"]
    assert (store.open("days/d/1") / "rows").read_bytes() == b"abc"
    assert stored_names(store) == {"days/d/1/rows", f"days/d/1/{MANIFEST}", "refs/champion.json"}


def test_file_that_the_disk_does_not_take_publishes_nothing(published):
    limited = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))\n"
    answer = finish(start(limited + PUBLISH, published.root))
    assert answer.startswith("4 could not write days/d/2")
    assert "File too large" in answer
    assert_untouched(published)


def test_ref_that_the_disk_does_not_take_stays_what_it_was(published):
    program = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))\n"
        "store = LocalStore(Path(sys.argv[1]))\n"
        "try:\n"
        "    store.swap_ref('champion', {'current': 'much longer than ten bytes'}, store.read_ref('champion'))\n"
        "except StorageError as error:\n"
        "    print(error.exit_code)\n"
    )
    assert finish(start(program, published.root)) == "4"
    assert_untouched(published)


def test_file_in_the_place_of_a_folder_is_a_storage_error(tmp_path):
    (tmp_path / "root").write_text("not a folder", encoding="utf-8")
    store = LocalStore(tmp_path / "root")
    with (
        pytest.raises(StorageError, match=r"could not write days/d/1 under .*: Not a directory"),
        store.writing("days/d/1", {}),
    ):
        pytest.fail("there is nothing to write to")
    with pytest.raises(StorageError, match="could not write the ref champion"):
        store.swap_ref("champion", {}, None)


# --- disks that fail, really: mounted in a namespace of one's own, where the kernel lets us


@mounts
def test_full_disk_publishes_nothing(store, tmp_path):
    (tmp_path / "small").mkdir()
    prefix = on_small_disk(tmp_path / "small", "2m")
    program = (
        "store = LocalStore(Path(sys.argv[1]))\n"
        "with store.writing('days/d/1', {}) as folder: (folder / 'rows').write_bytes(b'abc')\n"
        "store.swap_ref('champion', {'current': '1'}, None)\n"
        + PUBLISH
        + "print(store.list_objects('days/d'), store.read_ref('champion').value, os.listdir(sys.argv[1] + '/staging'))"
    )
    first, second = finish(start(program, tmp_path / "small" / "root", prefix=prefix)).splitlines()
    assert first.startswith("4 could not write days/d/2")
    assert "No space left on device" in first
    assert second == "['days/d/1'] {'current': '1'} []"


@mounts
def test_map_of_training_rows_that_a_full_disk_can_not_hold_is_an_error_and_no_bus_error(tmp_path):
    program = """
import numpy as np
from ctr_retrain.tasks.train.disk_arrays import make_map
try:
    make_map(Path(sys.argv[1]) / "ids.npy", np.int32, (1_000_000, 8))[:] = 1
except OSError as error:
    print(error.strerror)
"""
    prefix = on_small_disk(tmp_path, "2m")
    assert finish(start(program, tmp_path, prefix=prefix)) == "No space left on device"


@mounts
def test_disk_that_became_read_only_publishes_nothing_and_can_still_be_read(published):
    prefix = (*NAMESPACE, 'mount --bind "$0" "$0"; mount -o remount,ro,bind "$0"; exec "$@"', published.root)
    program = PUBLISH + "print(store.read_ref('champion').value, store.open('days/d/1') is not None)"
    first, second = finish(start(program, published.root, prefix=prefix)).splitlines()
    assert first.startswith("4 could not write days/d/2")
    assert "Read-only file system" in first
    assert second == "{'current': '1'} True"
    assert_untouched(published)


# --- ingest


INGEST_IN_TURN = """
import json, sys, ctr_retrain.flows.quiet_libraries
from datetime import UTC, date, datetime
from pathlib import Path
from ctr_retrain.models.errors import StorageError
from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.tasks.ingest.ingest_day import ingest_day
from ctr_retrain.tasks.landing.landing_zone import LocalLandingZone
from ctr_retrain.tasks.store.local_store import LocalStore
store, recipe = LocalStore(Path(sys.argv[1])), Recipe.model_validate(json.loads(sys.argv[3]))
for day in sys.argv[4:]:
    try:
        landing, now = LocalLandingZone(Path(sys.argv[2])), datetime(2026, 3, 3, tzinfo=UTC)
        ingest_day(store, landing, recipe, date.fromisoformat(day), now)
        print("done")
    except StorageError as error:
        print(error.exit_code, " ".join(str(error).split()))
print(store.list_refs("days"), [store.list_objects(f"days/{day}") != [] for day in sys.argv[4:]], store.sweep())
"""


@mounts
def test_disk_that_is_full_publishes_nothing_of_the_day(landing, land_rows, tiny_recipe, day, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    land_rows("impressions", day, [impression("a")])
    days = [day + timedelta(days=number) for number in range(4)]
    for full, name in zip(days[1:], ("a.jsonl", "broken.jsonl", "a.parquet"), strict=True):
        ids = [uuid.uuid4().hex for _ in range(12_000)]
        path = land_rows(
            "impressions", full, [impression(i, ts=f"{full}T01:00:00Z", user_id=i[::-1]) for i in ids], name
        )
        if name == "broken.jsonl":
            path.write_bytes(path.read_bytes() + b"{broken\n")
    arguments = [small / "root", landing, json.dumps(tiny_recipe().model_dump(mode="json")), *days]
    command = [*on_small_disk(small, "400k"), sys.executable, "-c", INGEST_IN_TURN, *map(str, arguments)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY)
    assert answer.returncode == 0, answer.stderr
    first, *others, last = answer.stdout.splitlines()
    assert first == "done"
    assert [other[:2] for other in others] == ["4 ", "4 ", "4 "]
    assert all("No space left on device" in other for other in others)
    assert last == f"['days/{day}'] [True, False, False, False] 0"


def test_disk_that_fills_while_a_file_is_staged_does_not_make_the_file_unreadable(
    store, landing, land_rows, tiny_recipe, day, now, tmp_path
):
    land_rows("impressions", day, [impression(uuid.uuid4().hex) for _ in range(20_000)], "a.jsonl")
    arguments = [store.root, landing, json.dumps(tiny_recipe().model_dump(mode="json")), day]
    program = """
import json, resource, signal
from datetime import UTC, date, datetime
from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.tasks.ingest.ingest_day import ingest_day
from ctr_retrain.tasks.landing.landing_zone import LocalLandingZone
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store, landing = LocalStore(Path(sys.argv[1])), LocalLandingZone(Path(sys.argv[2]))
recipe, day = Recipe.model_validate(json.loads(sys.argv[3])), date.fromisoformat(sys.argv[4])
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    ingest_day(store, landing, recipe, day, datetime.now(UTC))
except StorageError as error:
    print(error.exit_code, " ".join(str(error).split()))
"""
    answer = finish(start(program, *arguments))
    assert answer.startswith("4 ")
    assert "expected a disk with room" in answer
