"""Names in use: what each live process uses, in a file that the kernel keeps locked until the process ends.

However a process ends, its lock ends with it; so nothing is ever taken from under a live process, and nothing is kept
for a dead one. That holds between the processes and threads of one machine.
"""

from __future__ import annotations

import fcntl
import os
import threading
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ctr_retrain.tasks.store.staging import is_held, locked

MARKS = "leases"  # the folder's name in every root and cache: marks were called leases when the first were written


class NamesInUse:
    """Marks below a folder: `lock`, which keeps naming and collecting apart, and a file a process, a name a line."""

    def __init__(self, folder: Path) -> None:
        """Take the folder, which the first name makes."""
        self._folder = folder
        self._mark: tuple[int, int, set[str], Path] | None = None  # process, descriptor, names, file
        self._thread_lock = threading.Lock()
        self._collector: int | None = None  # the thread that collects: what it only looks at needs no name

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the names without this process's own mark: another process makes one itself."""
        return NamesInUse, (self._folder,)

    def name(self, names: Iterable[str]) -> None:
        """Name in the mark what this process is about to use, before it looks for it."""
        wanted = set(names)
        if self._collector == threading.get_ident():
            return
        with self._thread_lock:
            if self._mark is not None and self._mark[0] == os.getpid() and wanted <= self._mark[2]:
                return
            self._folder.mkdir(parents=True, exist_ok=True)
            with locked(self._folder / "lock", shared=True):  # others may name things at the same time, none collects
                if self._mark is None or self._mark[0] != os.getpid():
                    descriptor, path = self._new_mark()
                    self._mark = (os.getpid(), descriptor, set(), path)
                _, _, known, path = self._mark
                with path.open("a", encoding="utf-8") as file:
                    file.writelines(f"{name}\n" for name in sorted(wanted - known))
                known |= wanted

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Keep all processes from naming anything more while this lasts."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with locked(self._folder / "lock"):
            self._collector = threading.get_ident()
            try:
                yield
            finally:
                self._collector = None

    def all_names(self) -> set[str]:
        """Return the names that live processes use, and remove the marks of dead ones."""
        names: set[str] = set()
        for mark in (self._folder / MARKS).glob("*"):
            if is_held(mark):
                names |= set(mark.read_text(encoding="utf-8").splitlines())
            else:
                mark.unlink(missing_ok=True)
        return names

    def sweep(self) -> None:
        """Remove the marks of dead processes."""
        if (self._folder / MARKS).is_dir():
            with self.collecting():
                self.all_names()

    def _new_mark(self) -> tuple[int, Path]:
        """Make a file that is locked until this process ends; opened to read only, so that its disk may become so."""
        path = self._folder / MARKS / uuid.uuid4().hex
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDONLY | os.O_CREAT, 0o666)  # never closed: it goes with the process
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return descriptor, path
