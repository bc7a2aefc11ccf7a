"""Everything that this software raises on purpose, as one small tree.

CtrRetrainError
├── UsageError          exit 2  wrong use or configuration: a recipe, a setting, an argument
├── DataRejectedError   exit 3  the data can't be used: nothing landed, unreadable, failed validation
├── TrainingDivergedError       the loss is no number any more; the daily flow makes a rejection of it
├── StorageError        exit 4  storage or a service failed: disk full, read-only, broken object
├── ProcessDiedError    exit 4  the process that trains crashed, or was killed: mostly for want of memory
└── BusyError           exit 5  someone else holds, or has just changed, what this run needs

A held or rejected challenger is a result, not an error: it exits with 0.
"""

from __future__ import annotations

from typing import Any, ClassVar


class CtrRetrainError(Exception):
    """An error with a message for a person and an exit status for a machine.

    `details` is what `--json` prints beside the message: plain JSON values only.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, **details: Any) -> None:
        """Take the message, and values for `--json`."""
        super().__init__(message)
        self.details = details


class UsageError(CtrRetrainError):
    """Wrong use or configuration."""

    exit_code = 2


class DataRejectedError(CtrRetrainError):
    """The day's data can't be used."""

    exit_code = 3


class TrainingDivergedError(CtrRetrainError):
    """The loss is no number any more."""


class StorageError(CtrRetrainError):
    """Storage or a service failed."""

    exit_code = 4


class ProcessDiedError(CtrRetrainError):
    """A process of this software's own crashed or was killed."""

    exit_code = 4


class BusyError(CtrRetrainError):
    """Someone else holds what this run needs."""

    exit_code = 5
