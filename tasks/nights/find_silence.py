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
from ctr_retrain.tasks.nights.night_marks import load_nights
from ctr_retrain.tasks.nights.night_signals import PAST_DAYS, killed_signal, newest_day, silence_signal
from ctr_retrain.tasks.nights.standing_signals import calendar_signals
from ctr_retrain.tasks.store.protocol import Store

# What a watchdog looks at, beside the run.
WATCHED_KINDS: tuple[SignalKind, ...] = ("no_run", "run_killed", "champion_old", "data_late")
NIGHTS_LOOKED_AT = 3


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
    silent = silence_signal(nights, rules, now) if nights else None
    found = (silent, killed_signal(nights, now), *calendar_signals(store, landing, rules, now))
    return tuple(signal for signal in found if signal is not None)
