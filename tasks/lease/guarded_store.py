"""A store through which a run, or a person by hand, publishes: each swap of a ref goes by the lease."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from ctr_retrain.tasks.integrity.file_digests import Difference
from ctr_retrain.tasks.lease.lease import is_guarded
from ctr_retrain.tasks.store.protocol import Ref, Store


class Guard(Protocol):
    """The right by which somebody publishes."""

    def swap(self, store: Store, name: str, value: dict[str, Any], expected: Ref | None) -> Ref:
        """Swap a ref as `Store.swap_ref` does; raises BusyError where the right is lost."""

    def check(self) -> None:
        """Look into the store and raise BusyError where the right is lost."""

    def check_known(self) -> None:
        """Raise BusyError where the right is known to be lost; costs nothing."""


class GuardedStore:
    """A store for whoever holds a right to publish.

    Refs are what makes anything current, so they are guarded without a gap. Objects, pages and removals are looked
    after by asking for the right just before: what comes a moment too late is an object that no ref names, or a page
    that the next run writes again.
    """

    def __init__(self, store: Store, guard: Guard) -> None:
        """Take the store itself, and the right."""
        self._store, self._guard = store, guard

    @property
    def root(self) -> str:
        """Return the place of the store, for people."""
        return self._store.root

    # --- what publishes, or removes

    def swap_ref(self, name: str, value: dict[str, Any], expected: Ref | None, *, token: int | None = None) -> Ref:  # noqa: ARG002 - the guard knows it
        """Set the ref by the right to publish."""
        return self._guard.swap(self._store, name, value, expected)

    @contextlib.contextmanager
    def writing(self, path: str, meta: dict[str, Any]) -> Iterator[Path]:
        """Give a folder to fill; the object exists once it is whole, if the right still holds then."""
        self._guard.check_known()
        with self._store.writing(path, meta) as folder:
            yield folder
            self._guard.check()

    def remove(self, paths: Iterable[str], needed: Callable[[], Collection[str]] = set, /) -> list[str]:
        """Remove objects, if the right holds."""
        self._guard.check()
        return self._store.remove(paths, needed)

    def write_page(self, name: str, text: str) -> None:
        """Put a page right below the root, if the right holds."""
        self._guard.check()
        self._store.write_page(name, text)

    # --- what a run that has lost its right asks for in vain: so it ends soon, and not after hours of training

    def read_ref(self, name: str) -> Ref | None:
        """Read a ref."""
        if is_guarded(name):
            self._guard.check_known()
        return self._store.read_ref(name)

    def manifest(self, path: str) -> dict[str, Any] | None:
        """Return the content of an object's manifest."""
        self._guard.check_known()
        return self._store.manifest(path)

    def open(self, path: str) -> Path | None:
        """Return a local folder with an object's files."""
        self._guard.check_known()
        return self._store.open(path)

    def file(self, path: str, name: str) -> Path | None:
        """Return one local file of an object."""
        self._guard.check_known()
        return self._store.file(path, name)

    # --- what needs no right

    def ref_age(self, name: str) -> timedelta | None:
        """Return how long ago the ref was written."""
        return self._store.ref_age(name)

    def list_refs(self, folder: str) -> list[str]:
        """List the names of the refs in a folder."""
        return self._store.list_refs(folder)

    def ref_marks(self, folder: str, after: str = "") -> dict[str, str]:
        """List the refs in a folder, each with a mark that changes with every write."""
        return self._store.ref_marks(folder, after)

    def mend(self, path: str, names: Collection[str]) -> bool:
        """Replace local copies of an object's files."""
        return self._store.mend(path, names)

    def damaged_files(self, path: str) -> list[Difference]:
        """Read all files of an object where they lie, and find what its manifest doesn't say."""
        return self._store.damaged_files(path)

    def address(self, path: str, name: str) -> str:
        """Return the address of an object's file."""
        return self._store.address(path, name)

    def list_objects(self, folder: str) -> list[str]:
        """List the paths of the complete objects right below a folder."""
        return self._store.list_objects(folder)

    def list_candidates(self, folder: str, after: str = "") -> list[str]:
        """List the paths right below a folder at which objects are."""
        return self._store.list_candidates(folder, after)

    def ages(self) -> dict[str, timedelta]:
        """Return how long ago each complete object was published."""
        return self._store.ages()

    def collecting(self) -> contextlib.AbstractContextManager[set[str]]:
        """Give the paths of objects that live processes use."""
        return self._store.collecting()

    def stays(self, path: str) -> bool:
        """Return True if an object that a ref has just come to name is safe."""
        return self._store.stays(path)

    def sweep(self) -> int:
        """Remove what writers that died left behind."""
        return self._store.sweep()

    def check_swaps(self) -> None:
        """Raise StorageError where a swap on an old version would not be refused."""
        self._store.check_swaps()

    def read_page(self, name: str) -> bytes | None:
        """Read what was put right below the root."""
        return self._store.read_page(name)

    def service_time(self) -> datetime | None:
        """Return the time by which the service dates what is written."""
        return self._store.service_time()
