"""Numbers of a first recipe that follow from the days seen: windows, bounds, and the first day with a full verdict."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from math import ceil, floor, log10
from typing import TYPE_CHECKING

from ctr_retrain.models.architectures.shipped_networks import LINEAR

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

WINDOWS_HOURS = (1, 6, 12, 24, 48, 72, 120, 168, 336, 720, 1440)  # to choose an attribution window from
MOST_WINDOW_DAYS, FEWEST_WINDOW_DAYS, MOST_VALIDATION_DAYS = 14, 3, 7
WANTED_POSITIVES = 200  # on the validation days: the gate's own default
FEWEST_POSITIVES = 20
DEFAULT_GATE_ROWS = 5000
SMALL_WINDOW = 500_000  # rows of the training window, below which the linear network is the one to begin with
FEWEST_RUNS_DAYS = 30
SLACK = 3.0  # between what was seen and a bound that rejects a day


@dataclass(frozen=True)
class SeenDay:
    """A day of the file, in rows of the whole file."""

    day: date
    rows: int
    hours: int  # with impressions
    hours_left: float  # from the last impression to the day's end
    positives: int
    same_day: int  # positives whose outcome came by the day's end


@dataclass(frozen=True)
class SeenDelays:
    """Hours from an impression to its outcome, of outcomes with a time of their own."""

    middle: float
    high: float  # 95 of 100 come earlier


@dataclass(frozen=True)
class DayNumbers:
    """Numbers of the recipe."""

    attribution_window_hours: int
    positive_ratio: tuple[float, float]
    window_days: int
    validation_days: int
    network: str  # empty: the default
    min_rows: int  # of a day
    min_hours: int
    max_hours_since_last_event: float
    gate_min_rows: int
    gate_min_positives: int
    first_full_day: date  # that a verdict can be for, by the days seen
    missing_days: int  # that have to land before; 0: that day is there
    runs_days: int  # that runs are kept


def choose_numbers(days: Sequence[SeenDay], delays: SeenDelays | None) -> DayNumbers:
    """Return the numbers that fit the days, which are in order and at least one."""
    whole = whole_days(days)
    hours = attribution_window(delays)
    rows = max(1, sum(day.rows for day in whole) // len(whole))
    positives = sum(day.positives for day in whole) / len(whole)
    validation = min(MOST_VALIDATION_DAYS, max(1, ceil(WANTED_POSITIVES / max(positives, 1))))
    maturity = ceil(hours / 24)
    room = len(whole) - maturity - validation
    window = min(MOST_WINDOW_DAYS, room) if room >= FEWEST_WINDOW_DAYS else FEWEST_WINDOW_DAYS
    expected = positives * validation
    first = whole[0].day + timedelta(days=window - 1 + validation + maturity)
    return DayNumbers(
        attribution_window_hours=hours,
        positive_ratio=ratio_bounds(whole),
        window_days=window,
        validation_days=validation,
        network=LINEAR if rows * window < SMALL_WINDOW else "",
        min_rows=rounded_down(min(day.rows for day in whole) / SLACK),
        min_hours=max(1, min(day.hours for day in whole)),
        max_hours_since_last_event=float(max(2, ceil(max(day.hours_left for day in whole)) + 1)),
        gate_min_rows=min(DEFAULT_GATE_ROWS, rounded_down(rows * validation / 2)),
        gate_min_positives=WANTED_POSITIVES
        if expected >= WANTED_POSITIVES
        else max(FEWEST_POSITIVES, rounded_down(expected / 2)),
        first_full_day=first,
        missing_days=max(0, (first - whole[-1].day).days),
        # Long enough to make each run of the last weeks again, from the first day of its window on.
        runs_days=max(FEWEST_RUNS_DAYS, 3 * (window + validation + maturity)),
    )


def whole_days(days: Sequence[SeenDay]) -> Sequence[SeenDay]:
    """Leave out the first and the last day where they are cut off, as those of most exports are."""
    inner = days[1:-1] or days
    hours = min(day.hours for day in inner)
    rows = min(day.rows for day in inner) / SLACK
    first, last = 0, len(days)
    if len(days) > 1 and (days[0].hours < hours or days[0].rows < rows):
        first = 1
    if last - first > 1 and (days[-1].hours < hours or days[-1].rows < rows):
        last -= 1
    return days[first:last]


def attribution_window(delays: SeenDelays | None) -> int:
    """Return the shortest usual window in hours that holds 95 of 100 outcomes; 0 where they come at once."""
    if delays is None or delays.high <= 0:
        return 0
    return next((hours for hours in WINDOWS_HOURS if hours >= delays.high), WINDOWS_HOURS[-1])


def ratio_bounds(days: Sequence[SeenDay]) -> tuple[float, float]:
    """Return bounds of a day's positive ratio by its end, well beyond the lowest and the highest that were seen."""
    ratios = [day.same_day / day.rows for day in days]
    low, high = min(ratios) / SLACK, max(ratios) * SLACK
    return (_one_digit(low, floor) if low else 0.0), min(1.0, _one_digit(max(high, 0.001), ceil))


def rounded_down(number: float) -> int:
    """Return a number with one digit that counts, at least 1."""
    return max(1, int(_one_digit(number, floor))) if number >= 1 else 1


def _one_digit(number: float, to_integer: Callable[[float], int]) -> float:
    """Return a positive number rounded to one digit that counts."""
    unit = 10.0 ** floor(log10(number))
    digits = to_integer(round(number / unit, 6))
    return float(f"{digits * unit:.6g}")
