"""The landing zone of raw events, by stream and day, in a local folder or in a bucket: STREAM/dt=DAY/NAME.

Names that begin with . or _ don't count.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import date
from functools import partial
from pathlib import Path
from typing import Protocol

from ctr_retrain.models.errors import StorageError, UsageError
from ctr_retrain.tasks.store.cache import Blob, Cache
from ctr_retrain.tasks.store.s3_bucket import Bucket, ListedKey
from ctr_retrain.tasks.store.staging import atomic_write


class LandingZone(Protocol):
    """Files that landed, and the place where more may land. Its text is its address, for people."""

    def files(self, stream: str, day: date) -> list[Path]:
        """Return local files with all that landed on a day, under their own names, sorted."""

    def days(self, stream: str) -> list[str]:
        """List the days on which something landed, sorted."""

    def find(self, stream: str, names: Collection[str]) -> set[tuple[str, str]]:
        """Find the files that bear one of the names: day and name of each."""

    def writing(self, stream: str, day: str, name: str) -> AbstractContextManager[Path]:
        """Give a path to write to; on leaving without an error the file lands whole, in place of an earlier one."""

    def remove(self, stream: str, day: str, name: str) -> None:
        """Take a file away again."""


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
        found = (self._folder / stream / f"dt={day}").glob("*")
        return sorted(path for path in found if (path.is_file() or path.is_symlink()) and _counts(path.name))

    def days(self, stream: str) -> list[str]:
        """List the days on which something landed."""
        return sorted(path.name.removeprefix("dt=") for path in (self._folder / stream).glob("dt=*"))

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
        below = f"{stream}/dt={day}/"
        listed = [key for key in self._bucket.keys(below) if _counts(key.name.removeprefix(below))]
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


def _counts(name: str) -> bool:
    """Return True for a name that a landed file can have; in a bucket a name could be anything."""
    return bool(name) and name[0] not in "._" and not {"/", "\0"} & set(name)
