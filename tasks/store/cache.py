"""The local cache of what lies in a bucket: files by digest, and folders of hard links to them that appear whole.

What a live process has asked for is never taken from under it: each names it in its lease. Of the rest, what was used
longest ago goes first. Processes and threads may share a cache.

blobs/ab/DIGEST   files, named by what they hold
folders/NAME/     opened objects and landed days: links to blobs, under the files' own names
leases/ID         what each process uses, a name a line
staging/ID/       what is being fetched or written
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ctr_retrain.models.errors import StorageError
from ctr_retrain.tasks.store.leases import Leases
from ctr_retrain.tasks.store.staging import staging_folder, sweep_staging, sync

BYTES_PER_GB = 10**9
AT_ONCE = 8  # files that are fetched


@dataclass(frozen=True)
class Blob:
    """A file to have: its path in the folder, the digest that names its bytes, and how to get and verify them."""

    path: str
    digest: str
    fetch: Callable[[Path], None]


class Cache:
    """A folder of a limited size; the limit gives way to what live processes use."""

    def __init__(self, folder: Path, limit_gb: float) -> None:
        """`folder` is made by the first use."""
        self._folder, self._limit_gb = folder, limit_gb
        self._leases = Leases(folder)

    def __reduce__(self) -> tuple[Any, ...]:
        """Without the lease: another process takes its own."""
        return Cache, (self._folder, self._limit_gb)

    def staging(self) -> AbstractContextManager[Path]:
        """A folder aside, for this process alone, removed on leaving."""
        return staging_folder(self._folder / "staging")

    def file(self, blob: Blob) -> Path:
        """The file, fetched if it isn't here."""
        self._use([blob.digest])
        if self._fetch_missing([blob]):
            self._trim()
        return self._path_of(blob.digest)

    def folder(self, name: str, blobs: Sequence[Blob], extra: dict[str, bytes] | None = None) -> Path:
        """The folder `name` with the files under their own paths, and beside them `extra`; made whole or not at all."""
        self._use([name, *(blob.digest for blob in blobs)])
        target = self._folder / "folders" / name
        if not target.is_dir():
            fetched = self._fetch_missing(blobs)
            with self.staging() as aside:
                whole = aside / "whole"
                for blob in blobs:
                    place = _inside(whole, blob.path)
                    place.parent.mkdir(parents=True, exist_ok=True)
                    _link(self._path_of(blob.digest), place)
                whole.mkdir(exist_ok=True)
                for path, content in (extra or {}).items():
                    _inside(whole, path).write_bytes(content)
                target.parent.mkdir(parents=True, exist_ok=True)
                _rename_unless_there(whole, target)
            if fetched:
                self._trim()
        return target

    def keep(self, files: Sequence[tuple[Path, str]]) -> None:
        """Take over files that were just written, with their digests, so that they needn't be fetched."""
        self._use([digest for _, digest in files])
        for path, digest in files:
            if not self._path_of(digest).exists():
                self._take_over(path, digest)
        self._trim()

    def sweep(self) -> int:
        """Remove what processes that died left half-made; returns how many."""
        return sweep_staging(self._folder / "staging")

    def _path_of(self, digest: str) -> Path:
        return self._folder / "blobs" / digest[:2] / digest

    def _take_over(self, file: Path, digest: str) -> None:
        """Give a verified file its name, once its bytes are on the disk: nobody looks at them again."""
        sync(file)
        place = self._path_of(digest)
        place.parent.mkdir(parents=True, exist_ok=True)
        file.replace(place)

    def _fetch_missing(self, blobs: Sequence[Blob]) -> bool:
        """Fetch what isn't here; whether anything was."""
        missing = {blob.digest: blob for blob in blobs if not self._path_of(blob.digest).exists()}
        if not missing:
            return False
        with self.staging() as aside, ThreadPoolExecutor(AT_ONCE) as pool:

            def fetch(blob: Blob) -> None:
                blob.fetch(aside / blob.digest)
                self._take_over(aside / blob.digest, blob.digest)

            list(pool.map(fetch, missing.values()))
        return True

    # --- who uses what, and what may go

    def _use(self, names: Sequence[str]) -> None:
        """Name in this process's lease what it is about to use, before looking whether it is there."""
        self._leases.name(names)
        for name in names:
            with suppress(FileNotFoundError):
                os.utime(self._path_of(name))

    def _trim(self) -> None:
        """Back below the limit: folders that nobody uses, which cost no fetching anew, then blobs by their last use."""
        limit = self._limit_gb * BYTES_PER_GB
        if sum(size for _, size, _ in self._blobs()) <= limit:
            return
        with self._leases.collecting(), self.staging() as aside:
            used = self._leases.in_use()
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
        """Last use, size and path of each blob."""
        found = []
        for path in (self._folder / "blobs").glob("*/*"):
            with suppress(FileNotFoundError):
                stat = path.stat()
                found.append((stat.st_mtime, stat.st_size, path))
        return found


def _inside(folder: Path, path: str) -> Path:
    """A path below the folder; raises StorageError for one that leads elsewhere: names come from the bucket."""
    parts = PurePosixPath(path).parts
    if not parts or ".." in parts or parts[0] == "/" or "\0" in path:
        msg = f"file {path!r} of an object: expected a path below it, received one that leads elsewhere. Remove it."
        raise StorageError(msg)
    return folder.joinpath(*parts)


def _link(source: Path, target: Path) -> None:
    """A hard link, or a copy where the file system has none or no more."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _rename_unless_there(whole: Path, target: Path) -> None:
    """Another thread or process may have made the same folder meanwhile."""
    try:
        whole.rename(target)
    except OSError:
        if not target.is_dir():
            raise
