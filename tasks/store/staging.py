"""Folders aside, to be filled before anything is published, and the kernel's locks on them.

A lock goes with its holder, however that ends; so a folder that nobody holds is litter, and one that somebody holds
is work. That holds between processes of one machine.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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
def locked(path: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold the kernel's lock on a folder or a file; a file that isn't there is made."""
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


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
