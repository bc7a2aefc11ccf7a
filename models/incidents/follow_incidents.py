"""The life of incidents: a function of looks, whatever the order in which they came.

Runs come twice, late and out of order (a backfill, a spool that is emptied). So the newest looks are kept, and the
incidents are made anew from them, by day; what is older is kept as it was found.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import reduce

from ctr_retrain.models.incidents.incident import (
    LEVELS,
    Cause,
    Change,
    ChangeName,
    Incident,
    IncidentsRef,
    Look,
    Spell,
)
from ctr_retrain.models.incidents.signal import Signal, SignalKind, SignalLevel

# Bounds, so that what is read and written each night doesn't grow without end.
MOST_LOOKS = 150  # of the newest days, some fifty nights: a backfill of past weeks still finds its place
KEPT_DAYS = 365  # of an incident that is over
MOST_PAST = 200
MOST_CHANGES = 30  # of one incident
MOST_SIGNALS = 200  # of one look
DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True)
class IncidentRules:
    """The recipe's rules on incidents."""

    worse_by: float = 0.25  # share by which the size must grow for people to be told again
    reopen_days: int = 14  # an incident that comes back within so many days is reopened, not a new one


def add_look(known: IncidentsRef, look: Look, rules: IncidentRules) -> IncidentsRef:
    """Return the incidents with one more look; the same ones where it says nothing new or is too old."""
    if known.through is not None and look.day <= known.through:
        return known
    news = _news(known.looks, _bounded(look))
    if news is None:
        return known
    looks = sorted([*known.looks, news], key=lambda one: (one.day, one.at))
    # By their number and not by their age: what looks by the calendar may be far ahead of the days that it has data of.
    through = looks[-MOST_LOOKS - 1].day if len(looks) > MOST_LOOKS else known.through
    closed = [one for one in looks if through is not None and one.day <= through]  # whole days
    before = _followed(known.before, closed, rules)
    looks = looks[len(closed) :]
    incidents = _kept(_followed(before, looks, rules))
    update = {"incidents": incidents, "before": _kept(before), "through": through, "looks": tuple(looks)}
    return known.model_copy(update=update)


def follow(incidents: Sequence[Incident], look: Look, rules: IncidentRules) -> tuple[Incident, ...]:
    """Return the incidents after a look: opened, named, worse, wider, resolved, reopened, or only seen once more.

    Of a kind that wasn't looked at nothing is resolved. What is the normal state from now on is over.
    """
    found = _by_cause(signal for signal in look.signals if not signal.new_normal)
    normal = _by_cause(signal for signal in look.signals if signal.new_normal)
    incidents = [_named(incident, incidents, found, look.day) for incident in incidents]
    last = {incident.cause: incident for incident in incidents}  # of one cause the newest one comes last
    result = []
    for incident in incidents:
        signal = found.get(incident.cause) if last[incident.cause] is incident else None
        if signal and incident.is_open:
            on_top = signal if incident.cause not in normal else _on_top_of(incident, signal)
            result.append(_seen(incident, on_top, look.day, rules))
        elif signal and _comes_back(incident, look.day, rules):
            result.append(_reopened(incident, signal, look.day))
        elif incident.is_open and not signal and (incident.kind in look.looked_at or incident.cause in normal):
            result.append(_resolved(incident, look.day, normal.get(incident.cause)))
        else:
            result.append(incident)
    known = {incident.cause for incident in result if incident.is_open}
    return (*result, *(_opened(signal, look.day) for cause, signal in found.items() if cause not in known))


def touched_days(incident: Incident, days: Iterable[date]) -> list[date]:
    """Return those of some days that an incident touches: from its first to the one that found it no more.

    Of one whose touches are days, these alone: outcomes that are lost stay lost, and later days are whole.
    """
    if _touches_days(incident):
        return [day for day in days if str(day) in incident.touches]
    spells = [(spell.since, spell.resolved) for spell in incident.earlier]
    spells.append((incident.since, incident.resolved or date.max))
    return [day for day in days if any(since <= day < resolved for since, resolved in spells)]


