"""Arrays of many days read as one array, by an index over the days: their memory maps are never copied together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Rows = npt.NDArray[np.integer[Any]]


CHUNK_ROWS = 200_000  # rows that are read from the disk at once, wherever all rows are gone through


class Stacked:
    """Rows of several arrays, one array after the other; read by row numbers like an array.

    arrays: alike but for their lengths, often memory maps. chosen: for each array the numbers of its rows that are
    taken, rising; None takes all. meanings: for each array, whose values are codes then, what stands for each code;
    None reads values as they are.
    """

    def __init__(
        self,
        arrays: Sequence[npt.NDArray[Any]],
        chosen: Sequence[Rows | None] | None = None,
        meanings: Sequence[npt.NDArray[Any]] | None = None,
    ) -> None:
        """Take the arrays; nothing is read yet."""
        self._arrays = tuple(arrays)
        self._meanings = None if meanings is None else tuple(meanings)
        self._chosen = tuple(chosen) if chosen is not None else (None,) * len(self._arrays)
        pairs = zip(self._arrays, self._chosen, strict=True)
        lengths = [len(array) if rows is None else len(rows) for array, rows in pairs]
        self._ends = np.cumsum([0, *lengths])
        self.dtype = self._arrays[0].dtype
        self.shape = (int(self._ends[-1]), *self._arrays[0].shape[1:])

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self._ends[-1])

    def __getitem__(self, rows: Rows) -> npt.NDArray[Any]:
        """Copy the rows of these numbers, in their order."""
        found = np.empty((len(rows), *self.shape[1:]), self.dtype)
        array = np.searchsorted(self._ends, rows, side="right") - 1
        for number in np.unique(array):
            here = array == number
            local, chosen = rows[here] - self._ends[number], self._chosen[number]
            part = self._arrays[number][local if chosen is None else chosen[local]]
            found[here] = part if self._meanings is None else self._meanings[number][part]
        return found


def chunks(rows: npt.NDArray[Any] | Stacked, size: int) -> Iterator[npt.NDArray[Any]]:
    """Read all rows in their order, `size` at a time."""
    return (rows[np.arange(first, min(first + size, len(rows)))] for first in range(0, len(rows), size))
