"""Origins of an error: a fault of the machine, which says nothing about data or models, or a stop by hand."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from ctr_retrain.models.errors import BusyError, ProcessDiedError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator

# An OSError of any other number is of the machine: a disk that is full, read-only, slow or broken, too little memory,
# too many open files, a right that is missing. These are of what was asked for.
OF_THE_REQUEST = frozenset((errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.EINVAL, errno.ENAMETOOLONG))
# Errors of libraries that are no OSError and no MemoryError, by name: to import their types would take seconds.
BY_NAME = frozenset(("IOException", "OutOfMemoryException", "ResourceExhaustedError"))  # DuckDB's, TensorFlow's
# Words of errors without a number: of a disk as TensorFlow and Arrow repeat it, of memory as the loader does, of a GPU
# that is lost or broken as its driver does.
BY_WORDS = (
    *("No space left on device", "Disk quota exceeded"),
    *("Cannot allocate memory", "failed to map segment from shared object"),
    "CUDA_ERROR_",
)


def is_machine_fault(error: BaseException) -> bool:
    """Return True if an error, or one that it came of, is the machine's."""
    return any(_is_of_machine(link) for link in _chain(error))


def is_stop(error: BaseException) -> bool:
    """Return True if an error is a stop by hand, Ctrl-C or SIGTERM, or one that the stop came upon on its way out."""
    return any(isinstance(link, KeyboardInterrupt) for link in _chain(error))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all that it came of, each once, though errors may be each other's cause."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__


def _is_of_machine(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or type(error).__name__ in BY_NAME:
        return True
    if isinstance(error, (StorageError, ProcessDiedError, BusyError)):
        return error.__cause__ is None  # else it tells what that was: a model's file may be one that can't be loaded
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno not in OF_THE_REQUEST
    return any(words in str(error) for words in BY_WORDS)
