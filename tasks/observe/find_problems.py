"""Problems of a root that somebody has to see to, each with the command to type; by refs alone, whoever looks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime

from ctr_retrain.models.incidents.alerts_section import Alerts
from ctr_retrain.models.incidents.history_index import IndexedDecision, IndexedNight
from ctr_retrain.models.incidents.incident import Incident
from ctr_retrain.models.incidents.night_ref import NightRef
from ctr_retrain.models.incidents.status_answer import Problem, RunAttempt
from ctr_retrain.tasks.nights.night_signals import PAST_DAYS, newest_day, silence_signal

RULES = Alerts()  # no recipe is read for a look, so its own bounds on what is late are not known here


def find_problems(
    attempts: Sequence[RunAttempt],
    nights: Mapping[date, IndexedNight],
    incidents: Iterable[Incident],
    rejected: Mapping[date, IndexedDecision],
    now: datetime,
) -> tuple[Problem, ...]:
    """Return what somebody has to see to: runs that don't happen or failed, incidents, days that were rejected.

    attempts: the newest of each of the newest days, newest day first. incidents: open ones, the gravest first.
    """
    # What keeps the next model from being made comes first: all else is about models that there are.
    silence = _silence(nights, now)
    newest = _newest_attempt(attempts)
    told = [_of_incident(one) for one in incidents if one.level != "notice" and one.kind not in _OF_RUNS]
    return tuple(problem for problem in (silence, newest, *told, _of_rejected(rejected, attempts)) if problem)


# The nights' own marks tell these too, and as of now rather than as of the last look.
_OF_RUNS = ("no_run", "run_killed", "run_failed", "day_rejected", "no_data")


def _silence(nights: Mapping[date, IndexedNight], now: datetime) -> Problem | None:
    """Return the problem that no run happens any more; in a root of past days none is expected."""
    refs = [NightRef(day=day, attempts=nights[day].attempts) for day in sorted(nights, reverse=True)]
    if not refs or (newest_day(now) - refs[0].day).days > PAST_DAYS:
        return None
    silent = silence_signal(refs, RULES, now)
    return Problem(message=silent.summary, command=silent.commands[-1]) if silent else None


def _newest_attempt(attempts: Sequence[RunAttempt]) -> Problem | None:
    """Return the problem of the newest day's run, if it came to no verdict."""
    if not attempts or attempts[0].state in ("done", "running", "left"):
        return None
    newest = attempts[0]
    ends = {
        "rejected": "had data that can't be used",
        "failed": "failed",
        "killed": f"was killed on {newest.host}, where it began at {newest.began}",
    }
    error = f": {newest.error}" if newest.error else "; nothing half-made was published."
    command = "validate" if newest.state == "rejected" else "daily"
    message = f"The run for {newest.date} {ends[newest.state]}{error}"
    return Problem(message=message, command=f"ctr-retrain {command} --date {newest.date}")


def _of_incident(incident: Incident) -> Problem:
    command = incident.commands[0] if incident.commands else "ctr-retrain alerts list"
    return Problem(message=incident.summary, command=command)


def _of_rejected(rejected: Mapping[date, IndexedDecision], attempts: Sequence[RunAttempt]) -> Problem | None:
    """Return the problem of days that wait for somebody; the newest run's own is told with its run."""
    told = attempts[0].date if attempts and attempts[0].state == "rejected" else None
    waiting = [day for day in rejected if day != told]
    if not waiting:
        return None
    days = f"{waiting[0]} was" if len(waiting) == 1 else f"{len(waiting)} days, the newest {waiting[0]}, were"
    message = f"The data of {days} rejected and nobody accepted it: it trains no model."
    return Problem(message=message, command=f"ctr-retrain validate --date {waiting[0]}")
