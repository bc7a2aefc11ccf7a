"""The landing zone of raw events, by stream and day, in a local folder or in a bucket: STREAM/dt=DAY/NAME.

All below a day's folder counts, however deep, save what is named as writers name what isn't whole, or isn't data: with
. or _ at the beginning. That is told, and so is what is no file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Protocol

from ctr_retrain.models.errors import StorageError, UsageError
from ctr_retrain.tasks.landing.landed_bytes import printable
from ctr_retrain.tasks.store.cache import Blob, Cache
from ctr_retrain.tasks.store.staging import atomic_write

if TYPE_CHECKING:
    from ctr_retrain.tasks.store.s3_bucket import Bucket, ListedKey


class LandingZone(Protocol):
    """Files that landed, and the place where more may land. Its text is its address, for people."""

    def files(self, stream: str, day: date) -> list[Path]:
        """Return local files with all that landed on a day, under their own names, those of folders too, sorted."""

    def left_out(self, stream: str, day: date) -> dict[str, str]:
        """Say of all else below the day's folder why it is not read, by its name there."""

    def landed_at(self, stream: str, day: date) -> datetime | None:
        """Return when the newest file of a day landed, None where none did."""

    def landed_bytes(self, stream: str, day: date) -> int:
        """Return the bytes that landed on a day, without fetching them."""

    def stamps(self, stream: str, day: date) -> list[str]:
        """Return what tells each file of a day from another version of it, without reading them; sorted."""

    def days(self, stream: str) -> list[str]:
        """List the days on which something landed, sorted."""

    def find(self, stream: str, names: Collection[str]) -> set[tuple[str, str]]:
        """Find the files that bear one of the names: day and name of each."""

    def writing(self, stream: str, day: str, name: str) -> AbstractContextManager[Path]:
        """Give a path to write to; on leaving without an error the file lands whole, in place of an earlier one."""

    def remove(self, stream: str, day: str, name: str) -> None:
        """Take a file away again."""


class ZoneOfFile:
    """The landing zone for one file's rows, which replace those of an earlier landing of that file."""

    def __init__(self, landing: LandingZone, name: str, streams: tuple[str, ...], endings: tuple[str, ...]) -> None:
        """Note the files of an earlier landing in these streams; endings: of the files that a file is split into."""
        self._landing, self._name = landing, name
        names = {f"{name}{end}" for end in endings}
        self._stale = {(stream, *found) for stream in streams for found in landing.find(stream, names)}

    @contextmanager
    def writing(self, stream: str, day: date, ending: str = ".parquet") -> Iterator[Path]:
        """Give a path aside to write a landed file to; it is landed on leaving without an error."""
        with self._landing.writing(stream, str(day), self.file_name(ending)) as aside:
            yield aside
        self._stale.discard((stream, str(day), self.file_name(ending)))

    def file_name(self, ending: str = ".parquet") -> str:
        """Return the file's name below each landing day."""
        return f"{self._name}{ending}"

    def remove_stale(self) -> None:
        """Remove the files of an earlier landing that this one did not write anew."""
        for stream, day, name in self._stale:
            self._landing.remove(stream, day, name)


