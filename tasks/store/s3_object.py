"""An object in a bucket: its manifest as it is stored, and the files that this names."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from pydantic import ValidationError, model_validator

from ctr_retrain.models.documents.document import FilePath, ObjectPath, Part, first_mistake
from ctr_retrain.models.errors import StorageError
from ctr_retrain.tasks.integrity.file_digests import Difference, difference_of
from ctr_retrain.tasks.integrity.manifest import MANIFEST, FileEntry, Kind, files_of, parse_manifest
from ctr_retrain.tasks.store.cache import Blob, Cache
from ctr_retrain.tasks.store.protocol import parse_stored_json

if TYPE_CHECKING:
    from pathlib import Path

    from ctr_retrain.tasks.store.s3_bucket import Bucket

WRITER = "writer"  # key in a manifest: the name that the writer gave itself
BY = ".by-"  # between an object's path and its writer's name, in the folder of its files


@dataclass(frozen=True)
class StoredObject:
    """A manifest as it is stored."""

    path: str  # of the object
    text: bytes  # of the manifest
    content: dict[str, Any]  # the text, parsed

    @property
    def files(self) -> str:
        """Return the folder of its files; in a root that was copied from a local disk they lie beside the manifest."""
        return f"{self.path}{BY}{self.writer}" if self.writer else self.path

    def folder_name(self, root: str) -> str:
        """Return the name of its folder in the cache, which another manifest at its place doesn't have."""
        return hashlib.sha256(f"{root}/{self.path}\n".encode() + self.text).hexdigest()[:32]

    @property
    def entries(self) -> tuple[FileEntry, ...]:
        """Return the files that it names."""
        return files_of(self.content)

    @property
    def writer(self) -> str:
        """Return the name of the writer that published it; empty in a root that was copied from a local disk."""
        return str(self.content.get(WRITER, ""))


class WriterMark(Part):
    """A writer's mark while it uploads."""

    path: ObjectPath
    """Path of the object."""


class RemovalMark(Part):
    """A remover's mark on an object that it is about to remove."""

    path: ObjectPath
    """Path of the object."""
    files: FilePath
    """Folder of its files."""

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        if self.files != self.path and not self.files.startswith(f"{self.path}{BY}"):
            msg = "the folder of the object's own files"
            raise ValueError(msg)
        return self


def parse_mark(kind: type[Kind], text: bytes, name: str, root: str) -> Kind:
    """Parse a mark; raises StorageError where it is none: what it names is about to be deleted."""
    try:
        return kind.from_json(parse_stored_json(text, name, root))
    except ValidationError as error:
        msg = f"{name} in {root}: expected a mark with {first_mistake(error)}. It is none of ours: remove it."
        raise StorageError(msg) from error


def blob_of(bucket: Bucket, stored: StoredObject, entry: FileEntry) -> Blob:
    """Return a file of an object, by its entry in the manifest, for the cache to fetch and verify."""
    name, digest = f"{stored.files}/{entry.path}", entry.sha256

    def fetch(target: Path) -> None:
        for _ in range(2):  # once more where the bytes are wrong: they may have been damaged on the way
            bucket.download(name, target, entry.size)
            with target.open("rb") as file:
                received = hashlib.file_digest(file, "sha256").hexdigest()
            if received == digest:
                return
        msg = (
            f"file {entry.path} of {stored.path} under {bucket.url}: expected SHA-256 {digest}, received "
            f"{received} twice. It is damaged where it lies: restore it from a backup, or remove the object's "
            "manifest and run again."
        )
        raise StorageError(msg)

    return Blob(entry.path, digest, fetch)


def stored_differences(bucket: Bucket, stored: StoredObject, cache: Cache) -> list[Difference]:
    """Fetch each file of an object, one after the other and past the cache, and find what its manifest doesn't say."""
    listed = {key.name.removeprefix(f"{stored.files}/"): key.size for key in bucket.keys(f"{stored.files}/")}
    found = []
    for entry in stored.entries:
        size = listed.pop(entry.path, None)
        if size is None:
            found.append(Difference(file=entry.path, expected="the file", received="none"))
            continue
        digest = _stored_digest(bucket, f"{stored.files}/{entry.path}", size, cache) if size == entry.size else ""
        if difference := difference_of(entry, size, digest):
            found.append(difference)
    # In a root copied from a local disk the manifest lies among the files.
    unnamed = sorted(listed.keys() - {MANIFEST})
    return [*found, *(Difference(file=path, expected="no such file", received="one") for path in unnamed)]


def _stored_digest(bucket: Bucket, name: str, size: int, cache: Cache) -> str:
    """Return the SHA-256 of a key's bytes, which leave nothing behind."""
    with cache.staging() as aside:
        bucket.download(name, aside / "file", size)
        with (aside / "file").open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def parse_object(path: str, text: bytes, root: str) -> StoredObject:
    """Parse a stored manifest; raises StorageError where it is none."""
    return StoredObject(path, text, parse_manifest(text, path, root))
