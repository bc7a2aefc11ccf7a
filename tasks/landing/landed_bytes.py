"""The bytes of a landed file: an error of the disk is no damage of the file, and a file that changes is noticed.

Damage is what a file holds, and is the same at each reading; what a disk refuses may be there a second later. So the
first is quarantined, and the second ends the ingest, whose next run reads all of the file.
"""

from __future__ import annotations

import hashlib
import io
from itertools import pairwise
from typing import TYPE_CHECKING, BinaryIO

from ctr_retrain.models.errors import BusyError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from _typeshed import WriteableBuffer

BUFFER_BYTES = 1 << 18
RAW_CHARACTERS = 2000  # that are kept of a malformed line
STREAMS = ("impressions", "outcomes")


class _DiskBytes(io.RawIOBase):
    """A file's bytes, whose reading fails with StorageError and no other error."""

    def __init__(self, path: Path) -> None:
        """Open the file."""
        self._path = path
        try:
            self._file = open_raw(path)
        except FileNotFoundError:  # that there is none says nothing about the disk
            raise
        except OSError as error:
            raise disk_error(path, error) from error

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        """Read into a buffer; the readers above take every OSError for a tear, and this is none."""
        try:
            return self._file.readinto(buffer)
        except OSError as error:
            raise disk_error(self._path, error) from error

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move to another place of the file."""
        return self._file.seek(offset, whence)

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            self._file.close()
        super().close()


def open_raw(path: Path) -> io.FileIO:
    """Open a file as the operating system gives it: the one place at which tests let a disk fail."""
    return path.open("rb", buffering=0)


def open_landed(path: Path) -> BinaryIO:
    """Open a landed file; whatever the disk refuses is a StorageError, then and while it is read."""
    return io.BufferedReader(_DiskBytes(path), BUFFER_BYTES)


def digest_of_file(path: Path) -> str:
    """Return the SHA-256 of a landed file.

    Raises StorageError where the disk doesn't give all of it, BusyError where it has gone since it was listed.
    """
    try:
        with open_landed(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    except FileNotFoundError as error:
        raise changed_meanwhile("landed file", path) from error


def stamps(paths: Iterable[Path]) -> list[tuple[int, int, int]]:
    """Return each file's size, time and place on the disk, by which a change shows that left its bytes alike."""
    found = []
    for path in paths:
        try:
            stat = path.stat()
        except OSError:  # a link that leads nowhere is told where the file is read
            found.append((0, 0, 0))
            continue
        # A file of the cache has several names, and its time is that of its last use.
        found.append((stat.st_size, stat.st_mtime_ns, stat.st_ino) if stat.st_nlink == 1 else (stat.st_size, 0, 0))
    return found


def disk_error(path: Path, error: OSError) -> StorageError:
    """Make the error of a landed file that its disk doesn't give."""
    msg = (
        f"landed file {path}: expected to read it, received: {error.strerror or error}. "
        "Nothing was published; mend its disk or its mode and run again."
    )
    return StorageError(msg)


def passing_error(file: object, first: str, second: str = "") -> StorageError:
    """Make the error of a landed file of which two readings say different things."""
    msg = (
        f"landed file {file}: expected each reading to give the same, received at first: {first}; "
        f"a moment later: {second or 'no error'}. Nothing was published; look for errors of its disk and run again."
    )
    return StorageError(msg)


def changed_meanwhile(what: str, where: object) -> BusyError:
    """Make the error of landed files that others have changed since they were looked at."""
    msg = (
        f"{what} {where}: expected the files that ingest began with, received others, or other bytes, meanwhile. "
        "Run again; let exports write under a name that begins with a dot, and rename the file once it is whole."
    )
    return BusyError(msg)


def fingerprint(paths: Iterable[Path]) -> list[tuple[str, str]]:
    """Return name and SHA-256 of each file: landings with equal ones are equal."""
    return [(landed_name(path), link_problem(path) or digest_of_file(path)) for path in paths]


def landed_name(path: Path) -> str:
    """Return a landed file's name below its day's folder, STREAM/dt=DAY, in which it may lie deeper."""
    return "/".join(path.parts[-_depth(path) :])


def _depth(path: Path) -> int:
    """Return how many parts of a landed file's path stand below its day's folder."""
    folders = path.parts[:-1]
    days = [at for at, (stream, day) in enumerate(pairwise(folders), start=2) if stream in STREAMS and day[:3] == "dt="]
    return len(path.parts) - days[0] if days else 1


def name_problem(path: Path) -> str:
    """Say why a landed file can't be told from others by its name, whose bytes are no text; empty where it can."""
    return "" if is_text(str(path)) else "expected a name in UTF-8, received other bytes"


def link_problem(path: Path) -> str:
    """Say why a file is not read: it, or a folder that it lies in, is a symbolic link out of the landing zone.

    So is a link to no file. Empty where the file is read.
    """
    zone = path.absolute().parents[_depth(path) + 1]  # below which streams have days, and days have files
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError):  # to nothing, or to itself; a file that isn't there is told by whoever opens it
        return "expected a file, received a symbolic link to none" if path.is_symlink() else ""
    if not target.is_relative_to(zone.resolve()):
        link = "a symbolic link" if path.is_symlink() else "one in a folder that is a symbolic link and"
        return f"expected a file of the landing zone, received {link} that leads out of it"
    return "" if target.is_file() else "expected a file, received a symbolic link to none"


def is_text(found: str) -> bool:
    """Return True for text that Unicode has: a lone surrogate stands for a byte that is no UTF-8."""
    try:
        found.encode()
    except UnicodeEncodeError:
        return False
    return True


def printable(line: bytes | str) -> str:
    """Return the beginning of a line, without its line break, as text that any file takes."""
    text = line.decode("utf-8", "replace") if isinstance(line, bytes) else line
    kept = text[:RAW_CHARACTERS].rstrip("\r\n")
    return kept.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