class LocalLandingZone:
    """A folder on a local disk."""

    def __init__(self, folder: Path) -> None:
        """Take the folder, which the first file that is written makes."""
        self._folder = folder

    def __str__(self) -> str:
        """Return the folder's path."""
        return str(self._folder)

    def files(self, stream: str, day: date) -> list[Path]:
        """Return the files that landed on a day; raises UsageError where there is no landing zone."""
        if not self._folder.is_dir():
            msg = f"landing zone {self}: expected a folder, received none. Set --landing."
            raise UsageError(msg)
        return sorted(path for path, problem in self._found(stream, day) if not problem)

    def left_out(self, stream: str, day: date) -> dict[str, str]:
        """Say of all else below the day's folder why it is not read; of a folder once for all that lies in it."""
        folder = self._folder / stream / f"dt={day}"
        found = sorted((p.relative_to(folder).as_posix(), why) for p, why in self._found(stream, day) if why)
        return {printable(name): problem for name, problem in found}

    def landed_at(self, stream: str, day: date) -> datetime | None:
        """Return when the newest file of a day landed, None where none did."""
        times = [path.stat().st_mtime for path, problem in self._found(stream, day) if not problem]
        return datetime.fromtimestamp(max(times), UTC) if times else None

    def landed_bytes(self, stream: str, day: date) -> int:
        """Return the bytes that landed on a day."""
        found = _walk(self._folder / stream / f"dt={day}")
        return sum(path.stat().st_size for path, problem in found if not problem)

    def stamps(self, stream: str, day: date) -> list[str]:
        """Return name, size and time of each file that landed on a day."""
        folder = self._folder / stream / f"dt={day}"
        paths = [path for path, problem in self._found(stream, day) if not problem]
        return sorted(f"{path.relative_to(folder)} {_size_and_time(path)}" for path in paths)

    def days(self, stream: str) -> list[str]:
        """List the days on which something landed; raises StorageError where that can't be seen."""
        folder = self._folder / stream
        with self._seeing(folder):  # `glob` takes what may not be read for empty
            names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        return sorted(name.removeprefix("dt=") for name in names if name.startswith("dt="))

    def _found(self, stream: str, day: date) -> list[tuple[Path, str]]:
        """List all that lies below a day's folder; raises StorageError where it can't be seen."""
        folder = self._folder / stream / f"dt={day}"
        with self._seeing(folder):
            return list(_walk(folder))

    @contextmanager
    def _seeing(self, folder: Path) -> Iterator[None]:
        """Raise StorageError where a folder may not be read, or its disk fails: that is not an empty one."""
        try:
            yield
        except OSError as error:
            msg = (
                f"landing folder {folder}: expected to see what landed there, received: {error.strerror or error}. "
                "It is not taken for empty: mend its mode or its disk and run again."
            )
            raise StorageError(msg) from error

    def find(self, stream: str, names: Collection[str]) -> set[tuple[str, str]]:
        """Find the files that bear one of the names: day and name of each."""
        found = (self._folder / stream).glob("dt=*/*")
        return {(path.parent.name.removeprefix("dt="), path.name) for path in found if path.name in names}

    @contextmanager
    def writing(self, stream: str, day: str, name: str) -> Iterator[Path]:
        """Give a path aside; on leaving, the file is renamed to its own."""
        folder = self._folder / stream / f"dt={day}"
        if not folder.resolve().is_relative_to(self._folder.resolve()):
            msg = (
                f"landing folder {folder}: expected a folder of the landing zone, received a symbolic link that leads "
                "out of it. Remove the link; or set --landing to where files are to land."
            )
            raise UsageError(msg)
        with atomic_write(folder / name) as aside:
            yield aside

    def remove(self, stream: str, day: str, name: str) -> None:
        """Take a file away again."""
        (self._folder / stream / f"dt={day}" / name).unlink(missing_ok=True)


