"""Incidents, from the first sign to the end, the looks that they follow from, and what people said to them."""

from __future__ import annotations

from typing import ClassVar, Literal, get_args

from ctr_retrain.models.documents.document import Day, Part, StoredDocument
from ctr_retrain.models.incidents.signal import Signal, SignalKind, SignalLevel

ChangeName = Literal["opened", "worse", "wider", "resolved", "reopened", "named"]
Handling = Literal["acknowledged", "silenced"]
Cause = tuple[SignalKind, str]  # kind and subject: one incident at a time for each
LEVELS: tuple[SignalLevel, ...] = get_args(SignalLevel)  # from the mildest on


class Change(Part):
    """A change of an incident, of which people are told once."""

    day: Day
    """The day whose run found it."""
    what: ChangeName
    """opened; worse: by the stated share, or a higher level; wider: it touches more; resolved; reopened; named: its
    cause is known now."""
    level: SignalLevel
    """The level after it."""
    summary: str
    """The sentence of that day."""


class Spell(Part):
    """A time for which an incident was open, before it came back."""

    since: Day
    """The first day that showed it."""
    resolved: Day
    """The day whose run looked and found it no more."""


class Incident(Signal):
    """Something that people have to know, as it was last seen. Level, size and touches are the most that it reached."""

    id: str
    """The name, which messages about it carry too: a digest of its cause and of the day that it was opened."""
    opened: Day
    """The day whose run found it first."""
    last_seen: Day
    """The newest day whose run found it."""
    resolved: Day | None = None
    """The day whose run looked and found it no more; null while it is open."""
    earlier: tuple[Spell, ...] = ()
    """Times before it was reopened, oldest first."""
    changes: tuple[Change, ...]
    """Its history, oldest first; of a long one the first and the newest."""

    @property
    def cause(self) -> Cause:
        """Return kind and subject."""
        return self.kind, self.subject

    @property
    def is_open(self) -> bool:
        """Return True while no run has looked and found it no more."""
        return self.resolved is None


class Look(Part):
    """The look of one run at some kinds, and all that it found."""

    day: Day
    """The day that the run was for."""
    at: str
    """Time of the look, in ISO format: of one day's looks the later one counts."""
    looked_at: tuple[SignalKind, ...]
    """Kinds that were looked at: of these, what was not found is over."""
    signals: tuple[Signal, ...]
    """Everything that was found."""


class Handled(Part):
    """An answer of somebody to an incident, or to a cause before there is one."""

    what: Handling
    """acknowledged: somebody is at work on it, and only a higher level or its end is told; silenced: nothing is."""
    kind: SignalKind
    """The kind."""
    subject: str | None
    """The subject; null for all subjects of that kind."""
    until: Day | None = None
    """The first day on which people are told again; null where it holds until the incident's end."""
    day: Day
    """The newest day that it had been seen by then; of a silence the day on which it was said."""
    by: str
    """The user."""
    reason: str
    """The reason."""
    at: str
    """Time, in ISO format."""
    new_normal: bool = False
    """True where somebody said that the change was meant and stays: its days teach what is expected from then on."""


class IncidentsRef(StoredDocument):
    """The incidents of a root, open and past, and the newest looks, from which they follow in whatever order."""

    REMEDY: ClassVar[str] = (
        "Restore the file from a backup, or remove it: the next run finds again what is still amiss, "
        "and what was acknowledged or silenced has to be so again"
    )

    incidents: tuple[Incident, ...]
    """All that are open, and the newest of the past; ordered by the day of opening."""
    before: tuple[Incident, ...] = ()
    """The incidents as of the day before the oldest look."""
    through: Day | None = None
    """The newest day that went into these; looks of older days change nothing any more."""
    looks: tuple[Look, ...] = ()
    """The newest looks, by day and time."""
    handled: tuple[Handled, ...] = ()
    """What people said, oldest first."""

    @property
    def open(self) -> tuple[Incident, ...]:
        """Return those that are not over, the gravest first, of one level the oldest."""
        found = [incident for incident in self.incidents if incident.is_open]
        return tuple(sorted(found, key=lambda one: (-LEVELS.index(one.level), one.since, one.cause)))