def first_touched(incident: Incident) -> date:
    """Return the first day that an incident touches."""
    if _touches_days(incident):
        return date.fromisoformat(min(incident.touches))
    return min((incident.since, *(spell.since for spell in incident.earlier)))


def _touches_days(incident: Incident) -> bool:
    """Return True if what an incident touches are days, and these alone."""
    return bool(incident.touches) and all(DAY.fullmatch(touch) for touch in incident.touches)


def digest_of_parts(*parts: object) -> str:
    """Return a short name for some values: equal ones have equal names."""
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()[:16]


def _followed(before: Sequence[Incident], looks: Sequence[Look], rules: IncidentRules) -> tuple[Incident, ...]:
    """Follow incidents through looks, oldest first; looks of one moment are one, in whatever order they came."""
    moments: dict[tuple[date, str], list[Look]] = {}
    for look in looks:
        moments.setdefault((look.day, look.at), []).append(look)
    merged = [_merged(one) for one in moments.values()]
    return reduce(lambda incidents, look: follow(incidents, look, rules), merged, tuple(before))


def _merged(looks: Sequence[Look]) -> Look:
    """Return one look for those that a run took at one moment: what one found is not over because another didn't."""
    if len(looks) == 1:
        return looks[0]
    kinds = sorted({kind for look in looks for kind in look.looked_at})
    signals = sorted((signal for look in looks for signal in look.signals), key=_text)
    return looks[0].model_copy(update={"looked_at": tuple(kinds), "signals": tuple(signals)})


def _news(looks: Sequence[Look], look: Look) -> Look | None:
    """Return the part of a look that differs from the day's newest before it; None where it says nothing new."""
    newest: dict[SignalKind, tuple[bool, list[str]]] = {}
    for earlier in looks:
        if earlier.day == look.day:
            newest |= _by_kind(earlier)
    news = [kind for kind, found in _by_kind(look).items() if newest.get(kind) != found]
    if not news:
        return None
    looked_at = tuple(kind for kind in look.looked_at if kind in news)
    signals = tuple(signal for signal in look.signals if signal.kind in news)
    return look.model_copy(update={"looked_at": looked_at, "signals": signals})


def _by_kind(look: Look) -> dict[SignalKind, tuple[bool, list[str]]]:
    """Return of each kind in a look if it was looked at, and what was found."""
    kinds = dict.fromkeys([*look.looked_at, *(signal.kind for signal in look.signals)])
    return {
        kind: (kind in look.looked_at, sorted(_text(signal) for signal in look.signals if signal.kind == kind))
        for kind in kinds
    }


def _by_cause(signals: Iterable[Signal]) -> dict[Cause, Signal]:
    """Return one signal a cause, the gravest, in an order that doesn't depend on theirs."""
    of_cause: dict[Cause, list[Signal]] = {}
    for signal in signals:
        of_cause.setdefault((signal.kind, signal.subject), []).append(signal)
    return {cause: _gravest(of_cause[cause]) for cause in sorted(of_cause)}


def _gravest(signals: Sequence[Signal]) -> Signal:
    """Return the gravest of some signals, whatever their order."""
    if len(signals) == 1:
        return signals[0]
    return max(signals, key=lambda one: (LEVELS.index(one.level), one.size or 0, _text(one)))


def _bounded(look: Look) -> Look:
    """Return a look with the gravest of its signals, where they are too many to keep."""
    gravest = sorted(look.signals, key=lambda one: (-LEVELS.index(one.level), -(one.size or 0), _text(one)))
    return look.model_copy(update={"signals": tuple(gravest[:MOST_SIGNALS])})


def _text(signal: Signal) -> str:
    return signal.model_dump_json()


def _opened(signal: Signal, day: date) -> Incident:
    """Open an incident for a cause that has none."""
    return Incident(
        **dict(signal),
        id=digest_of_parts(signal.kind, signal.subject, day),
        opened=day,
        last_seen=day,
        changes=(_change("opened", signal.level, signal.summary, day),),
    )


