"""Signals of the nights' own marks: a run that was killed, and the silence of runs that never began."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta

from ctr_retrain.models.incidents.alerts_section import Alerts
from ctr_retrain.models.incidents.night_ref import NightRef
from ctr_retrain.models.incidents.signal import Signal
from ctr_retrain.tasks.nights.night_marks import was_killed

PAST_DAYS = 35  # since the newest night, after which a root's days are simulated or restored ones


def newest_day(now: datetime) -> date:
    """Return the newest event day that is over; event days are UTC."""
    return now.astimezone(UTC).date() - timedelta(days=1)


def killed_signal(nights: Iterable[NightRef], now: datetime) -> Signal | None:
    """Return the signal of a newest night whose last attempt never ended and is not at it any more."""
    newest = next(iter(nights), None)
    attempt = newest.attempts[-1] if newest and newest.attempts else None
    if newest is None or attempt is None or not was_killed(attempt, now):
        return None
    return Signal(
        kind="run_killed",
        level="warning",
        since=newest.day,
        summary=f"The run for {newest.day} was killed half-way: it never ended. Nothing half-made was published.",
        details=(
            f"It began at {attempt.began} on {attempt.host} as process {attempt.process}.",
            "Look at that machine's memory and at what restarted it; the next run goes on from what is finished.",
        ),
        commands=(f"ctr-retrain daily --date {newest.day}",),
    )


def silence_signal(nights: Sequence[NightRef], rules: Alerts, now: datetime) -> Signal | None:
    """Return the signal of a newest day whose run is due and neither ended nor is at it; nights: the newest first."""
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
