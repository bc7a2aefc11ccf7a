"""Objects and refs on a local disk. Refs swap under a lock that the kernel frees when its holder dies."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import time
import uuid
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctr_retrain.models.documents.document import MAX_DOCUMENT_BYTES
from ctr_retrain.models.errors import StorageError
from ctr_retrain.tasks.integrity.fencing_stamp import STAMP, check_stamp, stamped, take_stamp
from ctr_retrain.tasks.integrity.file_digests import Difference, differences
from ctr_retrain.tasks.integrity.manifest import MANIFEST, files_of, parse_manifest
from ctr_retrain.tasks.store.names_in_use import NamesInUse
from ctr_retrain.tasks.store.protocol import (
    Ref,
    describe_files,
    name_below_root,
    outermost,
    parse_stored_json,
    swap_conflict,
)
from ctr_retrain.tasks.store.staging import atomic_write, locked, staging_folder, sweep_staging, sync

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

LOCK_SECONDS = 30.0  # a ref's lock is held for less than a millisecond, save by a process that was stopped just then
IN_USE = "in_use"  # the folder of the names of objects that processes use


class LocalStore:
    """The store below a folder; opening an object gives the object's own folder, not a copy."""

    def __init__(self, root: Path) -> None:
        """Take the root, which the first write makes."""
        self._root = root
        self._in_use = NamesInUse(root / IN_USE)

    @property
    def root(self) -> str:
        """Return the root folder's path."""
        return str(self._root)

    def read_ref(self, name: str) -> Ref | None:
        """Read the ref `name`; None where there is none."""
        try:
            text = _read_document(self._ref_path(name))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._storage_error("read the ref", name, error) from error
        value = parse_stored_json(text, f"ref {name}", self.root)
        return Ref(value, hashlib.sha256(text).hexdigest(), take_stamp(value))

    def swap_ref(self, name: str, value: dict[str, Any], expected: Ref | None, *, token: int | None = None) -> Ref:
        """Compare and swap, right between processes: of any number of racers on one version exactly one wins."""
        path, stored = self._ref_path(name), stamped(value, token, expected.token if expected else 0)
        text = json.dumps(stored, indent=1, sort_keys=True).encode()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with staging_folder(self._staging) as aside:
                # Written to the disk before the lock is taken: a process that is stopped while it holds the lock keeps
                # all others off, so that it holds it for as short a time as can be.
                new = _written(aside / path.name, text)
                with locked(path.with_suffix(".lock"), within=LOCK_SECONDS):
                    current = self.read_ref(name)
                    check_stamp(name, self.root, token, current.token if current else 0)
                    if (current and current.version) != (expected and expected.version):
                        raise swap_conflict(name, self.root)
                    new.replace(path)
                sync(path.parent)
        except OSError as error:
            raise self._storage_error("write the ref", name, error) from error
        return Ref(value, hashlib.sha256(text).hexdigest(), stored.get(STAMP, 0))

    def ref_age(self, name: str) -> timedelta | None:
        """Return how long ago the ref was written, beside a folder that is made now: one disk dates both."""
        try:
            written = self._ref_path(name).stat().st_mtime
            with staging_folder(self._staging) as aside:
                return timedelta(seconds=max(0.0, aside.stat().st_mtime - written))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._storage_error("date the ref", name, error) from error

    def list_refs(self, folder: str) -> list[str]:
        """List the names of the refs in a folder, sorted."""
        found = (self._root / "refs" / name_below_root(folder)).glob("*.json")
        return sorted(f"{folder}/{path.stem}" for path in found)

    def ref_marks(self, folder: str, after: str = "") -> dict[str, str]:
        """List the refs in a folder, each with a mark that changes with every write."""
        found = {}
        for name in self.list_refs(folder):
            if name > after:
                with contextlib.suppress(FileNotFoundError):  # removed since
                    stat = self._ref_path(name).stat()
                    # Each write makes a new file, so the number alone differs until it is used again.
                    found[name] = f"{stat.st_mtime_ns}-{stat.st_ino}-{stat.st_size}"
        return found

    @contextlib.contextmanager
    def writing(self, path: str, meta: dict[str, Any]) -> Iterator[Path]:
        """Fill the folder that this yields; its files, sizes and SHA-256 go into the manifest beside `meta`.

        An object that is there already is left alone: equal paths mean equal content.
        Raises StorageError where the disk is full, read-only or gone; nothing half-written is visible then.
        """
        try:
            with staging_folder(self._staging) as staging:
                yield staging
                text = describe_files(staging, meta)
                _sync_all(staging)
                _write_durably(staging / MANIFEST, text, staging)
                self._in_use.name([path])  # before it can be seen, so that no `gc` finds it unused
                self._move_into_place(staging, self._root / name_below_root(path))
        except OSError as error:
            raise self._storage_error("write", path, error) from error

    def manifest(self, path: str) -> dict[str, Any] | None:
        """Return the content of an object's manifest; None where the object doesn't exist."""
        file = self.file(path, MANIFEST)
        try:
            return parse_manifest(_read_document(file), path, self.root) if file else None
        except FileNotFoundError:  # removed since
            return None
        except OSError as error:
            raise self._storage_error("read the manifest of", path, error) from error

    def open(self, path: str) -> Path | None:
        """Return an object's own folder; None where the object doesn't exist."""
        folder = self._root / name_below_root(path)
        with contextlib.suppress(OSError):  # a disk that can't be written can still be read
            if self._root.is_dir():
                self._in_use.name([path])
        return folder if (folder / MANIFEST).is_file() else None

    def file(self, path: str, name: str) -> Path | None:
        """Return the path of an object's own file; None where the object, or the file in it, doesn't exist."""
        folder = self.open(path)
        return folder / name if folder and (folder / name_below_root(name)).is_file() else None

    def mend(self, path: str, names: Collection[str]) -> bool:  # noqa: ARG002 - there is one copy only
        """Return False: the files lie here alone."""
        return False

    def damaged_files(self, path: str) -> list[Difference]:
        """Read all files of an object and find what its manifest doesn't say."""
        content = self.manifest(path)
        try:
            return differences(self._root / path, files_of(content)) if content else []
        except OSError as error:
            raise self._storage_error("read", path, error) from error

    def address(self, path: str, name: str) -> str:
        """Return the path of an object's file, there or not."""
        return f"{self.root}/{path}/{name}"

    def list_objects(self, folder: str) -> list[str]:
        """List the paths of the complete objects right below a folder, sorted."""
        found = (self._root / name_below_root(folder)).glob(f"*/{MANIFEST}")
        return sorted(f"{folder}/{path.parent.name}" for path in found)

    def list_candidates(self, folder: str, after: str = "") -> list[str]:
        """List the paths of the complete objects right below a folder, sorted, from after a path on."""
        return [path for path in self.list_objects(folder) if path > after]

    def ages(self) -> dict[str, timedelta]:
        """Return the age of every complete object: its manifest's, which publishing it again leaves alone."""
        now, found = time.time(), {}
        for folder in outermost(path.parent.relative_to(self._root).as_posix() for path in self._manifests()):
            with contextlib.suppress(FileNotFoundError):
                published = (self._root / folder / MANIFEST).stat().st_mtime
                found[folder] = timedelta(seconds=max(0.0, now - published))
        return found

    @contextlib.contextmanager
    def collecting(self) -> Iterator[set[str]]:
        """Give the paths of objects that live processes on this machine have opened or published."""
        try:
            with self._in_use.collecting():
                yield self._in_use.all_names()
        except OSError as error:
            raise self._storage_error("collect", "garbage", error) from error

    def remove(self, paths: Iterable[str], _needed: Callable[[], Collection[str]] = set, /) -> list[str]:
        """Move each object aside, which takes it away whole, and remove it there; names in use tell who needs it."""
        removed = []
        for path in paths:
            try:
                with contextlib.suppress(FileNotFoundError), staging_folder(self._staging) as aside:
                    (self._root / name_below_root(path)).rename(aside / "removed")
                    removed.append(path)
            except OSError as error:
                raise self._storage_error("remove", path, error) from error
        return removed

    def stays(self, path: str) -> bool:
        """Return True if an object is there; naming it has made sure that it stays."""
        return self.manifest(path) is not None

    def sweep(self) -> int:
        """Remove what writers that died left aside, and return their number; one at work holds a lock and is spared."""
        with contextlib.suppress(OSError):  # what can't be written now is swept by a later run
            self._in_use.sweep()
        return sweep_staging(self._staging)

    def check_swaps(self) -> None:
        """Do nothing: swaps are refused here, not by a service."""

    def service_time(self) -> None:
        """Return None: files are dated by this machine."""

    def write_page(self, name: str, text: str) -> None:
        """Put a page right below the root; readers see the old one or the new one."""
        try:
            with atomic_write(self._root / name_below_root(name)) as aside:
                aside.write_text(text, encoding="utf-8")
        except OSError as error:
            msg = (
                f"could not write {self._root / name}: expected a writable disk with room, received: "
                f"{error.strerror or error}. The runs themselves are whole; the next run writes the page again."
            )
            raise StorageError(msg) from error

    def read_page(self, name: str) -> bytes | None:
        """Read what was put right below the root; None where nothing was."""
        try:
            return _read_document(self._root / name_below_root(name))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._storage_error("read", name, error) from error

    @property
    def _staging(self) -> Path:
        """Return the folder in which objects are written aside; on the same disk, so that a rename moves them."""
        return self._root / "staging"

    def _manifests(self) -> Iterator[Path]:
        """Find all files with a manifest's name, those inside of objects too."""
        for folder in self._root.glob("*"):
            if folder.is_dir() and folder.name not in {"staging", "refs", IN_USE}:
                yield from folder.rglob(MANIFEST)

    def _move_into_place(self, staging: Path, target: Path) -> None:
        """Rename a folder, which shows the object whole.

        A complete object that is there already stays; a folder without manifest is litter, and goes.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            staging.rename(target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            if not (target / MANIFEST).is_file():
                target.rename(self._staging / uuid.uuid4().hex)
                staging.rename(target)
        sync(target.parent)

    def _ref_path(self, name: str) -> Path:
        """Return the file of a ref."""
        return self._root / "refs" / f"{name_below_root(name)}.json"

    def _storage_error(self, action: str, what: str, error: OSError) -> StorageError:
        """Explain the operating system's error."""
        reason = f"{error.strerror or error}{f' ({error.filename})' if error.filename else ''}"
        msg = (
            f"could not {action} {what} under {self.root}: expected a writable disk with room, received: {reason}. "
            "Nothing was published; free space or mend the disk and run again."
        )
        return StorageError(msg)


def _read_document(path: Path) -> bytes:
    """Read a small file; of one that is larger than any document, only enough to be refused."""
    with path.open("rb") as file:
        return file.read(MAX_DOCUMENT_BYTES + 1)


def _sync_all(folder: Path) -> None:
    """Wait until everything below a folder is on the disk."""
    for path in folder.rglob("*"):
        sync(path)


def _write_durably(path: Path, content: bytes, aside: Path) -> None:
    """Replace a file so that readers see the old bytes or the new ones, also after a power cut; `aside` is staged."""
    _written(aside / f".{path.name}", content).replace(path)
    sync(path.parent)


def _written(path: Path, content: bytes) -> Path:
    """Write a file, wait until its bytes are on the disk, and return its path."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return path
