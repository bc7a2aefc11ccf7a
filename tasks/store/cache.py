"""The local cache of files in a bucket: files by digest, and folders of hard links to them that appear whole.

A file that a live process has asked for is never taken from under it: each process names the files that it uses. Of
the rest, the file that was used longest ago goes first. Processes and threads may share a cache.

blobs/ab/DIGEST   files, named by the SHA-256 of their bytes
folders/NAME/     opened objects and landed days: links to blobs, under the files' own names
leases/ID         the names that each process uses, one a line
staging/ID/       files that are being fetched or written
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ctr_retrain.models.errors import StorageError
from ctr_retrain.tasks.execution.thread_pool import ThreadPool
from ctr_retrain.tasks.store.names_in_use import NamesInUse
from ctr_retrain.tasks.store.staging import staging_folder, sweep_staging, sync

BYTES_PER_GB = 10**9
AT_ONCE = 8  # files that are fetched at the same time


@dataclass(frozen=True)
class Blob:
    """A file that a caller wants to have in the cache."""

    path: str  # in the folder that is asked for
    digest: str  # SHA-256, which names its bytes
    fetch: Callable[[Path], None]  # writes the bytes to a path, and verifies them

    def __post_init__(self) -> None:
        """Refuse a digest that is none: it becomes a path."""
        if not re.fullmatch(r"[0-9a-f]{64}", self.digest):
            msg = f"file {self.path!r}: expected a SHA-256 of 64 hex digits, received {self.digest[:80]!r}"
            raise StorageError(msg)


class Cache:
    """A folder of a limited size; files that live processes use may exceed the limit."""

    def __init__(self, folder: Path, limit_gb: float) -> None:
        """Take the cache's folder, which the first use makes, and its limit in GB."""
        self._folder, self._limit_gb = folder, limit_gb
        self._in_use = NamesInUse(folder)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the cache without this process's names: another process has its own."""
        return Cache, (self._folder, self._limit_gb)

    def staging(self) -> AbstractContextManager[Path]:
        """Make a folder aside, for this process alone, that is removed on leaving."""
        return staging_folder(self._folder / "staging")

    def file(self, blob: Blob) -> Path:
        """Return the path of a file, fetched if it isn't here."""
        self._use([blob.digest])
        if self._fetch_missing([blob]):
            self._trim()
        return self._path_of(blob.digest)

    def folder(self, name: str, blobs: Sequence[Blob], extra: dict[str, bytes] | None = None) -> Path:
        """Return the folder `name` with the files under their own paths, made whole or not at all.

        extra: path → content of further files in it.
        """
        self._use([name, *(blob.digest for blob in blobs)])
        target = self._folder / "folders" / name
        if not target.is_dir():
            fetched = self._fetch_missing(blobs)
            with self.staging() as aside:
                complete = aside / "complete"
                for blob in blobs:
                    link = _path_below(complete, blob.path)
                    link.parent.mkdir(parents=True, exist_ok=True)
                    _link(self._path_of(blob.digest), link)
                complete.mkdir(exist_ok=True)
                for path, content in (extra or {}).items():
                    _path_below(complete, path).write_bytes(content)
                target.parent.mkdir(parents=True, exist_ok=True)
                _rename_unless_there(complete, target)
            if fetched:
                self._trim()
        return target

    def mend(self, name: str, blobs: Sequence[Blob]) -> None:
        """Fetch files of the folder `name` anew and put them in the place of those that lie there."""
        target = self._folder / "folders" / name
        with self.staging() as aside:
            for blob in blobs:
                blob.fetch(aside / blob.digest)
                self._take_over(aside / blob.digest, blob.digest)
                link = _path_below(target, blob.path)
                link.parent.mkdir(parents=True, exist_ok=True)
                _link(self._path_of(blob.digest), aside / "link")
                (aside / "link").replace(link)

    def keep(self, files: Sequence[tuple[Path, str]]) -> None:
        """Take over files that were just written, with their digests, so that they needn't be fetched."""
        self._use([digest for _, digest in files])
        for path, digest in files:
            if not self._path_of(digest).exists():
                self._take_over(path, digest)
        self._trim()

    def sweep(self) -> int:
        """Remove the folders that processes which died left half-made, and return their number."""
        return sweep_staging(self._folder / "staging")

    def _path_of(self, digest: str) -> Path:
        """Return the path of a blob, below one of 256 folders, so that none grows too large to be listed."""
        return self._folder / "blobs" / digest[:2] / digest

    def _take_over(self, file: Path, digest: str) -> None:
        """Give a verified file its name, once its bytes are on the disk: nobody looks at them again."""
        sync(file)
        path = self._path_of(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        file.replace(path)

    def _fetch_missing(self, blobs: Sequence[Blob]) -> bool:
        """Fetch the blobs that aren't here; return True if there were any."""
        missing = {blob.digest: blob for blob in blobs if not self._path_of(blob.digest).exists()}
        if not missing:
            return False
        with self.staging() as aside, ThreadPool(AT_ONCE) as pool:

            def fetch(blob: Blob) -> None:
                blob.fetch(aside / blob.digest)
                self._take_over(aside / blob.digest, blob.digest)

            list(pool.map(fetch, missing.values()))
        return True

    # --- names in use, and the files that may go

    def _use(self, names: Sequence[str]) -> None:
        """Name what this process is about to use, before looking for it.

        In the other order, another process could remove it between the look and the name.
        """
        self._in_use.name(names)
        for name in names:
            with suppress(FileNotFoundError):
                os.utime(self._path_of(name))  # its last use, by which blobs go

    def _trim(self) -> None:
        """Get back below the limit: folders that nobody uses go, then blobs by their last use.

        Folders first, since making one again from blobs costs no fetching.
        """
        limit = self._limit_gb * BYTES_PER_GB
        if sum(size for _, size, _ in self._blobs()) <= limit:
            return
        with self._in_use.collecting(), self.staging() as aside:
            used = self._in_use.all_names()
            for folder in list((self._folder / "folders").glob("*")):
                if folder.name not in used:
                    folder.rename(aside / folder.name)
            blobs = self._blobs()
            total = sum(size for _, size, _ in blobs)
            for _, size, blob in sorted(blobs):
                if total > limit and blob.name not in used:
                    blob.unlink(missing_ok=True)
                    total -= size

    def _blobs(self) -> list[tuple[float, int, Path]]:
        """List the last use, size and path of each blob."""
        found = []
        for path in (self._folder / "blobs").glob("*/*"):
            with suppress(FileNotFoundError):  # another process trims as well
                stat = path.stat()
                found.append((stat.st_mtime, stat.st_size, path))
        return found


def _path_below(folder: Path, path: str) -> Path:
    """Return a path below the folder; raises StorageError for one that leads elsewhere: names come from the bucket."""
    parts = PurePosixPath(path).parts
    if not parts or ".." in parts or parts[0] == "/" or "\0" in path:
        msg = f"file {path!r} of an object: expected a path below it, received one that leads elsewhere. Remove it."
        raise StorageError(msg)
    return folder.joinpath(*parts)


def _link(source: Path, target: Path) -> None:
    """Make a hard link, or a copy where the file system has none or no more."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _rename_unless_there(folder: Path, target: Path) -> None:
    """Rename a folder, unless another thread or process has made the same one meanwhile."""
    try:
        folder.rename(target)
    except OSError:
        if not target.is_dir():
            raise
