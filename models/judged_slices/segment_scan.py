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
from scipy.special import ndtri, stdtrit

from ctr_retrain.models.judged_slices.count_ratios import SliceSums, chance_of_count, sum_slices, surprise
from ctr_retrain.models.judged_slices.slice_rows import NONE
from ctr_retrain.models.judging.cells import USER_BUCKETS

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

    def code(self) -> NDArray[np.int64]:
        """Return the place of each row's segment among these, (rows,); `NONE` for a row that is in none of them."""
        place = np.full(_size(self.families), NONE)
        place[self.cell] = np.arange(len(self.cell))
        return place[_cells(self.families)]

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
    dispersion: float  # of its own count


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
    baseline, apart = rows.baseline(), []
    for one in tried:
        # Hardly any pair has a segment that would be apart if users were alike: only there is it asked how they differ.
        if not (one.least_chances(whole) <= allowed).any():
            continue
        code = one.code()
        sums = sum_slices(code, len(one.cell), rows.label, rows.challenger, baseline, rows.user_bucket)
        at = np.flatnonzero(surprise(sums, whole) <= allowed)
        spread = _own_dispersion(rows, code, at, sums, allowed)
        chances = chance_of_count(one.positives[at] / spread, one.predicted[at] / whole / spread)
        apart += [
            _Apart(chance, one, index, sums, own)
            for chance, index, own in zip(chances.tolist(), at.tolist(), spread.tolist(), strict=True)
            if chance <= allowed
        ]
    return apart


def _own_dispersion(
    rows: JudgedRows, code: NDArray[np.int64], at: NDArray[np.int64], sums: SliceSums, allowed: float
) -> NDArray[np.float64]:
    """Return the dispersion of some segments' counts, (segments,): that of all beside them, or their own if larger.

    Few users, or some that have most of a segment's rows, spread its count further than those of its neighbours. Each
    bucket of users is left out in turn (a jackknife), and the dispersion is as much larger as Student's quantile is
    beside the normal one, at the chance that is allowed and the effective number of buckets.
    """
    if rows.user_bucket is None:
        return np.full(len(at), sums.dispersion)
    place = np.full(len(sums.rows), NONE)
    place[at] = np.arange(len(at))
    own = np.where(code >= 0, place[code], NONE)
    inside = np.flatnonzero(own >= 0)
    cell = own[inside] * USER_BUCKETS + rows.user_bucket[inside]
    seen, expected = (
        np.bincount(cell, each[inside], len(at) * USER_BUCKETS).reshape(len(at), USER_BUCKETS)
        for each in (rows.label, rows.challenger)
    )
    some = expected + 1e-12  # where a calibration predicts none at all, each bucket has as large a share
    share = some / some.sum(axis=1, keepdims=True)
    rest = (seen - share * seen.sum(axis=1, keepdims=True)) / np.maximum(1 - share, 1e-9)
    dispersion = np.square(rest).sum(axis=1) / np.maximum(seen.sum(axis=1), 1.0)
    freedom = np.maximum(1 / np.square(share).sum(axis=1) - 1, 1.0)
    wider = np.square(stdtrit(freedom, allowed / 2) / ndtri(allowed / 2))
    return np.asarray(np.maximum(dispersion, sums.dispersion) * wider)


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
    dispersion = max((found.dispersion for found in chosen), default=1.0)
    return SliceSums(rows, positives, predicted, before, dispersion)
