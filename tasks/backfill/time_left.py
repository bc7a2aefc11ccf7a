"""The time that is left of steps of which some are done: by how long those took, each by its size.

Before the first one is done, by what is usual. Nothing here reads a clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

STEPS_IN_A_START = 30  # of those that a library's start goes before
LEAST_SHARE = 0.02  # of the mean size, that a step of no size counts for


@dataclass
class StepsInOrder:
    """Steps one after the other, such as runs; one of size 0 takes hardly any time."""

    sizes: Sequence[float]
    usual: float | None  # seconds of a step as large as the largest of these; None where that is unknown
    took: list[float] = field(default_factory=list)  # seconds of each that is done, in their order

    def done(self, seconds: float) -> None:
        """Note the time of the next step."""
        self.took.append(seconds)

    def left(self) -> float | None:
        """Return about how many seconds the others take; None where nothing tells."""
        rest = self.sizes[len(self.took) :]
        done = list(zip(self.sizes, self.took, strict=False))
        small = [seconds for size, seconds in done if not size]
        quick = fmean(small) * sum(not size for size in rest) if small else 0.0
        sized = [size for size in rest if size]
        if not sized:
            return quick
        # What is usual counts as one of them: the first windows of a backfill are shorter than those to come.
        known = [] if self.usual is None else [(max(self.sizes), self.usual)]
        known += [(size, seconds) for size, seconds in done if size]
        if not known:
            return None
        # Of a run that nobody has measured yet, half is taken to go by its size: some mostly start, some mostly train.
        whole = (self.usual or 0.0) / 2
        fixed, by_size = _fitted(known) if len(known) > 1 or self.usual is None else (whole, whole / max(self.sizes))
        return quick + fixed * len(sized) + by_size * sum(sized)


@dataclass
class StepsSideBySide:
    """Steps of which several are under way at once, told in their order as soon as they and all before are done."""

    sizes: Sequence[float]
    at_once: int
    usual: float | None  # seconds of all of them; None where that is unknown

    def left(self, done: int, elapsed: float) -> float | None:
        """Return about how many seconds are left after so many; None where nothing tells."""
        least = LEAST_SHARE * (sum(self.sizes) / len(self.sizes) if self.sizes else 0.0)
        weights = [max(size, least) or 1.0 for size in self.sizes]
        if done >= len(weights):
            return 0.0
        if not done:
            return None if self.usual is None else max(0.0, self.usual - elapsed)
        # Those behind them are under way, and on average half done.
        worked = sum(weights[:done]) + sum(weights[done : done + self.at_once - 1]) / 2
        return elapsed * (sum(weights) - worked) / worked


@dataclass
class StepsAfterStart:
    """Short steps, one after the other, behind a start that takes longer than each of them."""

    count: int
    start: float  # its usual seconds
    first: float | None = None  # when the first step was done

    def left(self, done: int, elapsed: float) -> float:
        """Return about how many seconds are left after so many."""
        if not done:
            return max(0.0, self.start - elapsed) + self.count * self.start / STEPS_IN_A_START
        self.first = elapsed if self.first is None else self.first
        each = (elapsed - self.first) / (done - 1) if done > 1 else self.start / STEPS_IN_A_START
        return (self.count - done) * each


def _fitted(known: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return the seconds that a step takes whatever its size, and those by the size; neither is negative."""
    size, seconds = fmean(one for one, _ in known), fmean(one for _, one in known)
    spread = sum((one - size) ** 2 for one, _ in known)
    if spread < 0.01 * len(known) * size**2:
        return seconds, 0.0
    slope = sum((one - size) * (took - seconds) for one, took in known) / spread
    by_size = min(max(slope, 0.0), seconds / size)
    return seconds - by_size * size, by_size
