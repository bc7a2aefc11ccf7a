"""Everything that this software raises on purpose, as one small tree.

CtrRetrainError
├── UsageError          exit 2  wrong use or configuration: a recipe, a setting, an argument
├── DataRejectedError   exit 3  the data can't be used: nothing landed, unreadable, failed validation
├── TrainingDivergedError       the loss is no number any more; the daily flow makes a rejection of it
├── StorageError        exit 4  storage or a service failed: disk full, read-only, broken object
├── ProcessDiedError    exit 4  the process that trains crashed, or was killed: mostly for want of memory
├── BusyError           exit 5  someone else holds, or has just changed, what this run needs
└── LeftOutError                a scheduled run that is not made any more, since a newer one is due

A held or rejected challenger is a result, not an error: it exits with 0.
"""

from __future__ import annotations

from typing import Any, ClassVar, Protocol


class Answer(Protocol):
    """An answer of a command, which --json prints."""

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values under the answer's keys."""


class CtrRetrainError(Exception):
    """An error with a message for a person and an exit status for a machine."""

    exit_code: ClassVar[int] = 1  # of the command that it ends

    def __init__(self, message: str, *, document: Answer | None = None, **details: Any) -> None:
        """Keep the message and what `--json` prints with it.

        document: the command's own, as far as there is one; the error stands beside its keys. details: plain JSON
        values, which stand in the error itself.
        """
        super().__init__(message)
        self.document = document
        self.details = details


class UsageError(CtrRetrainError):
    """Wrong use or configuration: a recipe, a setting, an argument."""

    exit_code = 2


class DataRejectedError(CtrRetrainError):
    """Data that can't be used: nothing landed, unreadable, a column missing, validation failed."""

    exit_code = 3


class TrainingDivergedError(CtrRetrainError):
    """A training whose loss is no number any more.

    The daily flow makes a rejected challenger of it: the run's result, so it needs no exit status of its own.
    """


class StorageError(CtrRetrainError):
    """A failure of storage or of a service: disk full, read-only, a broken object."""

    exit_code = 4


class ProcessDiedError(CtrRetrainError):
    """The crash or the killing of a process that this software started, mostly for want of memory."""

    exit_code = 4  # as storage and services: the machinery failed, not the data


class BusyError(CtrRetrainError):
    """A conflict: someone else holds, or has just changed, what this run needs."""

    exit_code = 5


class LeftOutError(CtrRetrainError):
    """A scheduled run that is not made any more: it began too late, by the policy of what is made up for.

    Only a schedule makes such runs, so it needs no exit status of its own.
    """
