"""Objects and refs, as in git: the only way anything is published.

An object is an immutable folder. It is written aside and exists only once its `manifest.json` is in place, which is
the last file written. A ref is a small JSON file that names the current object and keeps its history; it changes by
compare-and-swap alone. `Store` is the protocol; `LocalStore` keeps both on a local disk, `S3Store` in a bucket.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Generic, Protocol

from ctr_retrain.models.documents.document import Stored, parse_content, parse_document, parse_json
from ctr_retrain.models.errors import BusyError, StorageError, UsageError
from ctr_retrain.tasks.integrity.file_digests import Difference, differences
from ctr_retrain.tasks.integrity.manifest import Kind, Manifest, typed_manifest

NAME_BYTES = 200  # longest part of a path: file systems take 255, some of them for our endings
SHOWN = 300  # characters that a message shows of a name that is refused


@dataclass(frozen=True)
class Ref:
    """The content of a ref and the version that a swap must name."""

    value: dict[str, Any]
    version: str  # changes with every write: a digest on a local disk, the ETag on S3
    token: int = 0  # the fencing token under which it was last written; 0: before there were any


@dataclass(frozen=True)
class TypedRef(Generic[Stored]):
    """A ref whose content was found to be of the kind that its reader expects."""

    content: Stored
    as_read: Ref  # what a swap has to name


class Store(Protocol):
    """Objects and refs under one root."""

    @property
    def root(self) -> str:
        """Return the place of the store, for people."""

    def read_ref(self, name: str) -> Ref | None:
        """Read the ref `name`, such as `days/2026-03-01`; None where there is none. All but stores use `load_ref`."""

    def swap_ref(self, name: str, value: dict[str, Any], expected: Ref | None, *, token: int | None = None) -> Ref:
        """Set the ref if it still is what `expected` says (None: absent), else raise BusyError.

        token: the writer's fencing token, which the ref is stamped with; one that is older than the ref's own is
        refused. None: the stamp stays.
        """

    def ref_age(self, name: str) -> timedelta | None:
        """Return how long ago the ref was written, by the clock of the disk or service that dates it; None: absent."""

    def list_refs(self, folder: str) -> list[str]:
        """List the names of the refs in a folder, sorted."""

    def ref_marks(self, folder: str, after: str = "") -> dict[str, str]:
        """List the refs in a folder, sorted, each with a mark that is another one once the ref was written again.

        after: the name of a ref; only those whose names come after it are listed.
        """

    def writing(self, path: str, meta: dict[str, Any]) -> contextlib.AbstractContextManager[Path]:
        """Give a folder to fill; on leaving it without an error the object `path` exists whole, else nothing does."""

    def manifest(self, path: str) -> dict[str, Any] | None:
        """Return the content of an object's manifest, fetching nothing else; None where the object doesn't exist.

        Files and writer are checked. For anything else in it use `load_manifest`; to see if it exists, `has_object`.
        """

    def open(self, path: str) -> Path | None:
        """Return a local folder with an object's files; None where the object doesn't exist."""

    def file(self, path: str, name: str) -> Path | None:
        """Return one local file of an object, without the others; None where the object or the file doesn't exist."""

    def mend(self, path: str, names: Collection[str]) -> bool:
        """Replace local copies of an object's files by what lies in the bucket; False where the files are no copies."""

    def damaged_files(self, path: str) -> list[Difference]:
        """Read all files of an object where they lie, not their copies, and find what its manifest doesn't say."""

    def address(self, path: str, name: str) -> str:
        """Return the address of an object's file under the root, for people and for links between pages."""

    def list_objects(self, folder: str) -> list[str]:
        """List the paths of the complete objects right below a folder, sorted."""

    def list_candidates(self, folder: str, after: str = "") -> list[str]:
        """List the paths right below a folder at which objects are, sorted, at the cost of one listing.

        All complete objects are among them, and perhaps one that was half removed. after: only paths after this one.
        """

    def ages(self) -> dict[str, timedelta]:
        """Return how long ago each complete object under the root was published, sorted by path."""

    def collecting(self) -> contextlib.AbstractContextManager[set[str]]:
        """Give the paths of objects that live processes on the root's machine use; no more join meanwhile."""

    def remove(self, paths: Iterable[str], needed: Callable[[], Collection[str]] = set, /) -> list[str]:
        """Remove objects and return their paths; each manifest goes before the files, so that none is read in part.

        Where no lock keeps others off, the objects that `needed` names once all are marked are spared.
        """

    def stays(self, path: str) -> bool:
        """Return True if an object that a ref has just come to name is safe from every `gc` that didn't see the ref.

        False: such a `gc` has removed it, and it has to be made anew.
        """

    def sweep(self) -> int:
        """Remove what writers that died left behind, and return their number; a writer at work is spared."""

    def check_swaps(self) -> None:
        """Raise StorageError where a swap on an old version would not be refused; for `doctor`."""

    def service_time(self) -> datetime | None:
        """Return the time by which the service dates what is written; None where this machine does that itself."""

    def write_page(self, name: str, text: str) -> None:
        """Put a page for people right below the root; readers see the old one or the new one."""

    def read_page(self, name: str) -> bytes | None:
        """Read what was put right below the root; None where nothing was. Raises StorageError."""


