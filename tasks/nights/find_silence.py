"""Silence: that no run happened is noticed by something that is not the run."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from ctr_retrain.models.errors import StorageError
from ctr_retrain.models.incidents.alert_answers import WatchAnswer
from ctr_retrain.models.incidents.alerts_section import Alerts
from ctr_retrain.models.incidents.night_ref import NightRef
from ctr_retrain.models.incidents.signal import Signal, SignalKind
from ctr_retrain.tasks.alerts.delivery import Delivery
from ctr_retrain.tasks.alerts.report_signals import report_signals
from ctr_retrain.tasks.landing.landing_zone import LandingZone
from ctr_retrain.tasks.nights.failure_signals import failure_signal
from ctr_retrain.tasks.nights.night_marks import load_nights, was_killed
from ctr_retrain.tasks.nights.standing_signals import calendar_signals, killed_signal, newest_day
from ctr_retrain.tasks.store.protocol import Store

# What a watchdog looks at, beside the run.
WATCHED_KINDS: tuple[SignalKind, ...] = ("no_run", "run_killed", "champion_old", "data_late")
NIGHTS_LOOKED_AT = 3
PAST_DAYS = 35  # since the newest night, after which a root's days are simulated or restored ones


def look_around(store: Store, landing: LandingZone, delivery: Delivery, now: datetime) -> WatchAnswer:
    """Report what is amiss whether or not any run happened; a root that can't be read is amiss itself."""
    looked_at, day = WATCHED_KINDS, newest_day(now)
    try:
        found = find_silence(store, landing, delivery.rules, now)
        day = _day_of_look(load_nights(store, 1), day)
    except StorageError as error:
        failed = failure_signal(error, day)
        found, looked_at = (failed,) if failed else (), ()
    reported = report_signals(store, found, looked_at=looked_at, day=day, now=now, delivery=delivery)
    return WatchAnswer(root=store.root, signals=found, open=reported.open)


def _day_of_look(nights: list[NightRef], today: date) -> date:
    """Return the day that a look counts for, among those of the runs."""
    # Looks count in the order of their days. In a root of simulated or restored days, one of today's would come after
    # all runs that are still to be made there, and whatever these find would change nothing any more.
    of_the_past = nights and today - nights[0].day > timedelta(days=PAST_DAYS)
    return nights[0].day if of_the_past else today


def find_silence(store: Store, landing: LandingZone, rules: Alerts, now: datetime) -> tuple[Signal, ...]:
    """Return what is amiss whether or not any run happened. A root that no run ever began in is silent by right."""
    # More than one: the newest may have been killed, and then the one before it is the last that was.
    nights = load_nights(store, NIGHTS_LOOKED_AT)
    silent = _silence(nights, rules, now) if nights else None
    found = (silent, killed_signal(nights, now), *calendar_signals(store, landing, rules, now))
    return tuple(signal for signal in found if signal is not None)


def _silence(nights: list[NightRef], rules: Alerts, now: datetime) -> Signal | None:
    """Return the signal of a newest day whose run is due and neither ended nor is at it."""
    due_for = newest_day(now - timedelta(hours=rules.run_due_hours))
    # However an attempt ended, it was no silence: its end has an incident of its own.
    tried = [night.day for night in nights if any(not was_killed(attempt, now) for attempt in night.attempts)]
    if tried and max(tried) >= due_for:
        return None
    last = max(tried, default=nights[-1].day)
    missing = (due_for - last).days
    since = last + timedelta(days=1)
    return Signal(
        kind="no_run",
        level="critical",
        since=since,
        size=float(missing),
        received=float(missing),
        summary=f"No run happened for {missing} {'day' if missing == 1 else 'days'}, since {since}: nobody retrains.",
        details=(
            f"The run for a day is due {rules.run_due_hours:g} hours after its end (alerts.run_due_hours).",
            "Look at whether `serve`, the crontab or the worker runs, and at its log.",
        ),
        commands=("ctr-retrain status", "ctr-retrain doctor", f"ctr-retrain daily --date {due_for}"),
    )
