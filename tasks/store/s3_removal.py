"""Removal of objects from a bucket while others, whom no lock reaches, may come to need them.

Before an object goes, it is marked: `removing/NAME.json` says that it will. Then the refs are read once more, and only
objects that none of them needs go, their manifests first. Whoever swapped a ref looks afterwards for such a mark on the
object that it names, waits for its end, and makes the object anew where it is gone then. So either the ref was there
before the second reading, or its writer sees the mark. A removal that a dead process had begun is ended by a later one.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ctr_retrain.models.errors import StorageError
from ctr_retrain.tasks.integrity.conditional_writes import ConflictError
from ctr_retrain.tasks.integrity.manifest import MANIFEST
from ctr_retrain.tasks.store.s3_object import RemovalMark, parse_mark

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from ctr_retrain.tasks.store.s3_bucket import Bucket
    from ctr_retrain.tasks.store.s3_object import StoredObject

REMOVING = "removing/"  # the folder of the marks
WITHIN = timedelta(minutes=2)  # from a mark to the end of its manifest: one that is older has no living owner
AT_ONCE = 200  # objects that are marked before the refs are read once more
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Removal:
    """The removal of objects from a bucket."""

    bucket: Bucket
    find: Callable[[str], StoredObject | None]  # path → the object that stands there
    within: timedelta = WITHIN  # age from which a mark's owner is taken for dead

    def remove(self, paths: Sequence[str], needed: Callable[[], Collection[str]]) -> list[str]:
        """Remove the objects but those that `needed` names once all are marked, and return the paths of those removed.

        Raises StorageError where that took so long that another process may have taken this one for dead.
        """
        self._end_removals_of_the_dead()
        removed: list[str] = []
        for start in range(0, len(paths), AT_ONCE):
            removed += self._remove_batch(paths[start : start + AT_ONCE], needed)
        return removed

    def wait(self, path: str) -> None:
        """Wait until nobody who had marked the object before now can remove it any more."""
        while any(self._age(mark.modified) < self.within for mark in self.bucket.keys(_mark_key(path))):
            time.sleep(POLL_SECONDS)

    def _remove_batch(self, paths: Sequence[str], needed: Callable[[], Collection[str]]) -> list[str]:
        """Mark objects, read the refs once more, and remove what nobody needs."""
        began = time.monotonic()
        found = [stored for path in paths if (stored := self.find(path)) is not None]
        marked = [stored for stored in found if self._mark(stored)]
        spared = set(needed()) if marked else set()
        unneeded = [stored for stored in marked if stored.path not in spared]
        if time.monotonic() - began > WITHIN.total_seconds() / 2:  # others wait for a mark no longer than WITHIN
            self.bucket.delete([_mark_key(stored.path) for stored in marked])
            msg = (
                f"gc of {self.bucket.url}: expected to mark {len(marked)} objects and look at the refs within "
                f"{WITHIN / 2}, received no end. Nothing of these was removed. Run again."
            )
            raise StorageError(msg)
        self.bucket.delete([f"{stored.path}/{MANIFEST}" for stored in unneeded])
        for stored in unneeded:
            self._delete_below(stored.files)
        self.bucket.delete([_mark_key(stored.path) for stored in marked])
        return [stored.path for stored in unneeded]

    def _mark(self, stored: StoredObject) -> bool:
        """Mark an object; return False where another process has marked it, which then removes it."""
        content = json.dumps({"path": stored.path, "files": stored.files}).encode()
        try:
            self.bucket.write(_mark_key(stored.path), content, IfNoneMatch="*")
        except ConflictError:
            return False
        return True

    def _end_removals_of_the_dead(self) -> None:
        """Delete files whose manifest a process took away before it died; an object that still has it is unharmed."""
        for mark in list(self.bucket.keys(REMOVING)):
            stored = self.bucket.read(mark.name) if self._age(mark.modified) >= self.within else None
            if stored is not None:
                marked = parse_mark(RemovalMark, stored[0], mark.name, self.bucket.url)
                current = self.find(marked.path)
                if current is None or current.files != marked.files:
                    self._delete_below(marked.files)
                self.bucket.delete([mark.name])

    def _delete_below(self, files: str) -> None:
        """Delete all files of one writer; a manifest among them is another's, in a root copied from a local disk."""
        names = (stored.name for stored in self.bucket.keys(f"{files}/"))
        self.bucket.delete([name for name in names if name != f"{files}/{MANIFEST}"])

    def _age(self, modified: datetime) -> timedelta:
        """Return the age of a key by the service's clock, which dated it."""
        return self.bucket.now() - modified


def _mark_key(path: str) -> str:
    """Return the key of an object's mark."""
    return f"{REMOVING}{hashlib.sha256(path.encode()).hexdigest()[:32]}.json"