def name_below_root(name: str) -> str:
    """Return the name of an object or a ref; raises UsageError for one that leads out of the root or can't be one."""
    parts = name.split("/")
    if not name.isprintable() or any(part in ("", ".", "..") or len(part.encode()) > NAME_BYTES for part in parts):
        msg = (
            f"{name[:SHOWN]!r}: expected a name below the root, received one that leads elsewhere or can't be one. "
            "See `ctr-retrain status`."
        )
        raise UsageError(msg)
    return name


def outermost(paths: Iterable[str]) -> list[str]:
    """Leave out paths that lie below another: an object that holds a file of the manifest's name is still one."""
    found: list[str] = []
    for path in sorted(paths, key=lambda path: path.split("/")):
        if not found or not path.startswith(f"{found[-1]}/"):
            found.append(path)
    return found


def load_document(store: Store, path: str, name: str, kind: type[Stored]) -> Stored:
    """Read a document that lies in an object.

    Raises StorageError where the object lacks it, or where it is none that this version can read.
    """
    found = find_document(store, path, name, kind)
    if found is None:
        msg = (
            f"{path}/{name} under {store.root}: expected the document, received none. Restore the object from a backup."
        )
        raise StorageError(msg)
    return found


def find_document(store: Store, path: str, name: str, kind: type[Stored]) -> Stored | None:
    """Read a document that an object may lack, or whose object may be gone; None then.

    Raises StorageError where it is none that this version can read.
    """
    file = store.file(path, name)
    return parse_document(kind, file.read_bytes(), f"{path}/{name} under {store.root}") if file else None


def load_ref(store: Store, name: str, kind: type[Stored]) -> TypedRef[Stored] | None:
    """Read a ref of a kind; None where there is none.

    Raises StorageError where it is of another shape, or of a format that this version doesn't know.
    """
    ref = store.read_ref(name)
    if ref is None:
        return None
    return TypedRef(parse_content(kind, ref.value, f"refs/{name}.json under {store.root}"), ref)


def has_ref(store: Store, name: str) -> bool:
    """Return True if there is such a ref, whatever it holds."""
    try:
        return store.read_ref(name) is not None
    except StorageError:  # one that can't be read is there all the same
        return True


def list_refs(store: Store, folder: str) -> list[str]:
    """List the names of all refs in a folder, sorted, whatever they hold."""
    return store.list_refs(folder)


def list_day_refs(store: Store, folder: str) -> list[date]:
    """List the days that have a ref in a folder, sorted; raises StorageError where a file there is no day's."""
    return [day_of_ref(store, name) for name in store.list_refs(folder)]


def load_day_refs(store: Store, folder: str, kind: type[Stored]) -> Iterator[tuple[date, Stored]]:
    """Read all refs in a folder, sorted: the day of each one's name, and its content."""
    for name in store.list_refs(folder):
        day = day_of_ref(store, name)
        if ref := load_ref(store, name, kind):  # another process may have removed it meanwhile
            yield day, ref.content


