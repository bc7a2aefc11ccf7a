"""An object in a bucket: its manifest as it is stored, and where the files lie that it names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ctr_retrain.models.errors import StorageError
from ctr_retrain.tasks.store.protocol import parse_stored_json

WRITER = "writer"  # in a manifest
BY = ".by-"
FILE_KEYS = {"path", "bytes", "sha256"}


@dataclass(frozen=True)
class StoredObject:
    """A manifest as it is stored, and what it says."""

    path: str
    text: bytes
    content: dict[str, Any]

    @property
    def files(self) -> str:
        """Where its files lie: in a root that was copied from a local disk, beside the manifest."""
        return f"{self.path}{BY}{self.writer}" if self.writer else self.path

    @property
    def writer(self) -> str:
        """Who published it."""
        return str(self.content.get(WRITER, ""))


def parse_object(path: str, text: bytes, root: str) -> StoredObject:
    """The object of a stored manifest; raises StorageError for one that names no files."""
    content = parse_stored_json(text, f"manifest of {path}", root)
    files = content.get("files")
    if not isinstance(files, list) or not all(isinstance(file, dict) and file.keys() >= FILE_KEYS for file in files):
        msg = (
            f"manifest of {path} in {root}: expected files, each with {', '.join(sorted(FILE_KEYS))}, "
            "received something else. Restore it from a backup."
        )
        raise StorageError(msg)
    return StoredObject(path, text, content)
