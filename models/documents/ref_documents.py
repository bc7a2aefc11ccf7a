"""Refs: the small files that name what is current, and keep what was so before.

Each kind says in REMEDY what to do where its file can't be read. Older versions wrote the same keys without `format`.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from ctr_retrain.models.documents.document import Day, ObjectName, ObjectPath, Part, StoredDocument
from ctr_retrain.models.documents.drift_documents import Alert

TakeoverAction = Literal["promote", "override", "rollback"]


class RecipeNameRef(StoredDocument):
    """The recipe that a root serves."""

    REMEDY: ClassVar[str] = "Restore the file from a backup, or remove it: the next run claims the root for its recipe"

    current: str
    """Name of the recipe."""


class PublishedDay(Part):
    """One entry of a landing day's history."""

    current: ObjectName
    """Identity of the landed files and of how they were read, which names the day's object."""
    at: str = ""
    """Time at which it was published, in ISO format."""


class DayRef(StoredDocument):
    """A landing day's current object."""

    REMEDY: ClassVar[str] = "Restore the file from a backup, or remove it and run `ctr-retrain ingest` for that day"

    current: ObjectName
    """Identity of the landed files and of how they were read, which names the day's object."""
    history: tuple[PublishedDay, ...] = ()
    """All objects that the day had, oldest first."""


class DayDecision(Part):
    """A decision on whether a landing day may enter training."""

    accepted: bool
    """True if the day may enter training."""
    by: str
    """The deciding party: validation, or the user who accepted the day by hand."""
    reason: str
    """The reason."""
    day_object: ObjectPath
    """Path of the landed day that was judged; of other data nothing is decided."""
    validation: ObjectPath
    """Path of the expectations that were evaluated over it."""


class DatedDayDecision(DayDecision):
    """One entry of the history of decisions on a landing day."""

    at: str = ""
    """Time of the decision, in ISO format."""


class AcceptedRef(StoredDocument, DayDecision):
    """The decision on a landing day that counts."""

    REMEDY: ClassVar[str] = (
        "Restore the file from a backup, or remove it and run `ctr-retrain validate` for that day; "
        "what was accepted by hand has to be accepted again"
    )

    history: tuple[DatedDayDecision, ...] = ()
    """All decisions on the day, oldest first."""


class AlertedRef(StoredDocument):
    """The alerts of a day that people were told of."""

    REMEDY: ClassVar[str] = "Restore the file from a backup, or remove it: people are told of that day's alerts again"

    alerts: tuple[Alert, ...]
    """The alerts."""
    posted: bool
    """True if the webhook took them, or there is none."""


class RunsRef(StoredDocument):
    """The runs that were made for a day."""

    REMEDY: ClassVar[str] = "Restore the file from a backup, or remove it and run `ctr-retrain daily` for that day"

    current: ObjectName
    """The newest one."""
    history: tuple[ObjectName, ...]
    """All of them, newest last."""


class Tenure(Part):
    """One entry of the champion's history: a version that came into service, and how."""

    version: ObjectName
    """The version."""
    run_day: Day
    """The day that its run was for."""
    # Also where its fresh twin serves, which has seen more: so champions that were shipped fresh and those that were
    # not age alike, and one may follow the other.
    data_through: Day
    """The newest day in training, of the model that was judged."""
    action: TakeoverAction
    """promote: by the gate; override: by hand; rollback: back from a later version."""
    reason: str
    """The reason; of what was done by hand, with the user's name before it."""
    at: str
    """Time at which it came into service, in ISO format."""

    @property
    def age(self) -> tuple[Day, Day]:
        """Return (data_through, run day), which must never go back from one champion to the next."""
        return (self.data_through, self.run_day)


class ChampionRef(StoredDocument):
    """The model in service, and all that served before it."""

    REMEDY: ClassVar[str] = (
        "Restore the file from a backup, or remove it and put the model that served into service again "
        "by `ctr-retrain promote`; see `ctr-retrain models`"
    )

    current: ObjectName
    """The version in service."""
    history: tuple[Tenure, ...]
    """All versions that came into service, oldest first; the last one serves."""
    barred: tuple[ObjectName, ...]
    """Versions that were rolled back and may not come back by the gate."""
