"""Progress of long work: a bar on a terminal, plain lines elsewhere. Always on stderr."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

SECONDS_BETWEEN_LINES = 15  # in a log, where a line stays

Report = Callable[[int, int], None]  # done, in all
Listener = Callable[[str, int, int], None]  # what, done, in all

_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextlib.contextmanager
def told_of_progress(listener: Listener) -> Iterator[None]:
    """Call the listener with each report of work that this process does while this lasts."""
    before = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(before)


@contextlib.contextmanager
def progress_of(what: str, unit: str) -> Iterator[Report]:
    """Give a function to be called with (done, in all) as often as one likes."""
    with _shown(what, unit) as show:
        listener = _listener.get()

        def report(done: int, total: int) -> None:
            show(done, total)
            if listener:
                listener(what, done, total)

        yield report


@contextlib.contextmanager
def _shown(what: str, unit: str) -> Iterator[Report]:
    """Show a bar where there is a terminal, else lines."""
    if not sys.stderr.isatty():
        yield progress_lines(what, unit)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(f"{unit}, {{task.speed:,.0f}}/s" if unit == "rows" else unit),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True, speed_estimate_period=10) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def progress_lines(what: str, unit: str) -> Report:
    """Write plain lines with speed and time left; work that ends before the first of them says nothing."""
    started = last = monotonic()
    told = False
    first: int | None = None  # the first report; resumed work begins in the middle

    def report(done: int, total: int) -> None:
        nonlocal started, last, first, told
        now = monotonic()
        if first is None:
            started, first = now, done
        if now - last >= SECONDS_BETWEEN_LINES or (done == total and told):
            last, told = now, True
            per_second = (done - first) / (now - started) if now > started else 0.0
            speed = f"{per_second:,.0f} {unit}/s, " if unit == "rows" else ""
            left = (total - done) / per_second if per_second else 0
            sys.stderr.write(f"{what}: {done:,} of {total:,} {unit}, {speed}{left:.0f} s left\n")

    return report
