"""Refs: the small files that name what is current, and keep what was so before.

Each kind says in REMEDY what to do where its file can't be read. Older versions wrote the same keys without `format`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field

from ctr_retrain.models.documents.document import Day, ObjectName, ObjectPath, Part, StoredDocument
from ctr_retrain.models.documents.drift_documents import Alert
from ctr_retrain.models.documents.verdict_documents import Question

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
    marks: Mapping[str, str] = Field({}, exclude_if=lambda marks: not marks)
    """By stream, a digest of its files' names, sizes and times when they were last read; absent in older refs."""


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
    question: Question | None = Field(None, exclude_if=lambda question: question is None)
    """What it had to show: to be cheaper than a constant, no worse, or better; absent where it was put there by hand,
    and in older histories."""

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


class LeaseHolder(Part):
    """The process that holds the lease."""

    id: str
    """A name that no other holder ever has, in the same process neither."""
    host: str
    """Its machine, as people call it."""
    machine: str
    """Its machine since it was started, and there the container: a digest. Process numbers are told apart by it."""
    process: int
    """Its number there."""
    started: str
    """Time at which the process began, in the kernel's ticks; empty where the system doesn't say."""
    who: str
    """The user."""
    command: str
    """The command, as it could be typed again."""
    since: str
    """Time at which it took the lease, in ISO format, by the clock of its machine."""


class RefIntent(Part):
    """A swap of a ref that the holder is about to make: whoever takes over closes it first."""

    id: str
    """A name that no other intent ever has."""
    ref: str
    """The ref's name."""
    value: dict[str, Any] | None = None
    """The content to be, of a ref that isn't there yet; null for one that is."""


class TokenRaise(Part):
    """A person's act that raised the fencing token, so that the run under way publishes nothing more."""

    who: str
    """The user."""
    command: str
    """The command."""
    at: str
    """Time of it, in ISO format, by the clock of the user's machine."""
    token: int
    """The token that it raised the lease to."""


class LeaseRef(StoredDocument):
    """The right to publish under the root: who holds it, by which fencing token, and the holder's last sign of life."""

    REMEDY: ClassVar[str] = "Restore the file from a backup, or remove it while no run is under way"

    token: int
    """The fencing token. Each holder gets a higher one, and so does each person who takes the right away."""
    holder: LeaseHolder | None = None
    """The holder; null where nobody holds the lease."""
    beat: int = 0
    """Count of the holder's signs of life, by which each one makes another version of this file."""
    intents: tuple[RefIntent, ...] = ()
    """Swaps that the holder, or one before it that died, may still be about to make."""
    raised: TokenRaise | None = None
    """The newest act by hand that raised the token."""

    def taken_by(self, holder: LeaseHolder) -> Self:
        """Return the lease in the hands of a new holder, under a higher token; what the last one was about to do stays.

        It stays until the new holder has closed it, so that a new holder which dies at it leaves it to the next.
        """
        return self.model_copy(update={"token": self.token + 1, "holder": holder, "beat": 0})

    def raised_by(self, act: TokenRaise) -> Self:
        """Return the lease without a holder, under a higher token."""
        return self.model_copy(update={"token": act.token, "holder": None, "beat": 0, "raised": act})

    def above(self, stamp: int) -> Self:
        """Return the lease in the same hands, under a token higher than a ref's stamp."""
        return self.model_copy(update={"token": max(self.token, stamp + 1)})

    def with_sign_of_life(self) -> Self:
        """Return the lease with one more sign of life."""
        return self.model_copy(update={"beat": self.beat + 1})

    def announcing(self, intent: RefIntent) -> Self:
        """Return the lease with one more swap announced."""
        return self.model_copy(update={"intents": (*self.intents, intent)})

    def without(self, intents: frozenset[str]) -> Self:
        """Return the lease without some intents, by their names: they were carried out, or can't be any more."""
        return self.model_copy(update={"intents": tuple(one for one in self.intents if one.id not in intents)})

    def released(self) -> Self:
        """Return the lease without a holder; the token stays, since whoever comes next raises it."""
        return self.model_copy(update={"holder": None})

    def is_held_by(self, token: int, holder: str) -> bool:
        """Return True if this very holder, by its token and its name, has it still."""
        return self.token == token and self.holder is not None and self.holder.id == holder
