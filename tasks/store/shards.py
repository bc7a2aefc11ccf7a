"""Shards of a day that is too large for one machine: each holds some of its events and is an object of its own.

An event's shard is a hash of its id, so its impression, its duplicates and its outcomes meet in one shard, which is
made by the code that makes a whole day. The counts of the shards add up to those of the day.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctr_retrain.models.errors import StorageError
from ctr_retrain.tasks.integrity.manifest import Manifest, Sharded
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.protocol import load_manifest

if TYPE_CHECKING:
    from pathlib import Path

    from ctr_retrain.tasks.store.protocol import Store

SHARDS = "pieces"  # key in the manifest of an object whose rows lie in shards: the shards' paths


@dataclass(frozen=True)
class Shard:
    """One of a day's shards."""

    number: int = 0  # counted from 0
    of: int = 1  # how many shards the day has

    @property
    def holds(self) -> str:
        """Return the condition, as SQL, that a row's event is in the shard."""
        return f"hash(event_id) % {self.of} = {self.number}" if self.of > 1 else "true"


WHOLE = Shard()  # the only shard of a day that isn't cut


def shards(count: int) -> list[Shard]:
    """Return all shards of a day that is cut into so many."""
    return [Shard(number, count) for number in range(count)]


def shard_of(path: str, shard: Shard) -> str:
    """Return the path of the object that holds an object's rows of one shard."""
    return layout.shard_object(path, shard.number, shard.of)


def open_shards(store: Store, path: str, shard: Shard = WHOLE) -> list[Path]:
    """Open the folders that hold an object's rows, or at least those of one shard; see `shard_paths`.

    Raises StorageError where one of them is missing: its rows would be missing without a word.
    """
    return [open_existing(store, found) for found in shard_paths(store, path, shard)]


def shard_paths(store: Store, path: str, shard: Shard = WHOLE) -> list[str]:
    """Return the paths of the objects that hold an object's rows, or at least those of one shard.

    Of an object that was cut into another number of shards all are needed: rows of the wanted shard lie in each.
    """
    sharded = load_manifest(store, path, Sharded)
    found = list(sharded.shards) if sharded and sharded.shards else [path]
    own = shard_of(path, shard)
    return [own] if own in found else found


def shard_files(store: Store, path: str, beginning: str) -> list[Path]:
    """Return local copies of an object's files, of all shards, whose names begin so; no others are fetched.

    Raises StorageError where a shard is missing.
    """
    files: list[Path] = []
    for shard in shard_paths(store, path):
        manifest = load_manifest(store, shard, Manifest)
        names = [entry.path for entry in manifest.files] if manifest else []
        found = [store.file(shard, name) for name in names if name.startswith(beginning)]
        if manifest is None or None in found:
            raise _missing(store, shard)
        files += [file for file in found if file]
    return files


def open_existing(store: Store, path: str) -> Path:
    """Open the folder of an object that a ref or another object names; raises StorageError where it is gone."""
    folder = store.open(path)
    if folder is None:
        raise _missing(store, path)
    return folder


def _missing(store: Store, path: str) -> StorageError:
    """Make the error of an object that is named and gone."""
    msg = (
        f"{path} under {store.root}: expected the object, which a ref or another object names, received none: it "
        "was removed, perhaps by `gc` on another machine meanwhile. Run `ingest` for its day, then run again."
    )
    return StorageError(msg)
