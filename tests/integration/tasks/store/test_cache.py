"""Rules of the local cache: whole or absent, within its limit, and nothing is taken from a process that lives."""

import hashlib
import pickle
import signal
from pathlib import Path

import pytest

from ctr_retrain.models.errors import StorageError
from ctr_retrain.tasks.store.cache import Blob, Cache
from tests.support.processes import finish, start

KB = 1000
IMPORTED = f"from {__name__} import *\n"  # this file, in a process of its own


def blob(name, content, fetched=None):
    def fetch(target):
        if fetched is not None:
            fetched.append(name)
        target.write_bytes(content)

    return Blob(name, hashlib.sha256(content).hexdigest(), fetch)


def kilobyte(number):
    return blob(f"{number}", bytes([number]) * KB)


def blobs_in(folder):
    return {path.read_bytes()[0] for path in folder.glob("blobs/*/*")}


def lives(program, *arguments):
    """A process that uses the cache, says so, and then waits."""
    preamble = f"{IMPORTED}cache = Cache(Path(sys.argv[1]), limit_gb=3e-6)\n"
    process = start(preamble + program + "print('ready', flush=True)\nsignal.pause()\n", *arguments)
    assert process.stdout.readline() == "ready\n", process.communicate()[1]
    return process


def ended(process):
    process.send_signal(signal.SIGKILL)
    process.communicate()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache"


def filled(folder, *numbers, limit_gb=3e-6):
    """What another process, that has ended, left in the cache."""
    program = f"{IMPORTED}cache = Cache(Path(sys.argv[1]), limit_gb=float(sys.argv[2]))\n"
    program += "for n in sys.argv[3:]: cache.folder(f'f{n}', [kilobyte(int(n))])\n"
    finish(start(program, folder, limit_gb, *numbers))


def test_file_of_equal_bytes_is_fetched_and_kept_once(folder):
    cache, fetched = Cache(folder, 1), []
    cache.folder("one", [blob("a", b"same", fetched), blob("inner/b", b"same", fetched)])
    opened = cache.folder("two", [blob("c", b"same", fetched)])
    assert cache.file(blob("d", b"same", fetched)).read_bytes() == (opened / "c").read_bytes() == b"same"
    assert fetched == ["inner/b"]
    assert len(list(folder.glob("blobs/*/*"))) == 1


def test_folder_whose_fetch_fails_is_not_there_at_all(folder):
    def fail(target):
        target.write_bytes(b"half")
        msg = "gone"
        raise StorageError(msg)

    cache = Cache(folder, 1)
    with pytest.raises(StorageError, match="gone"):
        cache.folder("one", [blob("a", b"abc"), Blob("b", "0" * 64, fail)])
    assert not (folder / "folders" / "one").exists()
    assert not (folder / "blobs" / "00").exists()
    assert list((folder / "staging").iterdir()) == []


def test_process_killed_while_it_fetches_leaves_no_half_folder_and_its_litter_is_swept(folder):
    program = (
        "def wait(target):\n    target.write_bytes(b'half'); print('ready', flush=True); signal.pause()\n"
        "cache.folder('one', [Blob('a', '0' * 64, wait)])\n"
    )
    process = lives(program, folder)
    cache = Cache(folder, 1)
    assert cache.sweep() == 0
    ended(process)
    assert cache.sweep() == 1
    assert not (folder / "folders").exists()
    assert [path for path in folder.rglob("*") if path.is_file() and path.read_bytes() == b"half"] == []


def test_files_used_longest_ago_go_first_when_the_limit_is_reached(folder):
    filled(folder, 1)
    filled(folder, 2)
    filled(folder, 3)
    filled(folder, 1)
    filled(folder, 4)
    assert blobs_in(folder) == {1, 3, 4}
    assert (folder / "folders" / "f4" / "4").is_file()


def test_files_that_a_live_process_has_opened_stay_beyond_the_limit_until_it_ends(folder):
    process = lives("cache.folder('f1', [kilobyte(1)]); cache.file(kilobyte(2))\n", folder)
    filled(folder, 3, 4, 5)
    assert {1, 2} <= blobs_in(folder)
    assert (folder / "folders" / "f1" / "1").is_file()
    ended(process)
    filled(folder, 6, 7, 8)
    assert not {1, 2} & blobs_in(folder)
    assert not (folder / "folders" / "f1").exists()


def test_own_files_stay_however_small_the_limit(folder):
    cache = Cache(folder, limit_gb=1e-9)
    opened = [cache.folder(f"f{number}", [kilobyte(number)]) for number in range(5)]
    assert all(path.is_dir() for path in opened)


def test_processes_that_open_and_evict_at_once_always_find_what_they_opened(folder):
    program = (
        f"import random\n{IMPORTED}"
        "for turn in range(60):\n"
        "    cache, n = Cache(Path(sys.argv[1]), limit_gb=2e-6), random.randrange(1, 9)\n"
        "    whole = cache.folder(f'f{n}', [kilobyte(n), kilobyte(n + 10)])\n"
        "    assert (whole / f'{n}').read_bytes()[0] == n and (whole / f'{n + 10}').stat().st_size == 1000\n"
        "    os.close(cache._in_use._mark[1])\n"  # as if this process had ended
    )
    for process in [start(program, folder) for _ in range(3)]:
        finish(process)


def test_what_was_written_is_kept_under_its_digest(folder, tmp_path):
    cache = Cache(folder, 1)
    with cache.staging() as aside:
        (aside / "rows").write_bytes(b"abc")
        cache.keep([(aside / "rows", hashlib.sha256(b"abc").hexdigest())])
    fetched = []
    assert cache.file(blob("rows", b"abc", fetched)).read_bytes() == b"abc"
    assert fetched == []


@pytest.mark.parametrize("path", ["../outside", "/outside", "a/../../outside", "", "a\0b"])
def test_nothing_is_written_outside_the_folder(folder, path):
    with pytest.raises(StorageError, match="expected a path below it"):
        Cache(folder, 1).folder("one", [blob(path, b"abc")])
    assert not list(folder.parent.rglob("outside"))


def test_cache_travels_to_another_process(folder):
    cache = Cache(folder, 1)
    path = cache.file(blob("a", b"abc"))
    assert pickle.loads(pickle.dumps(cache)).file(blob("a", b"abc", [])) == path  # noqa: S301 - ours
    assert isinstance(path, Path)