def _seen(incident: Incident, signal: Signal, day: date, rules: IncidentRules) -> Incident:
    """Note that an incident was seen once more, and if it is worse or wider than at its last change."""
    touches = tuple(dict.fromkeys((*incident.touches, *signal.touches)))
    level = max(incident.level, signal.level, key=LEVELS.index)
    worse = level != incident.level or _grown(incident.size, signal.size, rules.worse_by)
    wider = len(touches) > len(incident.touches)
    what: ChangeName | None = "worse" if worse else "wider" if wider else None
    now = {
        **dict(signal),
        "level": level,
        "touches": touches,
        "since": min(incident.since, signal.since),
        # The size of the last change, so that what creeps up adds up until it is told.
        "size": signal.size if worse or incident.size is None else incident.size,
        "last_seen": day,
    }
    return _changed(incident.model_copy(update=now), what, day)


def _on_top_of(incident: Incident, signal: Signal) -> Signal:
    """Return the signal of a fault that came on top of what is normal from the same day on: people don't know it."""
    return signal.model_copy(update={"size": (incident.size or 0) + (signal.size or 0)})


def _named(incident: Incident, incidents: Sequence[Incident], found: Mapping[Cause, Signal], day: date) -> Incident:
    """Let an open incident go on under the cause that it turns out to have, unless that has an incident already."""
    if not incident.is_open or incident.cause in found:
        return incident
    known = {one.cause for one in incidents if one.is_open}
    for cause, signal in found.items():
        if signal.instead_of == incident.cause and cause not in known:
            now = {"kind": signal.kind, "subject": signal.subject, "summary": signal.summary}
            return _changed(incident.model_copy(update=now), "named", day)
    return incident


def _reopened(incident: Incident, signal: Signal, day: date) -> Incident:
    """Open an incident again: its level and size are those of today."""
    over = Spell(since=incident.since, resolved=incident.resolved or day)
    earlier = (*incident.earlier, over)[-MOST_CHANGES:]
    now = {**dict(signal), "last_seen": day, "resolved": None, "earlier": earlier}
    return _changed(incident.model_copy(update=now), "reopened", day)


def _resolved(incident: Incident, day: date, normal: Signal | None = None) -> Incident:
    """End an incident; normal: says that what it is about is the normal state now."""
    said = {name: getattr(normal, name) for name in ("summary", "details", "commands", "new_normal")} if normal else {}
    return _changed(incident.model_copy(update={"resolved": day, **said}), "resolved", day)


def _changed(incident: Incident, what: ChangeName | None, day: date) -> Incident:
    """Add a change to an incident's history, of which the first and the newest are kept."""
    if what is None:
        return incident
    changes = (*incident.changes, _change(what, incident.level, incident.summary, day))
    kept = changes if len(changes) <= MOST_CHANGES else (changes[0], *changes[-MOST_CHANGES + 1 :])
    return incident.model_copy(update={"changes": kept})


def _change(what: ChangeName, level: SignalLevel, summary: str, day: date) -> Change:
    return Change(day=day, what=what, level=level, summary=summary)


def _grown(before: float | None, now: float | None, share: float) -> bool:
    """Return True if a size has grown by more than the share of what it was at the last change."""
    return before is not None and now is not None and now > before + share * abs(before)


def _comes_back(incident: Incident, day: date, rules: IncidentRules) -> bool:
    """Return True if an incident that is over counts as the same where its cause is found again."""
    return incident.resolved is not None and (day - incident.resolved).days <= rules.reopen_days


def _kept(incidents: Sequence[Incident]) -> tuple[Incident, ...]:
    """Return all open incidents and the newest of the past, by their day of opening."""
    newest = max((incident.resolved or incident.last_seen for incident in incidents), default=date.min)
    past = [one for one in incidents if one.resolved and (newest - one.resolved).days <= KEPT_DAYS]
    kept = {one.id for one in sorted(past, key=lambda one: (one.resolved or newest, one.id))[-MOST_PAST:]}
    return tuple(one for one in incidents if one.is_open or one.id in kept)
