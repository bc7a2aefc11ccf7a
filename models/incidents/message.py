"""Messages: what people are told of an incident, what they were told last, and what is still to be delivered."""

from __future__ import annotations

from typing import ClassVar

from ctr_retrain.models.documents.document import Day, Part, StoredDocument
from ctr_retrain.models.incidents.incident import Cause, ChangeName
from ctr_retrain.models.incidents.night_ref import ProcessMark
from ctr_retrain.models.incidents.signal import Signal, SignalKind, SignalLevel


class Message(Signal):
    """One change of an incident, as people are told of it."""

    id: str
    """The name; a message that comes twice has the same."""
    incident: str
    """Name of the incident."""
    change: ChangeName
    """The change that it tells."""
    recipe: str
    """Name of the recipe."""
    date: Day
    """The day whose run tells it."""
    report: str
    """Address of the report, or of the page over all runs."""
    runbook: str
    """Address of the kind's entry in the runbook."""


class Told(Part):
    """The state of a cause that people were told last."""

    kind: SignalKind
    """The kind."""
    subject: str
    """The subject."""
    incident: str
    """Name of the incident."""
    level: SignalLevel
    """Its level."""
    size: float | None
    """Its size."""
    touches: tuple[str, ...]
    """Parts that it touched."""
    over: bool
    """True if they were told that it is over."""

    @property
    def cause(self) -> Cause:
        """Return kind and subject."""
        return self.kind, self.subject


class Posting(Part):
    """A message on its way."""

    message: Message
    """The message."""
    at: str
    """Time at which it was written, in ISO format."""
    addressed: tuple[str, ...] = ()
    """Digests of the receivers' addresses for which it was written; none: it goes to nobody."""
    taken_by: tuple[str, ...] = ()
    """Digests of the receivers' addresses that took it."""


class Sender(ProcessMark):
    """The process that delivers, so that no other one sends the same messages."""

    at: str
    """Time at which it took the right to deliver, in ISO format."""


class OutboxRef(StoredDocument):
    """The messages that are still to be delivered, and what people were told."""

    REMEDY: ClassVar[str] = (
        "Restore the file from a backup, or remove it: people are told once more of all incidents that are open"
    )

    told: tuple[Told, ...]
    """What they were told last, by cause."""
    pending: tuple[Posting, ...] = ()
    """Messages that some receiver has not taken yet, oldest first."""
    delivered: tuple[str, ...] = ()
    """Names of the newest messages that all receivers have taken, oldest first."""
    sender: Sender | None = None
    """The process that delivers now, or died at it; null where none does."""
