"""A day too large for one machine, in pieces: each holds the rows of one bucket of events and is an object of its own.

An event's bucket is a hash of its id, so its impression, its duplicates and its outcomes meet in one piece, and a piece
is made by the code that makes a whole day. What is counted of pieces adds up to what is counted of the day.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctr_retrain.models.errors import StorageError
from ctr_retrain.tasks.store import layout

if TYPE_CHECKING:
    from pathlib import Path

    from ctr_retrain.tasks.store.protocol import Store

SHARDS = "pieces"  # in the manifest of an object whose rows lie in pieces: their paths


@dataclass(frozen=True)
class Shard:
    """One of so many buckets of events, counted from 0."""

    number: int = 0
    of: int = 1

    @property
    def holds(self) -> str:
        """The condition, as SQL, that a row's event is in the bucket."""
        return f"hash(event_id) % {self.of} = {self.number}" if self.of > 1 else "true"


WHOLE = Shard()


def shards(count: int) -> list[Shard]:
    """All buckets where there are so many."""
    return [Shard(number, count) for number in range(count)]


def shard_of(path: str, shard: Shard) -> str:
    """The object that holds an object's rows of one bucket."""
    return layout.shard_object(path, shard.number, shard.of)


def opened(store: Store, path: str, shard: Shard = WHOLE) -> list[Path]:
    """The folders that hold an object's rows, or at least those of one bucket.

    An object that was cut into another number of pieces is opened whole: its rows of the bucket lie in all of them.
    Raises StorageError where any of them is missing: its rows would be missing without a word.
    """
    manifest = store.manifest(path)
    shards: list[str] = [path] if manifest is None else manifest.get(SHARDS, [path])
    if shard_of(path, shard) in shards:
        shards = [shard_of(path, shard)]
    return [open_existing(store, shard) for shard in shards]


def open_existing(store: Store, path: str) -> Path:
    """The folder of an object that something names; raises StorageError where it is gone."""
    folder = store.open(path)
    if folder is None:
        msg = (
            f"{path} under {store.root}: expected the object, which a ref or another object names, received none: it "
            "was removed, perhaps by `gc` on another machine meanwhile. Run `ingest` for its day, then run again."
        )
        raise StorageError(msg)
    return folder
