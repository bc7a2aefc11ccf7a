"""Threads that work on one thing together, none of which outlives it."""

from __future__ import annotations

from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from functools import partial
from threading import Semaphore
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

Given = ParamSpec("Given")
Result = TypeVar("Result")


class ThreadPool(ThreadPoolExecutor):
    """A pool whose `with` ends only when nothing works any more; after a failure nothing new begins.

    Python's own pool notes a thread after it was started. Where Ctrl-C comes between, that thread works on unnoticed
    while its caller closes the database, or removes the folder, that it works with.
    """

    def __init__(self, threads: int) -> None:
        """Start at most so many threads, each when there is work for it."""
        super().__init__(threads)
        self._most = threads
        self._idle = Semaphore(threads)
        self._ended = False

    def submit(self, work: Callable[Given, Result], /, *given: Given.args, **named: Given.kwargs) -> Future[Result]:
        """Let a thread do the work, and return what will hold its result."""
        return super().submit(self._do, partial(work, *given, **named))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait until all is done, or after a failure until what has begun is."""
        self.shutdown(cancel_futures=kind is not None)
        for _ in range(self._most):
            self._idle.acquire()
        self._ended = True  # for a thread that nobody noted, and that was not yet at work
        self._idle.release(self._most)

    def _do(self, work: Callable[[], Result]) -> Result:
        with self._idle:
            if self._ended:
                raise CancelledError
            return work()
