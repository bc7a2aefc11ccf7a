"""Faults planted into daily counts: what loggers, bots, deliveries and campaigns do wrong from one day on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Counts = NDArray[np.int64]

Change = Callable[["Counts", "Counts", int, int, np.random.Generator], None]


@dataclass(frozen=True)
class CountFault:
    """A fault by name. `change` alters one day's rows and positives, (campaigns, devices), in place.

    It is told the largest campaign of the fault's first day, and how many days the fault is old, the first being 0.
    """

    name: str
    change: Change


def plant(
    fault: CountFault, rows: Counts, positives: Counts, first: int, last: int, rng: np.random.Generator
) -> tuple[Counts, Counts]:
    """Return counts, (days, campaigns, devices), with a fault on the days from `first` to before `last`."""
    rows, positives = rows.copy(), positives.copy()
    largest = int(rows[first].sum(axis=1).argmax())
    for day in range(first, min(last, len(rows))):
        fault.change(rows[day], positives[day], largest, day - first, rng)
    return rows, positives


def lose_clicks(share: float, device: int | None = None) -> Change:
    """Lose a share of the clicks, of one device or of all."""
    chosen = slice(None) if device is None else device

    def change(_rows: Counts, positives: Counts, _largest: int, _age: int, rng: np.random.Generator) -> None:
        positives[:, chosen] = rng.binomial(positives[:, chosen], 1 - share)

    return change


def add_bots(share: float) -> Change:
    """Add impressions of bots, which never click, to the largest campaign on android; share: of all impressions."""

    def change(rows: Counts, _positives: Counts, largest: int, _age: int, _rng: np.random.Generator) -> None:
        rows[largest, 0] += round(int(rows.sum()) * share / (1 - share))

    return change


def deliver_twice(rows: Counts, positives: Counts, _largest: int, _age: int, _rng: np.random.Generator) -> None:
    """Deliver all files twice, the second time under other ids."""
    rows *= 2
    positives *= 2


def lose_half_of_the_files(rows: Counts, positives: Counts, _largest: int, _age: int, rng: np.random.Generator) -> None:
    """Lose half of the impressions, whose clicks then belong to nothing."""
    kept = rng.binomial(rows, 0.5)
    positives[:] = rng.hypergeometric(positives, rows - positives, kept)
    rows[:] = kept


def kill_largest_campaign(_rows: Counts, positives: Counts, largest: int, _age: int, _rng: np.random.Generator) -> None:
    """Lose all clicks of the largest campaign."""
    positives[largest] = 0


def slide(_rows: Counts, positives: Counts, _largest: int, age: int, rng: np.random.Generator) -> None:
    """Lose 3 % more of the clicks each day."""
    positives[:] = rng.binomial(positives, 0.97 ** (age + 1))


FAULTS = (
    CountFault("channel -40 %", lose_clicks(0.4)),
    CountFault("android -40 %", lose_clicks(0.4, 0)),
    CountFault("ios -40 %", lose_clicks(0.4, 1)),
    CountFault("web loses all", lose_clicks(1.0, 2)),
    CountFault("bots 30 %", add_bots(0.3)),
    CountFault("bots 50 %", add_bots(0.5)),
    CountFault("delivered twice", deliver_twice),
    CountFault("half of the files", lose_half_of_the_files),
    CountFault("largest campaign dead", kill_largest_campaign),
    CountFault("slide of 3 % a day", slide),
)
