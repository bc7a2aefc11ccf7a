"""Objects and refs in a bucket on S3, read and written through a local cache.

A ref is a key that changes by conditional writes alone (`If-None-Match: *`, `If-Match: ETAG`). An object is its
manifest, at the same key as on a local disk, and the files that the manifest names: they lie beside it below
`PATH.by-WRITER/`, a name that no other writer ever uses. So the files of two writers of one object never mix, and the
first manifest wins. While a writer uploads, `writing/WRITER.json` marks it; by that, a sweep finds the files of writers
that died.
"""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ctr_retrain.models.errors import StorageError
from ctr_retrain.tasks.integrity.conditional_writes import ConflictError, check_conditions
from ctr_retrain.tasks.integrity.fencing_stamp import STAMP, check_stamp, stamped, take_stamp
from ctr_retrain.tasks.integrity.file_digests import Difference
from ctr_retrain.tasks.integrity.manifest import MANIFEST
from ctr_retrain.tasks.store.cache import Cache
from ctr_retrain.tasks.store.protocol import (
    Ref,
    describe_files,
    name_below_root,
    outermost,
    parse_stored_json,
    swap_conflict,
)
from ctr_retrain.tasks.store.s3_bucket import Bucket
from ctr_retrain.tasks.store.s3_errors import cache_error
from ctr_retrain.tasks.store.s3_object import (
    BY,
    WRITER,
    StoredObject,
    WriterMark,
    blob_of,
    parse_mark,
    parse_object,
    stored_differences,
)
from ctr_retrain.tasks.store.s3_removal import WITHIN, Removal

WRITE_ID = "write_id"  # in a stored ref: tells our write from another's when the response was lost; not in the value
DEAD_AFTER = timedelta(days=1)  # since a writer began to upload; it gives up long before


