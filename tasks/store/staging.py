"""Folders aside, to be filled before anything is published, and the kernel's locks on them.

A lock goes with its holder, however that ends; so a folder that nobody holds is litter, and one that somebody holds
is work. That holds between processes of one machine.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from ctr_retrain.models.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_PAUSE = 0.02  # seconds between two looks at a lock


@contextlib.contextmanager
def staging_folder(parent: Path) -> Iterator[Path]:
    """Make a locked folder below `parent`, removed on leaving; the lock is on the folder itself, so each has one."""
    staging = parent / uuid.uuid4().hex
    staging.mkdir(parents=True)
    with locked(staging):
        if staging.is_dir():
            try:
                yield staging
            finally:
                shutil.rmtree(staging, ignore_errors=True)
            return
    with staging_folder(parent) as another:  # a sweep came between the first folder and its lock
        yield another


def sweep_staging(parent: Path) -> int:
    """Remove the folders of writers that died, and return their number."""
    return sum(_remove_unless_locked(folder) for folder in parent.glob("*"))


@contextlib.contextmanager
def locked(path: Path, *, shared: bool = False, within: float | None = None) -> Iterator[None]:
    """Hold the kernel's lock on a folder or a file; a file that isn't there is made.

    within: seconds after which StorageError is raised, which names the process that has it; None: it is waited for.
    """
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT, 0o666)
    try:
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        if within is None:
            fcntl.flock(descriptor, kind)
        else:
            _lock_within(within, descriptor, kind, path)
        yield
    finally:
        os.close(descriptor)


def _lock_within(seconds: float, descriptor: int, kind: int, path: Path) -> None:
    """Take a lock that whoever has it gives back within a moment, unless it was stopped just there."""
    deadline, pause = time.monotonic() + seconds, 0.001
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                msg = (
                    f"{path}: expected whoever writes there to be done within {seconds:.0f} s, received none of it: "
                    f"{_holder_of(descriptor)} was stopped amid a write. Let it go on (kill -CONT) or end it."
                )
                raise StorageError(msg) from None
        else:
            return
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def _holder_of(descriptor: int) -> str:
    """Name the process that holds the lock on an open file, as far as the kernel tells."""
    with contextlib.suppress(OSError):
        inode = os.fstat(descriptor).st_ino
        for line in Path("/proc/locks").read_text(encoding="ascii").splitlines():
            fields = line.split()
            if fields[1] == "FLOCK" and fields[5].rpartition(":")[2] == str(inode):
                return f"process {fields[4]}"
    return "another process, perhaps of another machine,"


def is_held(path: Path) -> bool:
    """Return True if somebody holds the lock on a folder or a file, or if that has just gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def sync(path: Path) -> None:
    """Wait until a file's bytes, or a folder's names, are on the disk, so that a power cut leaves them."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_unless_locked(folder: Path) -> bool:
    """Remove a folder that no live process holds; return True if it was removed."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # its writer has just finished
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


@contextlib.contextmanager
def atomic_write(target: Path) -> Iterator[Path]:
    """Give a path aside to write to, which no reader looks at; leaving without an error moves the file into place."""
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{uuid.uuid4().hex}{target.suffix}")
    try:
        yield aside
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)
