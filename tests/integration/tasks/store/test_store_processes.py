"""Rules of a store that several processes use, on a local disk and on S3: one winner of every race."""

import hashlib
import pickle
import signal

import pytest

from tests.support.counts import draws
from tests.support.processes import finish, start_with
from tests.support.stored import read_manifest, staging_of

SWAPS = draws(25, 250)  # of each process that tries again


@pytest.fixture(params=["local", "s3"])
def store(request):
    return request.getfixturevalue("local_store" if request.param == "local" else "s3_store")


def test_writer_killed_midway_leaves_nothing_visible_and_the_sweep_removes_its_litter(store):
    program = (
        "with store.writing('days/d/1', {}) as folder:\n"
        "    (folder / 'rows').write_bytes(b'x' * 1000)\n"
        "    print('ready', flush=True)\n"
        "    signal.pause()\n"
    )
    process = start_with(store, program)
    assert process.stdout.readline() == "ready\n", process.communicate()[1]
    assert store.sweep() == 0  # at work: spared
    assert [path.name for path in staging_of(store).rglob("rows")] == ["rows"]
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert store.open("days/d/1") is None
    assert store.sweep() == 1
    assert list(staging_of(store).iterdir()) == []
    assert store.sweep() == 0


def test_writers_of_one_object_at_the_same_time_agree_on_one(store):
    program = "with store.writing('days/d/1', {}) as folder:\n    (folder / 'rows').write_text(sys.argv[1])\n"
    for process in [start_with(store, program, number) for number in range(3)]:
        finish(process)
    (entry,) = read_manifest(store.open("days/d/1"))["files"]
    content = (store.open("days/d/1") / "rows").read_bytes()
    assert entry["sha256"] == hashlib.sha256(content).hexdigest()


def test_store_travels_to_another_process(store):
    store.swap_ref("champion", {"current": "a"}, None)
    assert pickle.loads(pickle.dumps(store)).read_ref("champion") == store.read_ref("champion")  # noqa: S301 - ours
    assert finish(start_with(store, "print(store.read_ref('champion').value)")) == "{'current': 'a'}"


def test_of_eight_processes_that_swap_one_ref_exactly_one_wins(store, tmp_path):
    expected = store.swap_ref("champion", {"current": "old"}, None)
    program = (
        "ref = store.read_ref('champion')\n"
        "Path(sys.argv[1], sys.argv[2]).touch()\n"
        "while len(list(Path(sys.argv[1]).iterdir())) < 8: time.sleep(0.001)\n"
        "try:\n"
        "    store.swap_ref('champion', {'current': sys.argv[2]}, ref); print('won')\n"
        "except BusyError:\n"
        "    print('busy')\n"
    )
    (tmp_path / "gate").mkdir()
    racers = [start_with(store, program, tmp_path / "gate", number) for number in range(8)]
    answers = [finish(process) for process in racers]
    assert sorted(answers) == ["busy"] * 7 + ["won"]
    ref = store.read_ref("champion")
    assert ref.value["current"] == str(answers.index("won"))
    assert ref.version != expected.version


def test_no_swap_is_lost_among_processes_that_try_again(store):
    program = (
        "done = 0\n"
        f"while done < {SWAPS}:\n"
        "    ref = store.read_ref('counter')\n"
        "    try:\n"
        "        store.swap_ref('counter', {'n': (ref.value['n'] if ref else 0) + 1}, ref); done += 1\n"
        "    except BusyError:\n"
        "        pass\n"
    )
    for process in [start_with(store, program) for _ in range(3)]:
        finish(process)
    assert store.read_ref("counter").value == {"n": 3 * SWAPS}
