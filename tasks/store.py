"""Objects and refs, as in git: the only way anything is published.

An object is an immutable folder. It is written aside and exists only once its `manifest.json` is in place, which is
the last file written. A ref is a small JSON file that names the current object and keeps its history; it changes by
compare-and-swap alone. `Store` is the protocol; `LocalStore` keeps both on a local disk. Another implementation
needs these six verbs and nothing else.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import uuid
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow.parquet as pq

from models.errors import BusyError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Ref:
    """The content of a ref and the version that a swap must name."""

    value: dict[str, Any]
    version: str


class Store(Protocol):
    """Objects and refs under one root."""

    @property
    def root(self) -> str:
        """Where the store is, for people."""

    def read_ref(self, name: str) -> Ref | None:
        """The ref `name`, such as `days/2026-03-01`, or None where there is none."""

    def swap_ref(self, name: str, value: dict[str, Any], expected: Ref | None) -> Ref:
        """Set the ref if it still is what `expected` says (None: absent), else raise BusyError."""

    def list_refs(self, folder: str) -> list[str]:
        """Names of the refs in a folder, sorted."""

    def writing(self, path: str, meta: dict[str, Any]) -> contextlib.AbstractContextManager[Path]:
        """A folder to fill; on leaving it without an error the object `path` exists whole, else nothing does."""

    def open(self, path: str) -> Path | None:
        """A local folder with the object's files, or None where the object doesn't exist."""

    def list_objects(self, folder: str) -> list[str]:
        """Paths of the complete objects right below a folder, sorted."""


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of an opened object."""
    manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    return manifest


def digest_of(value: Any) -> str:
    """SHA-256 of a JSON value, 16 hex digits; key order doesn't count."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


class LocalStore:
    """Objects and refs on a local disk. Refs swap under a lock that the kernel frees when its holder dies."""

    def __init__(self, root: Path) -> None:
        """`root` is made by the first write."""
        self._root = root

    @property
    def root(self) -> str:
        """The root folder's path."""
        return str(self._root)

    def read_ref(self, name: str) -> Ref | None:
        """The ref `name`, or None where there is none."""
        try:
            text = self._ref_path(name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._failed("read the ref", name, error) from error
        try:
            return Ref(json.loads(text), hashlib.sha256(text).hexdigest())
        except ValueError as error:
            msg = f"ref {name} in {self.root}: expected JSON, received {text[:80]!r}. Restore the file from a backup."
            raise StorageError(msg) from error

    def swap_ref(self, name: str, value: dict[str, Any], expected: Ref | None) -> Ref:
        """Compare and swap, right between processes: of any number of racers on one version exactly one wins."""
        path = self._ref_path(name)
        text = json.dumps(value, indent=1, sort_keys=True).encode()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with _locked(path.with_suffix(".lock")):
                current = self.read_ref(name)
                if (current and current.version) != (expected and expected.version):
                    msg = (
                        f"ref {name} in {self.root}: expected it unchanged since it was read, received a newer "
                        "version: another run was faster. Run again: it starts from what is there now."
                    )
                    raise BusyError(msg, ref=name)
                _write_durably(path, text)
        except OSError as error:
            raise self._failed("write the ref", name, error) from error
        return Ref(value, hashlib.sha256(text).hexdigest())

    def list_refs(self, folder: str) -> list[str]:
        """Names of the refs in a folder, sorted."""
        found = (self._root / "refs" / folder).glob("*.json")
        return sorted(f"{folder}/{path.stem}" for path in found)

    @contextlib.contextmanager
    def writing(self, path: str, meta: dict[str, Any]) -> Iterator[Path]:
        """Fill the folder that this yields; its files, sizes and SHA-256 go into the manifest beside `meta`.

        An object that is there already is left alone: equal paths mean equal content.
        Raises StorageError where the disk is full, read-only or gone; nothing half-written is visible then.
        """
        try:
            with self._staging_folder() as staging:
                yield staging
                _write_manifest(staging, meta)
                self._move_into_place(staging, self._root / path)
        except OSError as error:
            raise self._failed("write", path, error) from error

    def open(self, path: str) -> Path | None:
        """The object's own folder, or None where the object doesn't exist."""
        folder = self._root / path
        return folder if (folder / MANIFEST).is_file() else None

    def list_objects(self, folder: str) -> list[str]:
        """Paths of the complete objects right below a folder, sorted."""
        found = (self._root / folder).glob(f"*/{MANIFEST}")
        return sorted(f"{folder}/{path.parent.name}" for path in found)

    def sweep(self) -> int:
        """Remove what writers that died left aside; returns how many. A writer at work holds its lock and is spared."""
        return sum(_remove_unless_locked(folder) for folder in (self._root / "staging").glob("*"))

    @contextlib.contextmanager
    def _staging_folder(self) -> Iterator[Path]:
        """A locked folder aside, removed on leaving; the lock is on the folder itself, so none is left without one."""
        staging = self._root / "staging" / uuid.uuid4().hex
        staging.mkdir(parents=True)
        with _locked(staging):
            if staging.is_dir():
                try:
                    yield staging
                finally:
                    shutil.rmtree(staging, ignore_errors=True)
                return
        with self._staging_folder() as another:  # a sweep came between the first folder and its lock
            yield another

    def _move_into_place(self, staging: Path, target: Path) -> None:
        """Rename, which shows the object whole; a whole one that is there stays, and litter without manifest goes."""
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            staging.rename(target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            if not (target / MANIFEST).is_file():
                target.rename(self._root / "staging" / uuid.uuid4().hex)
                staging.rename(target)
        _sync(target.parent)

    def _ref_path(self, name: str) -> Path:
        return self._root / "refs" / f"{name}.json"

    def _failed(self, action: str, what: str, error: OSError) -> StorageError:
        reason = f"{error.strerror or error}{f' ({error.filename})' if error.filename else ''}"
        msg = (
            f"could not {action} {what} under {self.root}: expected a writable disk with room, received: {reason}. "
            "Nothing was published; free space or mend the disk and run again."
        )
        return StorageError(msg)


def _write_manifest(folder: Path, meta: dict[str, Any]) -> None:
    """Hash and flush every file of the folder, then write the manifest that makes it an object."""
    files = []
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
            os.fsync(opened.fileno())
        entry = {"path": file.relative_to(folder).as_posix(), "bytes": file.stat().st_size, "sha256": digest}
        files.append(entry | _schema(file))
    for inner in (path for path in folder.rglob("*") if path.is_dir()):
        _sync(inner)
    text = json.dumps(
        {"code_version": version("ctr-retrain"), **meta, "files": files}, indent=1, sort_keys=True, default=str
    )
    _write_durably(folder / MANIFEST, text.encode())


def _schema(file: Path) -> dict[str, dict[str, str]]:
    """Column types of a Parquet file."""
    if file.suffix != ".parquet":
        return {}
    return {"schema": {field.name: str(field.type) for field in pq.read_schema(file)}}


def _write_durably(path: Path, content: bytes) -> None:
    """Replace a file so that readers see the old bytes or the new ones, also after a power cut."""
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the kernel's lock on a folder or a file, which goes with its holder."""
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _remove_unless_locked(folder: Path) -> bool:
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
