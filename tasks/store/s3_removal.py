"""Removing objects from a bucket while others, whom no lock reaches, may come to need them.

Before an object goes, `removing/NAME.json` says so; then what is needed is looked at once more, and only what is not
goes, its manifest first. Whoever swapped a ref looks afterwards for such a mark on the object that it names, waits for
its end, and makes the object anew where it is gone then. So either the ref was there before that second look, or its
writer sees the mark. What a process that died was removing, a later one ends.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ctr_retrain.models.errors import StorageError
from ctr_retrain.tasks.store.protocol import MANIFEST, parse_stored_json
from ctr_retrain.tasks.store.s3_errors import ConflictError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from ctr_retrain.tasks.store.s3_bucket import Bucket
    from ctr_retrain.tasks.store.s3_object import StoredObject

REMOVING = "removing/"
WITHIN = timedelta(minutes=2)  # from a mark to the end of its manifest: one that is older has no living owner
AT_ONCE = 200  # objects that are marked before what is needed is looked at once more
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Removal:
    """How objects leave a bucket."""

    bucket: Bucket
    find: Callable[[str], StoredObject | None]
    within: timedelta = WITHIN

    def remove(self, paths: Sequence[str], needed: Callable[[], Collection[str]]) -> list[str]:
        """Remove the objects but those that `needed` names once all are marked; returns their paths.

        Raises StorageError where that took so long that another process may have taken this one for dead.
        """
        self._end_what_others_began()
        removed: list[str] = []
        for start in range(0, len(paths), AT_ONCE):
            removed += self._remove_some(paths[start : start + AT_ONCE], needed)
        return removed

    def wait(self, path: str) -> None:
        """Until nobody who had marked the object before now can remove it any more."""
        while any(self._age(mark.modified) < self.within for mark in self.bucket.keys(_mark(path))):
            time.sleep(POLL_SECONDS)

    def _remove_some(self, paths: Sequence[str], needed: Callable[[], Collection[str]]) -> list[str]:
        began = time.monotonic()
        found = [stored for path in paths if (stored := self.find(path)) is not None]
        marked = [stored for stored in found if self._marks(stored)]
        spared = set(needed()) if marked else set()
        going = [stored for stored in marked if stored.path not in spared]
        if time.monotonic() - began > WITHIN.total_seconds() / 2:
            self.bucket.delete([_mark(stored.path) for stored in marked])
            msg = (
                f"gc of {self.bucket.url}: expected to mark {len(marked)} objects and look at the refs within "
                f"{WITHIN / 2}, received no end. Nothing of these was removed. Run again."
            )
            raise StorageError(msg)
        self.bucket.delete([f"{stored.path}/{MANIFEST}" for stored in going])
        for stored in going:
            self._delete_below(stored.files)
        self.bucket.delete([_mark(stored.path) for stored in marked])
        return [stored.path for stored in going]

    def _marks(self, stored: StoredObject) -> bool:
        """Whether the object is now marked by this process; another that has marked it removes it."""
        said = json.dumps({"path": stored.path, "files": stored.files}).encode()
        try:
            self.bucket.write(_mark(stored.path), said, IfNoneMatch="*")
        except ConflictError:
            return False
        return True

    def _end_what_others_began(self) -> None:
        """Delete files whose manifest a process took away before it died; what still has it is as it was."""
        for mark in list(self.bucket.keys(REMOVING)):
            stored = self.bucket.read(mark.name) if self._age(mark.modified) >= self.within else None
            if stored is not None:
                said = parse_stored_json(stored[0], mark.name, self.bucket.url)
                standing = self.find(said["path"])
                if standing is None or standing.files != said["files"]:
                    self._delete_below(said["files"])
                self.bucket.delete([mark.name])

    def _delete_below(self, files: str) -> None:
        """All files of one writer; a manifest among them is another's, where the object lay beside its manifest."""
        names = (stored.name for stored in self.bucket.keys(f"{files}/"))
        self.bucket.delete([name for name in names if name != f"{files}/{MANIFEST}"])

    def _age(self, modified: datetime) -> timedelta:
        return self.bucket.now() - modified


def _mark(path: str) -> str:
    return f"{REMOVING}{hashlib.sha256(path.encode()).hexdigest()[:32]}.json"