def replace_ref(store: Store, name: str, content: Stored, expected: TypedRef[Stored] | None) -> TypedRef[Stored]:
    """Set the ref if it still is what `expected` says (None: absent) and return it, else raise BusyError."""
    return TypedRef(content, store.swap_ref(name, content.to_json(), expected.as_read if expected else None))


def has_object(store: Store, path: str) -> bool:
    """Return True if the object exists."""
    return store.manifest(path) is not None


def load_manifest(store: Store, path: str, kind: type[Kind]) -> Kind | None:
    """Return what a kind of object says of itself in its manifest; None where the object doesn't exist.

    Raises StorageError where the manifest is damaged or lacks what such objects have.
    """
    content = store.manifest(path)
    return None if content is None else typed_manifest(content, kind, path, store.root)


def open_verified(store: Store, path: str, *below: str) -> Path | None:
    """Open an object for those who run or judge by what lies in it: its files have the digests of its manifest.

    below: paths of files, or of folders with a slash at their end, to which this is limited; by default all. Each file
    is read once a process. A damaged copy of what lies in a bucket is fetched anew. Raises StorageError, which names
    the files, where they are damaged where they lie; None where the object doesn't exist.
    """
    folder, manifest = store.open(path), load_manifest(store, path, Manifest)
    if folder is None or manifest is None:
        return None
    wrong = differences(folder, manifest.files, below or ("",))
    if wrong and store.mend(path, [difference.file for difference in wrong]):
        wrong = differences(folder, manifest.files, below or ("",))
    if wrong:
        msg = (
            f"{path} under {store.root}: {'; '.join(map(str, wrong[:3]))}. {len(wrong)} files were changed or damaged "
            "where they lie: restore the object from a backup, or promote another model. See `ctr-retrain verify`."
        )
        raise StorageError(msg)
    return folder


def digest_of(value: Any) -> str:
    """Return the SHA-256 of a JSON value, 16 hex digits; key order doesn't count."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def describe_files(folder: Path, meta: dict[str, Any]) -> bytes:
    """Write the manifest of all files below a folder: `meta`, and each file's path, bytes, SHA-256 and columns."""
    files = [_file_entry(file, folder) for file in sorted(path for path in folder.rglob("*") if path.is_file())]
    content = {"code_version": _code_version(), **meta, "files": files}
    return json.dumps(content, indent=1, sort_keys=True, default=str).encode()


def parse_stored_json(text: bytes, what: str, root: str) -> dict[str, Any]:
    """Parse the content of a ref or a mark; raises StorageError where it is no JSON object."""
    content = parse_json(text)
    if isinstance(content, dict):
        return content
    msg = f"{what} in {root}: expected JSON, received {text[:80]!r}. Restore the file from a backup."
    raise StorageError(msg)


def swap_conflict(name: str, root: str) -> BusyError:
    """Make the error of a swap that came too late."""
    msg = (
        f"ref {name} in {root}: expected it unchanged since it was read, received a newer "
        "version: another run was faster. Run again: it starts from what is there now."
    )
    return BusyError(msg, ref=name)


def day_of_ref(store: Store, name: str) -> date:
    """Return the day that a ref's name ends in; raises StorageError for another file that was put beside the refs."""
    text = name.rsplit("/", maxsplit=1)[-1]
    with contextlib.suppress(ValueError):
        if str(day := date.fromisoformat(text)) == text:
            return day
    msg = (
        f"refs/{name}.json under {store.root}: expected only files named after days, such as 2026-03-01.json, received "
        f"{text[:SHOWN]!r}. It is none of ours: move it elsewhere."
    )
    raise StorageError(msg)


@cache
def _code_version() -> str:
    """Return the installed version; to look it up costs 5 ms, which each object of a small day would pay."""
    return version("ctr-retrain")


def _file_entry(file: Path, folder: Path) -> dict[str, Any]:
    """Describe a file for the manifest: path, bytes, SHA-256, and a Parquet file's columns with their types."""
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    entry = {"path": file.relative_to(folder).as_posix(), "bytes": file.stat().st_size, "sha256": digest}
    if file.suffix != ".parquet":
        return entry
    import pyarrow.parquet as pq  # noqa: PLC0415 - whoever only reads refs does without it

    return {**entry, "schema": {field.name: str(field.type) for field in pq.read_schema(file)}}
