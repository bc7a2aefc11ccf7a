"""An object in a bucket: its manifest as it is stored, and the files that this names."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ctr_retrain.models.errors import StorageError
from ctr_retrain.tasks.store.cache import Blob
from ctr_retrain.tasks.store.protocol import parse_stored_json

if TYPE_CHECKING:
    from pathlib import Path

    from ctr_retrain.tasks.store.s3_bucket import Bucket

WRITER = "writer"  # key in a manifest: the name that the writer gave itself
BY = ".by-"  # between an object's path and its writer's name, in the folder of its files
FILE_KEYS = {"path", "bytes", "sha256"}  # that a manifest has for each file


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

    @property
    def writer(self) -> str:
        """Return the name of the writer that published it; empty in a root that was copied from a local disk."""
        return str(self.content.get(WRITER, ""))


def blob_of(bucket: Bucket, stored: StoredObject, entry: dict[str, Any]) -> Blob:
    """Return a file of an object, by its entry in the manifest, for the cache to fetch and verify."""
    name, digest = f"{stored.files}/{entry['path']}", str(entry["sha256"])

    def fetch(target: Path) -> None:
        for _ in range(2):  # once more where the bytes are wrong: they may have been damaged on the way
            bucket.download(name, target, entry["bytes"])
            with target.open("rb") as file:
                received = hashlib.file_digest(file, "sha256").hexdigest()
            if received == digest:
                return
        msg = (
            f"file {entry['path']} of {stored.path} under {bucket.url}: expected SHA-256 {digest}, received "
            f"{received} twice. It is damaged where it lies: restore it from a backup, or remove the object's "
            "manifest and run again."
        )
        raise StorageError(msg)

    return Blob(entry["path"], digest, fetch)


def parse_object(path: str, text: bytes, root: str) -> StoredObject:
    """Parse a stored manifest; raises StorageError for one that names no files."""
    content = parse_stored_json(text, f"manifest of {path}", root)
    files = content.get("files")
    if not isinstance(files, list) or not all(isinstance(file, dict) and file.keys() >= FILE_KEYS for file in files):
        msg = (
            f"manifest of {path} in {root}: expected files, each with {', '.join(sorted(FILE_KEYS))}, "
            "received something else. Restore it from a backup."
        )
        raise StorageError(msg)
    return StoredObject(path, text, content)
