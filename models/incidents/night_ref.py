"""Nights: the attempts to make a day's run, and how each ended, told by whoever began it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

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
    stages: Mapping[str, float] = Field({}, exclude_if=lambda stages: not stages)
    """Seconds that each of its stages took; absent before its end, and in attempts of before this was noted."""
    log: str = Field("", exclude_if=lambda log: not log)
    """The file to which its log went, or the command that shows it; absent where it was a terminal or a pipe."""


class NightRef(StoredDocument):
    """The attempts to make one day's run, newest last."""

    REMEDY: ClassVar[str] = "Restore the file from a backup, or remove it: nobody is told any more how that night ended"

    day: Day
    """The day that the run is for."""
    attempts: tuple[NightAttempt, ...] = ()
    """The newest attempts, oldest first."""
