"""The worst segments: a scan over the values of features and their pairs, with the error of all that it tried.

Chung et al. 2019, "Slice Finder", look for such segments; here each is tested by the exact chance of its count, and
the chances are multiplied by the number of segments tried (Bonferroni), so that what is shown is seldom luck.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.models.judged_slices.count_ratios import SliceSums, sum_slices, surprise
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
    """The segments of one feature, or of a pair, that have positives enough."""

    families: tuple[Family, ...]
    code: NDArray[np.int64]  # (segments,)
    sums: SliceSums

    def values(self, index: int) -> Values:
        """Return what makes one segment."""
        return frozenset((family.name, code) for family, code in self._parts(index))

    def name(self, index: int) -> str:
        """Return a segment's name."""
        return " and ".join(family.shown(code) for family, code in self._parts(index))

    def _parts(self, index: int) -> list[tuple[Family, int]]:
        """Return each family with the code of its value in one segment."""
        codes = np.unravel_index(int(self.code[index]), [len(family.values) for family in self.families])
        return [(family, int(code)) for family, code in zip(self.families, codes, strict=True)]


def scan_segments(rows: JudgedRows, families: Sequence[Family], gate: Gate, whole: float) -> Scan:
    """Find the segments whose predicted to seen positives surely differ from those of all rows, at most SHOWN.

    whole: the ratio of all rows. One that holds a value that was shown already adds nothing and is left out.
    """
    bounded = [family.largest(MOST_VALUES, OTHERS) for family in families]
    groups = [*((family,) for family in bounded), *combinations(bounded, 2)]
    baseline = rows.baseline()
    tried = [_try(rows, baseline, group, gate.slice_min_positives) for group in groups]
    count = sum(len(one.code) for one in tried)
    allowed = (1 - gate.confidence) / max(count, 1)
    ranked = sorted(
        (float(chance), len(one.families), place, index)
        for place, one in enumerate(tried)
        for index, chance in enumerate(surprise(one.sums, whole))
        if chance <= allowed
    )
    chosen: list[tuple[_Tried, int]] = []
    shown: list[Values] = []
    for _, _, place, index in ranked:
        values = tried[place].values(index)
        if len(chosen) < SHOWN and not any(values & earlier for earlier in shown):
            chosen.append((tried[place], index))
            shown.append(values)
    return Scan(tuple(one.name(index) for one, index in chosen), _gathered(chosen), count)


def _try(rows: JudgedRows, baseline: NDArray[np.float64], families: tuple[Family, ...], floor: int) -> _Tried:
    """Add up the segments of one feature or of a pair, and keep those with positives enough."""
    code = families[0].code.astype(np.int64)
    for family in families[1:]:
        code = np.where((code < 0) | (family.code < 0), NONE, code * len(family.values) + family.code)
    occupied, index = np.unique(code, return_inverse=True)
    index = index - int(occupied[0] < 0) if len(occupied) else index  # rows in no segment come first
    occupied = occupied[occupied >= 0]
    sums = sum_slices(index, len(occupied), rows.label, rows.challenger, baseline, rows.user_bucket)
    kept = np.flatnonzero(sums.weight >= floor)
    return _Tried(families, occupied[kept], _selected(sums, kept))


def _selected(sums: SliceSums, kept: NDArray[np.int64]) -> SliceSums:
    """Return the sums of some segments."""
    return SliceSums(sums.rows[kept], sums.positives[kept], sums.predicted[kept], sums.before[kept], sums.dispersion)


def _gathered(chosen: Sequence[tuple[_Tried, int]]) -> SliceSums:
    """Return the sums of the segments shown, with the largest dispersion among them."""
    rows, positives, predicted, before = (
        np.array([getattr(one.sums, name)[index] for one, index in chosen], dtype=np.float64)
        for name in ("rows", "positives", "predicted", "before")
    )
    dispersion = max((one.sums.dispersion for one, _ in chosen), default=1.0)
    return SliceSums(rows, positives, predicted, before, dispersion)
