"""A bucket as a plan, or a replay of past nights, looks at it: each key is read once, landed days are listed together.

Only for whoever looks, while nothing changes or changes are no matter: what is written meanwhile doesn't show. A run
that publishes reads by a bucket of its own; a pickled copy remembers nothing.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctr_retrain.tasks.store.s3_bucket import Bucket, ListedKey, S3Access

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

LISTED_AHEAD = 1000  # keys, which is what a service answers at once
MOST_KEPT = 200_000  # keys that are remembered, some 100 MB; then all are forgotten and listed anew
LAST = chr(0x10FFFF)  # after every name


class ReadOnce(Bucket):
    """A bucket whose keys are as they were when they were first read."""

    def __init__(self, bucket: str, prefix: str = "", access: S3Access | None = None) -> None:
        """Take what a bucket takes; nothing is asked of the service yet."""
        super().__init__(bucket, prefix, access)
        self._known: dict[str, tuple[bytes, str] | None] = {}

    def read(self, name: str) -> tuple[bytes, str] | None:
        """Read a key's bytes and ETag; None where there was no such key."""
        if name not in self._known:
            self._known[name] = super().read(name)
        return self._known[name]


@dataclass(frozen=True)
class _Stretch:
    """Folders beside each other that a listing has told of."""

    beside: str  # the folder in which they are
    first: str
    end: str  # the folder before which they end
    keys: Mapping[str, Sequence[ListedKey]]  # by folder

    def holds(self, folder: str) -> bool:
        """Return True if a folder was told of, or would have been."""
        return self.beside == _above(folder) and self.first <= folder < self.end


class ListedAhead(Bucket):
    """A bucket whose folders are as they were when they were first listed, each with the folders right behind it."""

    def __init__(self, bucket: str, prefix: str = "", access: S3Access | None = None) -> None:
        """Take what a bucket takes; nothing is asked of the service yet."""
        super().__init__(bucket, prefix, access)
        self._stretches: list[_Stretch] = []
        self._kept = 0  # keys of all of them

    def keys(self, folder: str, after: str = "") -> Iterator[ListedKey]:
        """List all keys that begin with `folder`, which ends in a slash; from behind a key on they are asked anew."""
        if after:
            return super().keys(folder, after)
        known = next((one for one in self._stretches if one.holds(folder)), None) or self._list_from(folder)
        return iter(known.keys.get(folder, ()))

    def _list_from(self, folder: str) -> _Stretch:
        """List a folder and those behind it, as many as are known whole by so many keys."""
        beside = _above(folder)
        end, found, count = f"{beside}{LAST}", defaultdict[str, list[ListedKey]](list), 0
        # From before the folder itself: consoles make a key of its very name.
        for count, key in enumerate(super().keys(beside, after=folder.rstrip("/")), start=1):
            own = f"{beside}{key.name.removeprefix(beside).partition('/')[0]}/"
            before = key.name[: len(own)]  # all folders before this are known whole
            if count >= LISTED_AHEAD and before > folder:
                end = before
                break
            if key.name.startswith(own):  # else it is a file beside the folders
                found[own].append(key)
        if self._kept + count > MOST_KEPT:
            self._stretches, self._kept = [], 0
        self._kept += count
        self._stretches.append(_Stretch(beside, folder, end, found))
        return self._stretches[-1]


def _above(folder: str) -> str:
    """Return the folder in which a folder is, with the slash at its end; empty where that is the prefix itself."""
    return folder[: folder.rfind("/", 0, -1) + 1]
