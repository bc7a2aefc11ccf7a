"""Messages to send: the difference between what people were told and what is, so that nothing is told twice.

Nothing but this difference counts. A run that died before it told is made good by the next one; what came and went in
between is not told at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from ctr_retrain.models.incidents.follow_incidents import digest_of_parts
from ctr_retrain.models.incidents.incident import LEVELS, ChangeName, Handled, Incident, IncidentsRef
from ctr_retrain.models.incidents.message import Message, Told
from ctr_retrain.models.incidents.signal import Signal, SignalKind


@dataclass(frozen=True)
class Letterhead:
    """The parts that all messages of a run share."""

    recipe: str  # its name
    date: date  # the day that the run is for
    report: str  # address of its report, or of the page over all runs
    runbook: str  # address of the runbook, to which the kind's heading is added


def tell_changes(
    known: IncidentsRef, told: Sequence[Told], today: date, head: Letterhead
) -> tuple[tuple[Message, ...], tuple[Told, ...]]:
    """Return the messages about what people don't know yet, and what they know then.

    A notice is never told; what is silenced until a later day than today is not told now; of what is acknowledged only
    a higher level and the end.
    """
    newest = {incident.cause: incident for incident in known.incidents}  # of one cause the newest comes last
    knew = {one.cause: one for one in told if one.cause in newest}
    renamed = {one.incident: one for one in told if one.cause not in newest}
    messages = []
    for cause, incident in newest.items():
        if cause not in knew and incident.id in renamed:
            knew[cause] = renamed[incident.id]
        change = _change_to_tell(incident, knew.get(cause))
        if change is None or is_silenced(known.handled, incident, today):
            continue
        if is_acknowledged(known.handled, incident) and not _rose(incident, knew.get(cause)):
            continue
        messages.append(_message(incident, change, head))
        knew[cause] = _told(incident)
    return tuple(messages), tuple(knew.values())


def is_silenced(handled: Iterable[Handled], signal: Signal, today: date) -> bool:
    """Return True if somebody silenced a cause, or its whole kind, until a later day."""
    newest = {one.subject: one for one in handled if one.what == "silenced" and one.kind == signal.kind}
    return any(
        one.until is not None and today < one.until
        for subject, one in newest.items()
        if subject in (None, signal.subject)
    )


def is_acknowledged(handled: Iterable[Handled], incident: Incident) -> bool:
    """Return True if somebody acknowledged an incident that is open since then.

    What was said to be normal is so for what was seen by then: what comes on top of it is told.
    """
    began = max(change.day for change in incident.changes if change.what in ("opened", "reopened"))
    return incident.is_open and any(
        one.what == "acknowledged"
        and (one.kind, one.subject) == incident.cause
        and began <= one.day
        and (incident.last_seen <= one.day or not one.new_normal)
        for one in handled
    )


def anchor_of(kind: SignalKind) -> str:
    """Return the heading of a kind in the runbook, as links name it."""
    return kind.replace("_", "-")


def _change_to_tell(incident: Incident, told: Told | None) -> ChangeName | None:
    """Return what people don't know of an incident; None where they know all of it."""
    knew_it_open = told is not None and not told.over
    if not incident.is_open:
        return "resolved" if knew_it_open else None
    if LEVELS.index(incident.level) == 0:
        return None
    if told is None or told.over:
        came_back = told is not None and told.incident == incident.id
        return "reopened" if came_back else "opened"
    if _rose(incident, told) or (incident.size or 0) > (told.size or 0):
        return "worse"
    if told.cause != incident.cause:
        return "named"
    return "wider" if set(incident.touches) - set(told.touches) else None


def _rose(incident: Incident, told: Told | None) -> bool:
    """Return True if an incident has a higher level than people know."""
    return LEVELS.index(incident.level) > (LEVELS.index(told.level) if told and not told.over else 0)


def _told(incident: Incident) -> Told:
    """Return what people know once they are told of an incident as it is."""
    return Told(
        kind=incident.kind,
        subject=incident.subject,
        incident=incident.id,
        level=incident.level,
        size=incident.size,
        touches=incident.touches,
        over=not incident.is_open,
    )


def _message(incident: Incident, change: ChangeName, head: Letterhead) -> Message:
    """Write the message of a change, whose name is that of the same change in another run too."""
    last = incident.changes[-1]
    parts = (head.recipe, incident.cause, change, incident.opened, last.day, last.what, incident.level, incident.size)
    return Message(
        **dict(Signal.of(incident)),
        id=digest_of_parts(*parts, incident.touches),
        incident=incident.id,
        change=change,
        recipe=head.recipe,
        date=incident.resolved or incident.last_seen,
        report=head.report,
        runbook=f"{head.runbook}#{anchor_of(incident.kind)}",
    )
