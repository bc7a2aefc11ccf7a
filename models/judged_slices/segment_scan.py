"""The worst segments: a scan over the values of features and their pairs, with the error of all that it tried.

Chung et al. 2019, "Slice Finder", look for such segments; here each is tested by the exact chance of its count, and
the chances are multiplied by the number of segments tried (Bonferroni), so that what is shown is seldom luck.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.models.judged_slices.count_ratios import SliceSums, chance_of_count, sum_slices, surprise
from ctr_retrain.models.judged_slices.slice_rows import NONE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ctr_retrain.models.judged_slices.slice_rows import Family
    from ctr_retrain.models.judging.judged_rows import JudgedRows
    from ctr_retrain.models.recipe.gate_section import Gate

SHOWN = 5  # the surest: a table of more is read by nobody
MOST_VALUES = 250  # of a feature; the rarer ones are one segment together
OTHERS = "(others)"

Values = frozenset[tuple[str, int]]  # the features and codes that make a segment


@dataclass(frozen=True, eq=False)
class Scan:
    """The surest segments with their sums."""

    names: tuple[str, ...]
    sums: SliceSums
    tried: int  # segments with positives enough


@dataclass(frozen=True, eq=False)
class _Tried:
    """The segments of one feature, or of a pair, that have positives enough; arrays of shape (segments,)."""

    families: tuple[Family, ...]
    cell: NDArray[np.int64]  # as `_cells` numbers them
    positives: NDArray[np.float64]
    predicted: NDArray[np.float64]  # by the challenger

    def least_chances(self, whole: float) -> NDArray[np.float64]:
        """Return the chances of counts so far off, if no users differed: those that are true are as large or larger."""
        return chance_of_count(self.positives, self.predicted / whole)

    def sums(self, rows: JudgedRows, baseline: NDArray[np.float64]) -> SliceSums:
        """Add up all of the segments' rows, with the spread of their counts between users."""
        place = np.full(_size(self.families), NONE)
        place[self.cell] = np.arange(len(self.cell))
        own = place[_cells(self.families)]
        return sum_slices(own, len(self.cell), rows.label, rows.challenger, baseline, rows.user_bucket)

    def values(self, index: int) -> Values:
        """Return what makes one segment."""
        return frozenset((family.name, code) for family, code in self._parts(index))

    def name(self, index: int) -> str:
        """Return a segment's name."""
        return " and ".join(family.shown(code) for family, code in self._parts(index))

    def _parts(self, index: int) -> list[tuple[Family, int]]:
        """Return each family with the code of its value in one segment."""
        codes = _codes(self.families, self.cell[index : index + 1])
        return [(family, int(code[0])) for family, code in zip(self.families, codes, strict=True)]


@dataclass(frozen=True, eq=False)
class _Apart:
    """A segment that surely differs from the whole."""

    chance: float  # of a count as far off
    of: _Tried
    index: int
    sums: SliceSums  # of all segments of its feature or pair


def scan_segments(rows: JudgedRows, families: Sequence[Family], gate: Gate, whole: float) -> Scan:
    """Find the segments whose predicted to seen positives surely differ from those of all rows, at most SHOWN.

    whole: the ratio of all rows. One that holds a value that was shown already adds nothing and is left out.
    """
    bounded = [family.largest(MOST_VALUES, OTHERS) for family in families]
    groups = [*((family,) for family in bounded), *combinations(bounded, 2)]
    positive = np.flatnonzero(rows.label)
    tried = [_try(rows, positive, group, gate.slice_min_positives) for group in groups]
    count = sum(len(one.cell) for one in tried)
    apart = _surely_apart(rows, tried, whole, (1 - gate.confidence) / max(count, 1))
    chosen: list[_Apart] = []
    shown: list[Values] = []
    for found in sorted(apart, key=lambda found: (found.chance, len(found.of.families))):
        values = found.of.values(found.index)
        if len(chosen) < SHOWN and not any(values & earlier for earlier in shown):
            chosen.append(found)
            shown.append(values)
    return Scan(tuple(found.of.name(found.index) for found in chosen), _gathered(chosen), count)


def _surely_apart(rows: JudgedRows, tried: Sequence[_Tried], whole: float, allowed: float) -> list[_Apart]:
    """Return the segments whose counts are so far off with at most the chance that is allowed each."""
    baseline, found = rows.baseline(), []
    for one in tried:
        # Hardly any pair has a segment that were apart if no users differed: only there is it asked how they do.
        if (one.least_chances(whole) <= allowed).any():
            sums = one.sums(rows, baseline)
            chances = surprise(sums, whole)
            found += [_Apart(float(chances[at]), one, int(at), sums) for at in np.flatnonzero(chances <= allowed)]
    return found


def _try(rows: JudgedRows, positive: NDArray[np.int64], families: tuple[Family, ...], floor: int) -> _Tried:
    """Count the segments of one feature or of a pair, and keep those with positives enough; positive: their rows."""
    cells, size = _cells(families), _size(families)
    predicted = np.bincount(cells, rows.challenger, size).astype(np.float64)
    positives = np.bincount(cells[positive], minlength=size).astype(np.float64)
    kept = np.flatnonzero(np.maximum(predicted, positives) >= floor)
    inside = np.all([codes >= 0 for codes in _codes(families, kept)], axis=0)
    kept = kept[inside]
    return _Tried(families, kept, positives[kept], predicted[kept])


def _cells(families: tuple[Family, ...]) -> NDArray[np.int64]:
    """Number the combinations of the families' codes, (rows,); those of rows in no slice of a family have their own."""
    cells = families[0].code.astype(np.int64) + 1
    for family in families[1:]:
        cells *= len(family.values) + 1
        cells += family.code
        cells += 1
    return cells


def _size(families: tuple[Family, ...]) -> int:
    """Return how many numbers `_cells` gives."""
    return prod(len(family.values) + 1 for family in families)


def _codes(families: tuple[Family, ...], cells: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return the codes of each family that cells stand for, `NONE` included."""
    return [code - 1 for code in np.unravel_index(cells, [len(family.values) + 1 for family in families])]


def _gathered(chosen: Sequence[_Apart]) -> SliceSums:
    """Return the sums of the segments shown, with the largest dispersion among them."""
    rows, positives, predicted, before = (
        np.array([getattr(found.sums, name)[found.index] for found in chosen], dtype=np.float64)
        for name in ("rows", "positives", "predicted", "before")
    )
    dispersion = max((found.sums.dispersion for found in chosen), default=1.0)
    return SliceSums(rows, positives, predicted, before, dispersion)
