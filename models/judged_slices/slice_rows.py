"""Families of slices: ways to divide the validation rows, each with a name and a code for every row."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

NONE = -1  # code of a row that is in no slice of a family


@dataclass(frozen=True, eq=False)
class Family:
    """One way to divide the rows."""

    name: str  # such as campaign_id
    values: tuple[str, ...]  # names of its slices, by code
    code: NDArray[np.int32]  # (rows,), NONE for a row in no slice

    def shown(self, code: int) -> str:
        """Return the name of one slice."""
        return f"{self.name} = {self.values[code]}"

    def where(self, keep: NDArray[np.bool_]) -> Family:
        """Select rows; keep: (rows,)."""
        return Family(self.name, self.values, self.code[keep])

    def largest(self, most: int, others: str) -> Family:
        """Return the family with its `most` largest slices, and the rest of them as one."""
        counts = np.bincount(self.code[self.code >= 0], minlength=len(self.values))
        if np.count_nonzero(counts) <= most:
            return self
        kept = np.sort(np.argsort(-counts, kind="stable")[: most - 1])
        renumbered = np.full(len(self.values) + 1, len(kept), dtype=np.int32)
        renumbered[kept] = np.arange(len(kept))
        renumbered[NONE] = NONE
        return Family(self.name, (*(self.values[index] for index in kept), others), renumbered[self.code])


def family_of(name: str, column: NDArray[Any]) -> Family:
    """Make a slice of each distinct text of a column, (rows,)."""
    values, code = np.unique(column.astype(str), return_inverse=True)
    return Family(name, tuple(values.tolist()), code.astype(np.int32))


def marked(name: str, value: str, inside: NDArray[np.bool_]) -> Family:
    """Make a family of one slice: the rows that are marked, (rows,)."""
    return Family(name, (value,), np.where(inside, 0, NONE).astype(np.int32))


def fifths(name: str, column: NDArray[np.float64]) -> Family:
    """Divide rows by a number into five parts of about equal size; rows without the number are in none."""
    edges = np.unique(np.nanquantile(column, (0.2, 0.4, 0.6, 0.8))) if np.isfinite(column).any() else np.zeros(0)
    code = np.searchsorted(edges, column, side="right").astype(np.int32)
    bounds = ["−∞", *(f"{edge:.4g}" for edge in edges), "∞"]
    values = tuple(f"{low} to {high}" for low, high in pairwise(bounds))
    return Family(name, values, np.where(np.isnan(column), NONE, code).astype(np.int32))