class S3LandingZone:
    """A prefix of a bucket; files are read through the local cache, verified by the service's own checksums."""

    def __init__(self, bucket: Bucket, cache: Cache) -> None:
        """Take the bucket and the cache; nothing is asked of the service yet."""
        self._bucket, self._cache = bucket, cache

    def __str__(self) -> str:
        """Return the s3:// URL."""
        return self._bucket.url

    def files(self, stream: str, day: date) -> list[Path]:
        """Fetch the files that landed on a day; one that lands while they are listed may be among them or not."""
        listed = [key for key, problem in self._listed(stream, day) if not problem]
        if not listed:
            return []
        blobs = [Blob(key.name, self._identity(key), partial(self._fetch, key)) for key in listed]
        name = hashlib.sha256("\n".join(f"{blob.path} {blob.digest}" for blob in blobs).encode()).hexdigest()[:32]
        try:
            folder = self._cache.folder(name, blobs)
        except OSError as error:
            msg = (
                f"landed files of {day} in {self}: expected a writable local cache with room, received: {error}. "
                "Free space, or set CTR_RETRAIN_CACHE, and run again."
            )
            raise StorageError(msg) from error
        return sorted(folder / blob.path for blob in blobs)

    def left_out(self, stream: str, day: date) -> dict[str, str]:
        """Say of all other keys below the day's folder why they are not read."""
        below = f"{stream}/dt={day}/"
        return {key.name.removeprefix(below): problem for key, problem in self._listed(stream, day) if problem}

    def landed_at(self, stream: str, day: date) -> datetime | None:
        """Return when the newest file of a day landed, None where none did."""
        return max((key.modified for key, problem in self._listed(stream, day) if not problem), default=None)

    def landed_bytes(self, stream: str, day: date) -> int:
        """Return the bytes that landed on a day, as the service lists them."""
        return sum(key.size for key, problem in self._listed(stream, day) if not problem)

    def stamps(self, stream: str, day: date) -> list[str]:
        """Return name, size and ETag of each file that landed on a day."""
        keys = [key for key, problem in self._listed(stream, day) if not problem]
        return sorted(f"{key.name} {key.size} {key.etag}" for key in keys)

    def days(self, stream: str) -> list[str]:
        """List the days on which something landed."""
        found = self._bucket.folders(f"{stream}/")
        return sorted(name.removeprefix("dt=") for name in found if name.startswith("dt="))

    def find(self, stream: str, names: Collection[str]) -> set[tuple[str, str]]:
        """Find the files that bear one of the names: day and name of each."""
        found = set()
        for key in self._bucket.keys(f"{stream}/dt="):
            day, _, name = key.name.removeprefix(f"{stream}/dt=").partition("/")
            if name in names:
                found.add((day, name))
        return found

    @contextmanager
    def writing(self, stream: str, day: str, name: str) -> Iterator[Path]:
        """Give a local path that is uploaded on leaving; a key appears whole."""
        with self._cache.staging() as aside:
            yield aside / name
            self._bucket.upload([(f"{stream}/dt={day}/{name}", aside / name)])

    def remove(self, stream: str, day: str, name: str) -> None:
        """Take a file away again."""
        self._bucket.delete([f"{stream}/dt={day}/{name}"])

    def _listed(self, stream: str, day: date) -> list[tuple[ListedKey, str]]:
        """List the keys below the day's folder, each with the reason for which it is not read, or none."""
        below = f"{stream}/dt={day}/"
        keys = {key.name.removeprefix(below): key for key in self._bucket.keys(below)}
        folders = {parent.as_posix() for name in keys for parent in PurePosixPath(name).parents}
        found = []
        for name, key in keys.items():
            if (name.endswith("/") and not key.size) or not name:
                continue  # consoles make such a key for each folder
            beside = "expected a file, received one of a folder's name" if name in folders else ""
            found.append((key, _key_problem(name) or beside))
        return found

    def _identity(self, key: ListedKey) -> str:
        """Return a digest that changes with the file; that of its bytes is not known before they are read."""
        text = f"{self._bucket.url}/{key.name}\n{key.etag}\n{key.size}"
        return hashlib.sha256(text.encode()).hexdigest()

    def _fetch(self, key: ListedKey, target: Path) -> None:
        """Fetch the very version that was listed; where its ETag is an MD5, the bytes must have it.

        Raises StorageError where the file was replaced since, or is damaged.
        """
        for _ in range(2):  # once more where the bytes are wrong: they may have been damaged on the way
            download = self._bucket.download(key.name, target, key.size, IfMatch=key.etag)
            with target.open("rb") as file:
                received = hashlib.file_digest(file, partial(hashlib.md5, usedforsecurity=False)).hexdigest()
            if not download.etag_is_md5 or received == key.etag.strip('"'):
                return
        msg = (
            f"landed file {self}/{key.name}: expected MD5 {key.etag}, received {received} twice. "
            "It is damaged where it lies: land it again."
        )
        raise StorageError(msg)


def _walk(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield all that lies below a folder, each with the reason for which it is not read, or none.

    Links are not followed here: whoever reads a file looks where it leads.
    """
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        if problem := _name_problem(path.name):
            yield path, problem
        elif path.is_symlink() or path.is_file():
            yield path, ""
        elif path.is_dir():
            yield from _walk(path)
        else:
            yield path, "expected a file, received a device, a pipe or a socket"


def _size_and_time(path: Path) -> str:
    """Return a file's size and time; none of a link that leads nowhere, which is told where it is read."""
    try:
        stat = path.stat()
    except OSError:
        return ""
    return f"{stat.st_size} {stat.st_mtime_ns}"


def _name_problem(name: str) -> str:
    """Say why a file or folder of this name is not read; empty where it is."""
    return f"its name begins with {name[0]}, as that of what is not whole, or no data" if name[0] in "._" else ""


def _key_problem(name: str) -> str:
    """Say why a key is not read by its name below the day's folder, which in a bucket could be anything."""
    parts = name.split("/")
    if {"", ".", ".."} & set(parts) or "\0" in name:
        return "expected a path that names a file, received one that leads elsewhere"
    return next(filter(None, map(_name_problem, parts)), "")