class S3Store:
    """The store below a prefix of a bucket; opening an object gives a folder of links into the cache."""

    def __init__(
        self,
        bucket: Bucket,
        cache: Cache,
        *,
        dead_after: timedelta = DEAD_AFTER,
        removes_within: timedelta = WITHIN,
    ) -> None:
        """Take the bucket and the cache; nothing is asked of the service yet.

        dead_after, removes_within: age from which the owner of a writer's mark, and of a remover's, is taken for dead.
        """
        self._bucket, self._cache, self._dead_after = bucket, cache, dead_after
        self._removes_within = removes_within

    @property
    def root(self) -> str:
        """Return the root's s3:// URL."""
        return self._bucket.url

    def read_ref(self, name: str) -> Ref | None:
        """Read the ref `name`; None where there is none."""
        found = self._read_ref(name)
        return found[0] if found else None

    def swap_ref(self, name: str, value: dict[str, Any], expected: Ref | None, *, token: int | None = None) -> Ref:
        """Compare and swap by the service: of any number of racers on one version exactly one wins.

        Where the response was lost, or botocore's second attempt met its own first, the ref itself tells who won.
        Raises BusyError where another did, StorageError where the ref could not be written.
        """
        before = expected.token if expected else 0
        check_stamp(name, self.root, token, before)
        write_id, stored = uuid.uuid4().hex, stamped(value, token, before)
        text = json.dumps({**stored, WRITE_ID: write_id}, indent=1, sort_keys=True).encode()
        try:
            if expected is None:
                version = self._bucket.write(_ref_key(name), text, IfNoneMatch="*")
            else:
                version = self._bucket.write(_ref_key(name), text, IfMatch=expected.version)
        except StorageError as error:
            try:
                found = self._read_ref(name)
            except StorageError:
                raise error from None
            if found and found[1] == write_id:
                return found[0]
            check_stamp(name, self.root, token, found[0].token if found else 0)
            if isinstance(error, ConflictError) or (found and found[0].version) != (expected and expected.version):
                raise swap_conflict(name, self.root) from None
            raise
        return Ref(value, version, stored.get(STAMP, 0))

    def ref_age(self, name: str) -> timedelta | None:
        """Return how long ago the ref was written, by the service's clock alone."""
        return self._bucket.age(_ref_key(name))

    def list_refs(self, folder: str) -> list[str]:
        """List the names of the refs in a folder, sorted."""
        return list(self.ref_marks(folder))

    def ref_marks(self, folder: str, after: str = "") -> dict[str, str]:
        """List the refs in a folder, sorted, each with its ETag, which a listing shows of a thousand at once."""
        below = f"refs/{folder}/"
        listed = self._bucket.keys(below, after=_ref_key(after) if after else "")
        found = {key.name.removeprefix(below): key.etag for key in listed}
        marks = {
            f"{folder}/{name.removesuffix('.json')}": etag
            for name, etag in found.items()
            if name.endswith(".json") and "/" not in name
        }
        return {name: marks[name] for name in sorted(marks) if name > after}

    @contextlib.contextmanager
    def writing(self, path: str, meta: dict[str, Any]) -> Iterator[Path]:
        """Fill the local folder that this yields; on leaving it is uploaded, the manifest last.

        An object that is there already is left alone: equal paths mean equal content. Raises StorageError where the
        service or the local disk fails; nothing half-written is visible then.
        """
        try:
            with self._cache.staging() as aside:
                folder = aside / "object"
                folder.mkdir()
                yield folder
                if self._find(path) is None:
                    writer = uuid.uuid4().hex[:16]
                    text = describe_files(folder, {**meta, WRITER: writer})
                    published = StoredObject(path, text, json.loads(text))
                    if self._publish(published, folder):
                        with contextlib.suppress(OSError):  # it is published; what can't be kept is fetched again
                            self._cache.keep([(folder / entry.path, entry.sha256) for entry in published.entries])
        except OSError as error:
            raise cache_error("write", path, self.root, error) from error

    def manifest(self, path: str) -> dict[str, Any] | None:
        """Return the content of an object's manifest; None where the object doesn't exist."""
        found = self._find(path)
        return found.content if found else None

    def open(self, path: str) -> Path | None:
        """Return a local folder with an object's files, fetched and verified; None where the object doesn't exist."""
        found = self._find(path)
        if found is None:
            return None
        blobs = [blob_of(self._bucket, found, entry) for entry in found.entries]
        try:
            return self._cache.folder(found.folder_name(self.root), blobs, {MANIFEST: found.text})
        except OSError as error:
            raise cache_error("read", path, self.root, error) from error

    def mend(self, path: str, names: Collection[str]) -> bool:
        """Fetch files of an object anew, verified, in place of their copies in the cache."""
        found = self._find(path)
        if found is None:
            return False
        blobs = [blob_of(self._bucket, found, entry) for entry in found.entries if entry.path in names]
        try:
            self._cache.mend(found.folder_name(self.root), blobs)
        except OSError as error:
            raise cache_error("read", path, self.root, error) from error
        return bool(blobs)

    def damaged_files(self, path: str) -> list[Difference]:
        """Fetch all files of an object past the cache and find what its manifest doesn't say."""
        found = self._find(path)
        return stored_differences(self._bucket, found, self._cache) if found else []

    def file(self, path: str, name: str) -> Path | None:
        """Return one local file of an object, fetched and verified; None where the object or the file isn't there."""
        found = self._find(path)
        entry = next((entry for entry in found.entries if entry.path == name), None) if found else None
        if found is None or entry is None:
            return None
        try:
            return self._cache.file(blob_of(self._bucket, found, entry))
        except OSError as error:
            raise cache_error("read", path, self.root, error) from error

    def address(self, path: str, name: str) -> str:
        """Return the s3:// URL of an object's file; below the object's own path where the object doesn't exist."""
        found = self._find(path)
        return f"{self.root}/{found.files if found else path}/{name}"

    def list_objects(self, folder: str) -> list[str]:
        """List the paths of the complete objects right below a folder, sorted."""
        depth, end = folder.count("/") + 2, f"/{MANIFEST}"
        names = [stored.name for stored in self._bucket.keys(f"{folder}/")]
        found = (name.removesuffix(end) for name in names if name.endswith(end) and name.count("/") == depth)
        return sorted(path for path in found if BY not in path)

    def list_candidates(self, folder: str, after: str = "") -> list[str]:
        """List the paths right below a folder that have a manifest, or had one; files lie beside, by their writer.

        A response of the service names 1,000 folders, and of `list_objects` 1,000 files, of which a run has fifty.
        """
        found = self._bucket.folders(f"{folder}/", after=after)
        return sorted(path for name in found if BY not in name and (path := f"{folder}/{name}") > after)

    def ages(self) -> dict[str, timedelta]:
        """Return the age of every complete object: its manifest's, on the service's own clock."""
        now, end = self._bucket.now(), f"/{MANIFEST}"
        published = {s.name.removesuffix(end): s.modified for s in self._bucket.keys("") if s.name.endswith(end)}
        objects = outermost(path for path in published if BY not in path)
        return {path: max(timedelta(0), now - published[path]) for path in objects}

    @contextlib.contextmanager
    def collecting(self) -> Iterator[set[str]]:
        """Give no paths: other machines hold no lock here, so its age alone protects an object that they use."""
        yield set()

    def remove(self, paths: Iterable[str], needed: Callable[[], Collection[str]] = set, /) -> list[str]:
        """Remove objects, their manifests first; whoever opened one keeps what is in the cache."""
        return Removal(self._bucket, self._find, self._removes_within).remove(list(paths), needed)

    def stays(self, path: str) -> bool:
        """Return True if an object is there once no `gc` that began before can remove it any more."""
        Removal(self._bucket, self._find, self._removes_within).wait(path)
        return self._find(path) is not None

    def sweep(self) -> int:
        """Remove the files of writers that died, and return the writers' number; a mark that is young is spared."""
        swept = self._cache.sweep()
        began = list(self._bucket.keys("writing/"))
        now = self._bucket.now() if began else None
        for marker in began:
            if now is None or now - marker.modified < self._dead_after:
                continue
            stored = self._bucket.read(marker.name)
            if stored is None:  # another sweep was faster
                continue
            path = parse_mark(WriterMark, stored[0], marker.name, self.root).path
            writer = marker.name.removeprefix("writing/").removesuffix(".json")
            published = self._find(path)
            if published is None or published.writer != writer:
                self._bucket.abort_uploads(f"{path}{BY}{writer}/")
                self._delete_below(f"{path}{BY}{writer}")
                swept += 1
            self._bucket.delete([marker.name])
        return swept

    def write_page(self, name: str, text: str) -> None:
        """Put a page right below the root; readers see the old one or the new one."""
        self._bucket.write(name_below_root(name), text.encode())

    def read_page(self, name: str) -> bytes | None:
        """Read what was put right below the root; None where nothing was."""
        stored = self._bucket.read(name_below_root(name))
        return stored[0] if stored else None

    def check_swaps(self) -> None:
        """Raise StorageError where the service ignores conditions, so that two runs could overwrite each other."""
        name = f"probe/{uuid.uuid4().hex}"
        check_conditions(self._bucket, name, self.root)
        self._bucket.abort_uploads(name)  # there are none: it shows the right to find those of writers that died

    def service_time(self) -> datetime:
        """Return the time of the service, as its answers say it."""
        return self._bucket.now()

    def _read_ref(self, name: str) -> tuple[Ref, str] | None:
        """Read a ref and the id of the write that made it."""
        stored = self._bucket.read(_ref_key(name))
        if stored is None:
            return None
        value = parse_stored_json(stored[0], f"ref {name}", self.root)
        write_id = str(value.pop(WRITE_ID, ""))
        return Ref(value, stored[1], take_stamp(value)), write_id

    def _find(self, path: str) -> StoredObject | None:
        """Read the manifest of an object; None where the object doesn't exist."""
        stored = self._bucket.read(f"{name_below_root(path)}/{MANIFEST}")
        if stored is None:
            return None
        return parse_object(path, stored[0], self.root)

    def _publish(self, wanted: StoredObject, folder: Path) -> bool:
        """Upload the files, then the manifest; return True if it is this writer's that stands there in the end."""
        marker = f"writing/{wanted.writer}.json"
        began = _seconds()
        self._bucket.write(marker, json.dumps({"path": wanted.path}).encode())
        names = [entry.path for entry in wanted.entries]
        self._bucket.upload((f"{wanted.files}/{name}", folder / name) for name in names)
        if _seconds() - began > self._dead_after.total_seconds() / 2:
            msg = (
                f"could not write {wanted.path} under {self.root}: expected to upload it within "
                f"{self._dead_after / 2}, received no end: a sweep may have taken this writer for dead. Run again."
            )
            raise StorageError(msg)
        won = self._put_manifest(wanted)
        if not won:
            self._delete_below(wanted.files)
        self._bucket.delete([marker])
        return won

    def _put_manifest(self, wanted: StoredObject) -> bool:
        """Put the manifest where there is none; return True if this writer's stands there, response lost or not."""
        try:
            self._bucket.write(f"{wanted.path}/{MANIFEST}", wanted.text, IfNoneMatch="*")
        except StorageError as error:
            try:
                found = self._find(wanted.path)
            except StorageError:
                raise error from None
            if found is None:
                raise
            return found.writer == wanted.writer
        return True

    def _delete_below(self, files: str) -> None:
        """Delete all files of one writer."""
        self._bucket.delete([listed.name for listed in self._bucket.keys(f"{files}/")])


def _ref_key(name: str) -> str:
    """Return the key of a ref."""
    return f"refs/{name_below_root(name)}.json"


def _seconds() -> float:
    """Read a clock that counts the time in which a machine slept, too."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
