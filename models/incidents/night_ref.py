"""Nights: the attempts to make a day's run, and how each ended, told by whoever began it."""

from __future__ import annotations

from typing import ClassVar, Literal

from ctr_retrain.models.documents.document import Day, Part, StoredDocument

# done: there is a verdict; rejected: the data can't be used; failed: anything else; left: somebody else was at it.
NightEnd = Literal["done", "rejected", "failed", "left"]


class ProcessMark(Part):
    """A process, told from a later one of the same number."""

    host: str
    """Its machine."""
    process: int
    """Its number there."""
    started: str
    """Time at which it began, in the kernel's ticks; empty where the system doesn't say."""


class NightAttempt(ProcessMark):
    """A process that set out to make a day's run."""

    began: str
    """Time at which it set out, in ISO format."""
    ended: str | None = None
    """Time at which it ended; null while it is at it, and for ever where it was killed."""
    end: NightEnd | None = None
    """Its end; null likewise."""
    decision: str | None = None
    """The verdict's decision; null where there is no verdict."""
    error: str = ""
    """The error that ended it, in one line; empty where none did."""


class NightRef(StoredDocument):
    """The attempts to make one day's run, newest last."""

    REMEDY: ClassVar[str] = "Restore the file from a backup, or remove it: nobody is told any more how that night ended"

    day: Day
    """The day that the run is for."""
    attempts: tuple[NightAttempt, ...] = ()
    """The newest attempts, oldest first."""
