"""Columns that appear, vanish or change their kind from day to day: what a model learned of them holds for some days.

A day is one of landing. Its counts are those that ingest made of the column's values.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from ctr_retrain.models.documents.weights_documents import TrainingWarning
from ctr_retrain.models.number_format import percent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SURELY_SOME = 20  # values that are expected of a day on which there is none: by chance, e⁻²⁰
FEWEST_TEXTS = 20  # of a day, by which its kind is told
NUMBERS, TEXTS = 0.9, 0.1  # shares of numbers from which on texts are numbers, and up to which they are other texts
RUNS_TOLD = 3  # runs of days in a sentence
ADVICE = (
    "What is learned of it holds for part of the days alone: look at the export of the others, and let training begin "
    "behind them or leave the feature out until then."
)


@dataclass(frozen=True)
class ColumnDay:
    """A column's values on one day."""

    day: date
    rows: int  # impressions
    filled: int  # of them with a value
    sampled: int = 0  # texts that were looked at; none of a column of numbers
    numbers: int = 0  # of them that are written as numbers


def column_warnings(columns: Mapping[str, Sequence[ColumnDay]]) -> tuple[TrainingWarning, ...]:
    """Return a warning for each column that isn't the same on all days; the days of each are in order."""
    sentences = (sentence for name, days in columns.items() for sentence in _changes(name, days))
    return tuple(TrainingWarning(name="column_change", message=f"{sentence}. {ADVICE}") for sentence in sentences)


def _changes(name: str, days: Sequence[ColumnDay]) -> Iterator[str]:
    """Say of a column on which days it has no value, and on which it holds numbers instead of other texts."""
    there = [day for day in days if day.filled]
    share = sum(day.filled for day in there) / max(1, sum(day.rows for day in there))
    empty = [day.day for day in days if not day.filled and day.rows * share >= SURELY_SOME]
    if empty:
        verb = _verb(empty, [day.day for day in there])
        yield f"Column {name!r} {verb}: no value on {_runs(empty)}, one on {percent(share)} of the rows of other days"
    told = [day for day in there if day.sampled >= FEWEST_TEXTS]
    numbers = [day.day for day in told if day.numbers >= NUMBERS * day.sampled]
    texts = [day.day for day in told if day.numbers <= TEXTS * day.sampled]
    if numbers and texts:
        yield f"Column {name!r} changes its kind: numbers on {_runs(numbers)}, other texts on {_runs(texts)}"


def _verb(empty: list[date], there: list[date]) -> str:
    """Say how empty days lie among those with values."""
    if empty[-1] < there[0]:
        return "appears"
    return "vanishes" if empty[0] > there[-1] else "comes and goes"


def _runs(days: list[date]) -> str:
    """Write days as runs of one after the other."""
    runs: list[list[date]] = []
    for day in days:
        if runs and day - runs[-1][-1] == timedelta(days=1):
            runs[-1].append(day)
        else:
            runs.append([day])
    told = [f"{run[0]} to {run[-1]}" if len(run) > 1 else str(run[0]) for run in runs[:RUNS_TOLD]]
    return ", ".join(told) + (" and later" if len(runs) > RUNS_TOLD else "")
