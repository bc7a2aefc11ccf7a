"""The word of a person that a change was meant and stays: it is the normal state, and its days teach what is expected.

A plain acknowledgement says only that somebody is at work on an incident, and teaches nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from ctr_retrain.models.incidents.incident import Cause, Handled, Incident
    from ctr_retrain.models.incidents.signal import SignalKind

# Kinds of one series, whose name may be another once a day more is known. Apart from all others are those of rows.
OF_ONE_SERIES: tuple[frozenset[SignalKind], ...] = (
    frozenset({"ratio_changed", "slide"}),
    frozenset({"logger_down", "slice_changed", "campaign_dead"}),
    frozenset({"volume_changed", "delivered_twice", "files_missing"}),
    frozenset({"bots", "mix_changed"}),
)


def said_to_be_normal(handled: Iterable[Handled]) -> tuple[Handled, ...]:
    """Return what somebody said is normal, unless a later acknowledgement of the same incident takes it back."""
    newest = {(one.kind, one.subject, one.day): one for one in handled if one.what == "acknowledged"}
    return tuple(one for one in newest.values() if one.new_normal)


def entry_about(
    said: Iterable[Handled], cause: Cause, opened: date, today: date, *, elsewhere: str = ""
) -> Handled | None:
    """Return the newest entry by which a fault is normal today: one about it of a day before.

    What began after that day is another fault. elsewhere: end of a subject by which an entry is about this fault too,
    such as a device that is the same in all channels.
    """
    kind, subject = cause
    alike = next((kinds for kinds in OF_ONE_SERIES if kind in kinds), {kind})
    about = [
        one
        for one in said
        if one.kind in alike
        and opened <= one.day < today
        and (one.subject == subject or (elsewhere and (one.subject or "").endswith(elsewhere)))
    ]
    return max(about, key=lambda one: one.day, default=None)


def normal_days(said: Iterable[Handled], incident: Incident, days: Iterable[date]) -> set[date]:
    """Return those of some days that an incident touched by the day of which somebody said that they were meant."""
    spells = [*((spell.since, spell.resolved) for spell in incident.earlier), (incident.since, incident.resolved)]
    told = [one.day for one in said if (one.kind, one.subject) == incident.cause]
    meant = [(since, day) for since, over in spells for day in told if since <= day and (over is None or day < over)]
    return {day for day in days if any(since <= day <= last for since, last in meant)}
