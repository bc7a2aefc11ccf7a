"""Drift: a day's positive ratio beside its history, the alerts that it raises, and numbers beside the window's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from ctr_retrain.models.documents.document import Day, Part, StoredDocument

Basis = Literal["same weekdays", "all days", "too little history"]
AlertLevel = Literal["warning", "critical"]


class Alert(Part):
    """Something that a person should look at."""

    name: str
    """The figure that is unusual, such as positive_ratio."""
    level: AlertLevel
    """Urgency."""
    channel: str
    """The channel that it was found in."""
    expected: tuple[float, float] | None
    """The lowest and the highest figure that are not unusual; null where there are none."""
    received: float | None
    """The figure that was found; null where there is none."""
    cause: str
    """A sentence: what happened, how sure that is, and what to check first."""


class DriftResult(Part):
    """One channel's day against its history. Figures are null where there is nothing to compare."""

    channel: str
    """The channel."""
    alert: bool
    """True if the change is large enough and sure enough to alert."""
    basis: Basis
    """The days of history that the expectation rests on."""
    days: int
    """Number of these days."""
    message: str = Field(alias="words")
    """A sentence with expected and received."""
    expected: float | None = None
    """The positive ratio that history leads one to expect."""
    low: float | None = None
    """The lowest ratio that doesn't alert."""
    high: float | None = None
    """The highest ratio that doesn't alert."""
    received: float | None = None
    """The day's positive ratio."""
    z: float | None = None
    """Standard errors between expected and received, day-to-day variation included."""
    effect: float | None = None
    """Relative change of the odds."""


class DayCounts(Part):
    """A channel's impressions of one day, as seen by the end of that day."""

    day: Day
    """The event day."""
    positives: int
    """Impressions with an outcome that counts."""
    rows: int
    """Impressions."""


class DriftDocument(StoredDocument):
    """The drift of a run's day: drift.json in the run."""

    results: tuple[DriftResult, ...]
    """One result a channel."""
    history: Mapping[str, tuple[DayCounts, ...]]
    """Each channel's days that were looked at, the run's own last."""


class NumberDrift(Part):
    """A number on the days after the training window beside what the window held, in samples of the rows."""

    name: str
    """The feature."""
    low: float
    """The least value of the training window, without outliers."""
    high: float
    """The largest value."""
    outside: float | None
    """Share of the window's rows with a value that lies outside, outliers; null where no row has a value."""
    validation_outside: float | None
    """The same of the validation days."""
    newest_outside: float | None
    """The same of the run's own day."""
    shift: float | None
    """Where it moves with the date: how far, from the first day to the last, in deviations within a day; else null."""
    message: str = Field("", alias="words")
    """Sentences on what it does and what to do; empty where it does nothing unusual."""


class NumbersDocument(StoredDocument):
    """The numbers on the days after the training window: numbers.json in the run."""

    numbers: tuple[NumberDrift, ...]
    """The recipe's features that are numbers, in its order."""
