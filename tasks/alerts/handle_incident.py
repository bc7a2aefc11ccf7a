"""Words of people on incidents: acknowledged, or silenced until a date. Both stay in the root, with who and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, datetime
from typing import get_args

from ctr_retrain.models.data.late_outcomes import LATE_KINDS
from ctr_retrain.models.drift.finding_signals import DRIFT_KINDS
from ctr_retrain.models.errors import UsageError
from ctr_retrain.models.incidents.alert_answers import AlertsAnswer, HandledAnswer
from ctr_retrain.models.incidents.incident import Handled, Incident, IncidentsRef
from ctr_retrain.models.incidents.signal import SignalKind
from ctr_retrain.models.incidents.tell_changes import is_acknowledged
from ctr_retrain.tasks.alerts.incident_refs import change_incidents, load_incidents
from ctr_retrain.tasks.alerts.taught_models import TaughtModels
from ctr_retrain.tasks.store.protocol import Store

# Kinds that are about days' own rows, from which models learn; the others are about nights.
OF_DAYS = (*DRIFT_KINDS, *LATE_KINDS)
MOST_HANDLED = 500  # entries that are kept; the oldest go first


def acknowledge(
    store: Store, kind: str, subject: str | None, reason: str, by: str, now: datetime, *, normal: bool = False
) -> HandledAnswer:
    """Say that somebody is at work on an open incident, or on all of a kind where no subject is given.

    normal: the change was meant and stays, so that its days teach from the next run on what is expected; without it
    nothing is taught, since who is called at night acknowledges a broken logger too. The newest word on an incident
    counts until that run. Raises UsageError where none is open, or none that could become normal.
    """
    known_kind = require_kind(kind)

    def entries(known: IncidentsRef) -> list[Handled]:
        about = _about(known, known_kind, subject)
        if not about:
            raise _none_open(store, known, kind, subject)
        if normal:
            _require_one_that_teaches(about)
        return [
            Handled(
                what="acknowledged",
                kind=one.kind,
                subject=one.subject,
                day=one.last_seen,
                by=by,
                reason=reason,
                at=now.isoformat(),
                new_normal=normal,
            )
            for one in about
        ]

    return _handle(store, known_kind, subject, entries)


def silence(
    store: Store, kind: str, subject: str | None, until: date, reason: str, by: str, now: datetime
) -> HandledAnswer:
    """Tell nobody of a cause, or of a whole kind, before a date; one that has come ends a silence.

    There need be no incident yet: a planned outage is silenced before it begins.
    """
    entry = Handled(
        what="silenced",
        kind=require_kind(kind),
        subject=subject,
        until=until,
        day=now.date(),
        by=by,
        reason=reason,
        at=now.isoformat(),
    )
    return _handle(store, entry.kind, subject, lambda _: [entry])


def list_incidents(store: Store, today: date) -> AlertsAnswer:
    """List the incidents of a root, open ones first, and the silences that hold."""
    known = load_incidents(store)
    newest = {(one.kind, one.subject): one for one in known.handled if one.what == "silenced"}
    past = sorted(
        (one for one in known.incidents if not one.is_open), key=lambda one: one.resolved or today, reverse=True
    )
    models = TaughtModels(store)
    taught = {one.id: models.by_incident(one) for one in known.open if one.kind in OF_DAYS}
    return AlertsAnswer(
        root=store.root,
        open=known.open,
        past=tuple(past),
        taught={incident: found for incident, found in taught.items() if found},
        silenced=tuple(one for one in newest.values() if one.until and today < one.until),
    )


def acknowledged_incidents(store: Store) -> tuple[Incident, ...]:
    """Return the open incidents that somebody acknowledged."""
    known = load_incidents(store)
    return tuple(one for one in known.open if is_acknowledged(known.handled, one))


def require_kind(kind: str) -> SignalKind:
    """Return a kind that was typed; raises UsageError, which names all kinds, for another word."""
    found: SignalKind | None = next((one for one in get_args(SignalKind) if one == kind.replace("-", "_")), None)
    if found is None:
        kinds = ", ".join(get_args(SignalKind))
        msg = f"KIND: expected one of {kinds}, received {kind!r}. See `ctr-retrain alerts list`."
        raise UsageError(msg)
    return found


def _handle(
    store: Store, kind: SignalKind, subject: str | None, entries: Callable[[IncidentsRef], Iterable[Handled]]
) -> HandledAnswer:
    """Add entries to what people said, and answer with the open incidents that they are about."""
    made: list[Handled] = []

    def add(known: IncidentsRef) -> IncidentsRef:
        made[:] = entries(known)
        return known.model_copy(update={"handled": (*known.handled, *made)[-MOST_HANDLED:]})

    known = change_incidents(store, add)
    return HandledAnswer(handled=tuple(made), incidents=tuple(_about(known, kind, subject)))


def _about(known: IncidentsRef, kind: SignalKind, subject: str | None) -> list[Incident]:
    """Return the open incidents of a kind, all or those of a subject."""
    return [one for one in known.open if one.kind == kind and subject in (None, one.subject)]


def _require_one_that_teaches(about: list[Incident]) -> None:
    """Raise UsageError unless incidents are one of a day's counts that people are told of."""
    kind, subjects = about[0].kind, ", ".join(f"'{one.subject}'" for one in about)
    if kind not in DRIFT_KINDS:
        wrong = (
            f"expected an incident of a day's counts ({', '.join(DRIFT_KINDS)}), received {kind}, of which no level "
            "is learnt. Leave --normal out to say that somebody is at work on it"
        )
    elif len(about) > 1:
        wrong = f"expected one SUBJECT of {subjects}, received none. What is meant is said of each by itself"
    elif about[0].level == "notice":
        wrong = (
            f"expected an incident that people are told of, received a notice about {subjects}. Nobody has to say "
            "anything of a notice: what lasts for drift.new_normal_days is normal by itself"
        )
    else:
        return
    msg = f"alerts ack --normal: {wrong}."
    raise UsageError(msg)


def _none_open(store: Store, known: IncidentsRef, kind: str, subject: str | None) -> UsageError:
    """Make the error of an incident that isn't open."""
    wanted = f"{kind} {subject}" if subject else kind
    there = ", ".join(f"{one.kind} {one.subject}".strip() for one in known.open) or "none"
    msg = f"alerts ack: expected an open incident {wanted!r} under {store.root}, received {there}."
    return UsageError(msg)
