"""Days of an unusual volume, such as holidays, and what they add to their channel's ratio: learnt as weekdays are.

A holiday shows in its volume, however few clicks it has. Taken for a day like any other it would pull the ratio's level
along, and the days after it would look like a slide.
"""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ctr_retrain.models.levels.measures import Change

SURE = 3.5  # standard errors of a volume that is unusual
SIZE = log(1.16)  # and how far it lies from its weekday's
MOST_DAYS = 3  # such days on end: more are how traffic is now
FEWEST_DAYS = 14  # of history, two of each weekday, before which no volume is known to be unusual
EFFECT = 0.15  # standard deviation of what such days add, before any was seen
QUIET, BUSY = 0, 1


class UnusualDays:
    """Effects of quiet and busy days on a ratio's log-odds; arrays of shape (2,), quiet days first."""

    def __init__(self) -> None:
        """Begin without having seen one."""
        self.effect = np.zeros(2)
        self.variance = np.full(2, EFFECT**2)
        self.on_end = 0

    def kind(self, volume: Change, days: float) -> int | None:
        """Return `QUIET` or `BUSY` for a day of unusual volume, None for others; days: of the volume's history."""
        return self._kind(volume, days) if self.on_end < MOST_DAYS else None

    def mean(self, kind: int | None) -> float:
        """Return what a day of this kind is expected to add."""
        return 0.0 if kind is None else float(self.effect[kind])

    def uncertainty(self, kind: int | None) -> float:
        """Return the variance of what a day of this kind adds."""
        return 0.0 if kind is None else float(self.variance[kind])

    def learn(self, volume: Change, days: float, surprise: float, deviation2: float, *, teaches: bool) -> None:
        """Follow a day; surprise: of its ratio beside all that was expected of it, whose variance is `deviation2`."""
        kind = self.kind(volume, days)
        if kind is not None and teaches:
            gain = self.variance[kind] / deviation2
            self.effect[kind] += gain * surprise
            self.variance[kind] *= 1 - gain
        self.on_end = self.on_end + 1 if self._kind(volume, days) is not None else 0

    @staticmethod
    def _kind(volume: Change, days: float) -> int | None:
        size = float(volume.size[0])
        if days < FEWEST_DAYS or abs(float(volume.errors[0])) < SURE or abs(size) < SIZE:
            return None
        return QUIET if size < 0 else BUSY
