"""One night's run under watch: its beginning and its end are noted, and whatever ends it is told."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

from pydantic import SecretStr

from ctr_retrain.models.documents.run_documents import DailyAnswer, RunDocument
from ctr_retrain.models.error_origins import is_stop
from ctr_retrain.models.errors import BusyError, DataRejectedError, StorageError
from ctr_retrain.models.incidents.night_ref import NightAttempt, NightEnd
from ctr_retrain.models.incidents.signal import Signal, SignalKind
from ctr_retrain.tasks.alerts.delivery import Delivery
from ctr_retrain.tasks.alerts.report_signals import report_signals
from ctr_retrain.tasks.landing.landing_zone import LandingZone
from ctr_retrain.tasks.nights.failure_signals import failure_signal, looked_at_by, verdict_signals
from ctr_retrain.tasks.nights.heartbeat import send_heartbeat
from ctr_retrain.tasks.nights.night_marks import begin_night, end_night, load_nights
from ctr_retrain.tasks.nights.night_signals import killed_signal, newest_day
from ctr_retrain.tasks.nights.stage_times import noting_times
from ctr_retrain.tasks.nights.standing_signals import (
    CALENDAR_KINDS,
    STANDING_KINDS,
    calendar_signals,
    standing_signals,
)
from ctr_retrain.tasks.store.protocol import Store

log = logging.getLogger(__name__)


@dataclass
class Night:
    """A night's run, from its beginning to its end."""

    store: Store
    landing: LandingZone
    delivery: Delivery
    folder: Path  # what fills up on this machine
    heartbeat: SecretStr  # address that hears of each good end; empty: none
    day: date
    now: datetime  # when it began
    run: RunDocument | None = field(default=None, init=False)  # what it came to

    def tell(self, signals: tuple[Signal, ...], looked_at: tuple[SignalKind, ...]) -> None:
        """Report what was noticed; neither a receiver nor the store makes this fail."""
        report_signals(
            self.store,
            signals,
            looked_at=looked_at,
            day=self.day,
            now=datetime.now(UTC),
            delivery=self.delivery,
            report=self.run.report or "" if self.run else "",
        )


@contextmanager
def watched_night(night: Night) -> Iterator[Night]:
    """Note a run's beginning and end, and report what ended it, or what its good end shows.

    A run for a day before the newest that was ever run is made up for by hand: who types it sees how it ends, so
    nobody else is told. What can't be noted or reported costs no run.
    """
    watched, attempt = _begin(night)
    try:
        with noting_times() as stages:
            yield night
    except BaseException as error:
        # Also where somebody stopped it by hand: a mark without an end would say that it was killed.
        _end(night, attempt, *end_of(error), stages=stages)
        signal = failure_signal(error, night.day) if watched else None
        if signal:
            night.tell((signal,), (signal.kind,))
        raise
    _end(night, attempt, "done", decision=_decision(night), stages=stages)
    if watched:
        # After the end is noted, since it counts among the nights that are looked at.
        _tell_good_end(night)
        send_heartbeat(night.heartbeat)


def _decision(night: Night) -> str:
    """Return what the night came to: promoted too where the champion was refreshed beside a changed recipe on trial."""
    if night.run is None:
        return ""
    refresh = night.run.champion_refresh if isinstance(night.run, DailyAnswer) else None
    return "promote" if refresh and refresh.decision == "promote" else night.run.verdict.decision


def _begin(night: Night) -> tuple[bool, NightAttempt | None]:
    """Return whether anybody is told of this run, and the note of its beginning; tell of one before that was killed."""
    try:
        nights = load_nights(night.store, 1)
        # Of equal days the later run counts too: it may mend what the earlier one told.
        watched = not nights or night.day >= nights[0].day
        killed = killed_signal(nights, night.now)
        attempt = begin_night(night.store, night.day, night.now)
    except (StorageError, BusyError) as error:
        log.warning("the beginning of the run for %s could not be noted: %s", night.day, error)
        return True, None
    if watched and killed:
        night.tell((killed,), ("run_killed",))
    return watched, attempt


def end_of(error: BaseException) -> tuple[NightEnd, str]:
    """Return how an error ends a run, and the error in one line."""
    end: NightEnd = "failed"
    if isinstance(error, DataRejectedError):
        end = "rejected"
    elif isinstance(error, BusyError):
        end = "left"
    if is_stop(error):
        return end, "It was stopped by Ctrl-C or SIGTERM."
    return end, f"{type(error).__name__}: {error}".splitlines()[0][:500]


def _end(
    night: Night,
    attempt: NightAttempt | None,
    end: NightEnd,
    error: str = "",
    *,
    decision: str = "",
    stages: Mapping[str, float],
) -> None:
    """Note the end of a run, where its beginning was noted."""
    if attempt is None:
        return
    try:
        now = datetime.now(UTC)
        end_night(night.store, night.day, attempt, end, now, decision=decision, error=error, stages=stages)
    except (StorageError, BusyError) as failure:
        log.warning("the end of the run for %s could not be noted: %s", night.day, failure)


def _tell_good_end(night: Night) -> None:
    """Report all that a run which came to a verdict has looked at."""
    rules, of_run = night.delivery.rules, looked_at_by(night.run)
    looked_at = (*of_run, *STANDING_KINDS)
    found = verdict_signals(night.run) if night.run else ()
    try:
        nights = load_nights(night.store, rules.held_nights + 1, before=night.day)
        found += standing_signals(night.store, nights, rules, night.folder, night.day)
        if night.day == newest_day(night.now):
            looked_at += CALENDAR_KINDS
            found += calendar_signals(night.store, night.landing, rules, night.now)
    except StorageError as error:
        log.warning("what else the night of %s shows could not be looked at: %s", night.day, error)
        looked_at = of_run  # a kind that wasn't looked at ends no incident
    night.tell(found, looked_at)
