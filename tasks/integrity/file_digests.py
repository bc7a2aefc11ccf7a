"""An object's files beside what its manifest says of them: each is read to its end, and its SHA-256 compared.

A file is read once a process: its digest is kept under its size, times and place on the disk, so that one which changes
is read again. What that costs is in docs/operations.md.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import TYPE_CHECKING

from ctr_retrain.models.documents.document import Part
from ctr_retrain.tasks.execution.thread_pool import ThreadPool
from ctr_retrain.tasks.integrity.manifest import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from ctr_retrain.tasks.integrity.manifest import FileEntry

READERS = 4  # files that are read at the same time; hashing leaves Python's lock alone


class Difference(Part):
    """A file that is not what the manifest says."""

    file: str
    """Its path below the object."""
    expected: str
    """What the manifest says of it."""
    received: str
    """What lies there."""

    def __str__(self) -> str:
        """Say both in a sentence's middle."""
        return f"{self.file}: expected {self.expected}, received {self.received}"


def differences(folder: Path, entries: Iterable[FileEntry], below: Sequence[str] = ("",)) -> list[Difference]:
    """Compare the files of an opened object with its manifest's entries, and find those that it doesn't name.

    below: paths of files, or of folders with a slash at their end, to which this is limited.
    """
    wanted = [entry for entry in entries if entry.path.startswith(tuple(below))]
    with ThreadPool(READERS) as pool:
        found = [difference for difference in pool.map(lambda entry: compare(folder, entry), wanted) if difference]
    known = {MANIFEST, *(entry.path for entry in wanted)}
    there = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    unnamed = sorted(path for path in there if path not in known and path.startswith(tuple(below)))
    return [*found, *(Difference(file=path, expected="no such file", received="one") for path in unnamed)]


def compare(folder: Path, entry: FileEntry) -> Difference | None:
    """Read one file and return what is wrong with it, or with its disk; None where nothing is."""
    try:
        size = (folder / entry.path).stat().st_size
        digest = file_digest(folder / entry.path) if size == entry.size else ""
    except FileNotFoundError:
        return Difference(file=entry.path, expected="the file", received="none")
    except OSError as error:
        return Difference(file=entry.path, expected="to read it", received=error.strerror or str(error))
    return difference_of(entry, size, digest)


def difference_of(entry: FileEntry, size: int, digest: str) -> Difference | None:
    """Return what is wrong with a file of this size and digest; the digest doesn't count where the size differs."""
    if size != entry.size:
        return Difference(file=entry.path, expected=f"{entry.size:,} bytes", received=f"{size:,}")
    if digest != entry.sha256:
        return Difference(file=entry.path, expected=f"SHA-256 {entry.sha256}", received=digest)
    return None


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, read once a process as long as it stays as it is; raises OSError."""
    stat = path.stat()
    # A file of the cache has several names, and its times are those of its last use.
    times = (stat.st_mtime_ns, stat.st_ctime_ns) if stat.st_nlink == 1 else ()
    return _digest_at(path, (stat.st_dev, stat.st_ino, stat.st_size, *times))


@cache
def _digest_at(path: Path, _: tuple[int, ...]) -> str:
    """Read a file whose size, times and place on the disk are these."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
