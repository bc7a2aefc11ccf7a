"""Backfills whose days take simulated times, of mixed causes, and what the clock says of each of them."""

from dataclasses import dataclass
from itertools import accumulate
from random import Random

from ctr_retrain.tasks.backfill.backfill_clock import INGESTING, VALIDATING, BackfillClock
from ctr_retrain.tasks.backfill.time_left import StepsAfterStart, StepsInOrder, StepsSideBySide

SECONDS_PER_BYTE, FIXED_SECONDS, WINDOW = 2e-6, 12.0, 14
START_SECONDS = 4.0  # of the library that validates, once
CAUSES = {  # of a day, and how often each comes
    "missing": 10,  # it is ingested and trains
    "restated": 3,  # likewise
    "rejected": 1,  # nothing of it changed; its run ends at once
    "recorded": 2,  # its run is found
    "dies": 0.3,  # amid its run, which nobody can know before
}
INGESTED = ("missing", "restated", "dies")


@dataclass(frozen=True)
class Told:
    """What the clock said at some time, and what was true."""

    at: float
    left: float | None
    true: float  # seconds that really were left
    whole: float  # seconds of the whole backfill


def simulated_backfill(seed, *, trains=True, known=True, surprises=True):
    """What the clock says along a backfill; known: nights have told how long things take.

    surprises: days that are up to seven times as large as others, and runs that die.
    """
    chance = Random(seed)  # noqa: S311 - no secret
    days, at_once = chance.randint(8, 60), chance.randint(1, 4)
    causes = chance.choices([*CAUSES], [*CAUSES.values()], k=days)
    if not surprises:
        causes = ["missing" if cause == "dies" else cause for cause in causes]
    landed = [1.5e7 if surprises and chance.random() < 0.05 else _noisy(chance, 2e6, 0.3) for _ in causes]
    unread = [size if cause in INGESTED else 0 for size, cause in zip(landed, causes, strict=True)]
    windows = [sum(landed[max(0, number - WINDOW) : number]) for number in range(days)]
    quick = [cause in ("rejected", "recorded") or not window for cause, window in zip(causes, windows, strict=True)]
    sizes = [0.0 if one else window for one, window in zip(quick, windows, strict=True)]
    # That a run will be found is known once the days' data is in.
    planned = [
        window if cause == "recorded" else size for cause, window, size in zip(causes, windows, sizes, strict=True)
    ]
    by_byte = chance.choice([0.0, 3e-7, 3e-6])  # from runs that mostly start to those that mostly train
    runs = [_seconds(chance, cause, size, by_byte) for cause, size in zip(causes, sizes, strict=True)]
    told, now = [], [0.0]
    usual = _noisy(chance, FIXED_SECONDS + by_byte * WINDOW * 2e6, 0.1)
    clock = BackfillClock(
        StepsSideBySide(unread, at_once, SECONDS_PER_BYTE * sum(unread) if known else None),
        StepsAfterStart(days, _noisy(chance, START_SECONDS, 0.2)),
        StepsInOrder(planned if trains else [], usual if known else None),
        lambda share, words: None,
        lambda: now[0],
    )
    ends = list(_ends(chance, unread, at_once))
    for number, end in enumerate(ends, start=1):
        now[0] = end
        if end in ends[number:]:  # those that come with it are told at once
            continue
        clock.heard(INGESTING, number, days)
        told.append((end, clock.left))
    now[0] += START_SECONDS
    for number in range(1, days + 1):
        now[0] += _noisy(chance, 0.15, 0.3)
        clock.heard(VALIDATING, number, days)
        told.append((now[0], clock.left))
    if trains:
        clock.begin_runs(sizes)
        for seconds in runs:
            now[0] += seconds
            clock.ran(seconds)
            told.append((now[0], clock.left))
    return [Told(at, left, now[0] - at, now[0]) for at, left in told]


def _seconds(chance, cause, size, by_byte):
    """What the run of a day really takes."""
    whole = _noisy(chance, FIXED_SECONDS + by_byte * size, 0.15)
    return chance.uniform(0.1, 1) if not size else 0.3 * whole if cause == "dies" else whole


def _ends(chance, unread, at_once):
    """When each day's ingest is known to be done: once it and all before are."""
    free, ends = [0.0] * at_once, []
    for size in unread:
        worker = free.index(min(free))
        free[worker] += _noisy(chance, SECONDS_PER_BYTE * size, 0.2) + 0.05
        ends.append(free[worker])
    return accumulate(ends, max)


def _noisy(chance, seconds, share):
    return seconds * chance.uniform(1 - share, 1 + share)
