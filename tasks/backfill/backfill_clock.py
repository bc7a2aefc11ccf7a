"""The clock of a backfill: how far it is, and about how long all that is left takes: days' data, validation, runs.

Told in lines on stderr, and to whoever else listens.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING

from ctr_retrain.models.number_format import duration
from ctr_retrain.tasks.backfill.time_left import StepsAfterStart, StepsInOrder, StepsSideBySide
from ctr_retrain.tasks.execution.progress import SECONDS_BETWEEN_LINES

if TYPE_CHECKING:
    from datetime import date

    from ctr_retrain.tasks.backfill.plan_backfill import LookedDays

INGESTING, VALIDATING = "ingesting", "validating"  # what the work on many days is called
START_SECONDS = 5.0  # of the library that validates, where no night tells
LEAST_SECONDS = 1.0  # of a run that is told by a line of its own

Tell = Callable[[float, str], None]  # the share that is done, from 0 to 1, and the words


def start_clock(
    looked: LookedDays, due: Sequence[date], runs: Sequence[float], at_once: int, tell: Tell
) -> BackfillClock:
    """Start the clock of a backfill, by what is due, in its order, and by what is usual.

    runs: the size of each day's run that is due.
    """
    usual, sizes = looked.usual, [looked.unread.get(day, 0) for day in due]
    ingest = None if usual.ingest_per_byte is None else usual.ingest_per_byte * sum(sizes)
    return BackfillClock(
        StepsSideBySide(sizes, at_once, ingest),
        StepsAfterStart(len(due), usual.validate or START_SECONDS),
        StepsInOrder(runs, usual.run),
        tell,
    )


@dataclass
class BackfillClock:
    """The time left of a backfill; it begins with it."""

    data: StepsSideBySide  # days that are ingested, in the order in which they are told
    checks: StepsAfterStart  # and validated
    runs: StepsInOrder  # then made
    tell: Tell
    clock: Callable[[], float] = monotonic
    left: float | None = None  # seconds, by the newest word; None where nothing tells
    _marks: dict[str, float] = field(default_factory=dict)  # by phase, when it began
    _told: float | None = None  # when a line was written last

    def __post_init__(self) -> None:
        """Begin."""
        self._marks = {"": self.clock(), INGESTING: self.clock()}

    def heard(self, what: str, done: int, total: int) -> None:
        """Take note of days whose data is ingested or validated by now."""
        now = self.clock()
        if what == INGESTING:
            ingest = self.data.left(done, now - self._marks[INGESTING])
            left = _sum(ingest, self.checks.left(0, 0.0), self.runs.left())
            if done == total:
                self._marks[VALIDATING] = now
        elif what == VALIDATING:
            began = self._marks.setdefault(VALIDATING, now)
            self.checks.count = total  # days beside them may have come in
            left = _sum(self.checks.left(done, now - began), self.runs.left())
        else:  # a stage of a run, which shows its own progress
            return
        self._say(f"{what}: {done} of {total} days", left, now, always=False)

    def begin_runs(self, sizes: Sequence[float]) -> None:
        """Take note that all data is ready, and of the runs' sizes, which are known by now."""
        self.runs = StepsInOrder(sizes, self.runs.usual)
        if sizes:
            self._say(f"{len(sizes)} days are to train", self.runs.left(), self.clock(), always=True)

    def ran(self, seconds: float) -> None:
        """Take note of the next run's end."""
        self.runs.done(seconds)
        words = f"{len(self.runs.took)} of {len(self.runs.sizes)} days that train are done"
        self._say(words, self.runs.left(), self.clock(), always=seconds >= LEAST_SECONDS)

    def end(self) -> None:
        """Take note that all is done."""
        self.tell(1.0, "done")

    def _say(self, words: str, left: float | None, now: float, *, always: bool) -> None:
        """Tell how far it is, in a line of its own where the last one is old, or always."""
        self.left = left
        if not always and self._told is not None and now - self._told < SECONDS_BETWEEN_LINES:
            return
        self._told = now
        unknown = "how long is left isn't known yet: no run tells how long one takes"
        line = f"{words}; {unknown if left is None else f'about {duration(left)} left'}"
        sys.stderr.write(f"backfill: {line}\n")
        spent = now - self._marks[""]
        done = len(self.runs.took) / max(1, len(self.runs.sizes))
        self.tell(done if left is None else spent / max(spent + left, 1e-9), line)


def _sum(*parts: float | None) -> float | None:
    """Add up what is left of each part; None where that is unknown of one."""
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None
