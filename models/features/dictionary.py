"""The different values of some rows, which their ids are codes into: what an encoded day holds beside its rows.

Codes count through the values of all features of ids, in the recipe's order; each feature's first code is a missing
value's. Rows of the table follow from codes by one look-up, once a training window has said which values have rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.models.features.table_layout import encoded_fields, id_features

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Self

    import numpy.typing as npt

    from ctr_retrain.models.feature_kinds.feature import Feature


@dataclass(frozen=True, eq=False)
class Dictionary:
    """The different values of each feature of ids, (values,) int64 each, rising."""

    values: tuple[npt.NDArray[np.int64], ...]

    @property
    def first_codes(self) -> list[int]:
        """Return each feature's first code, and after them the number of all codes."""
        return [0, *np.cumsum([1 + len(values) for values in self.values]).tolist()]

    @classmethod
    def merged(cls, parts: Sequence[Self], features: tuple[Feature, ...]) -> Self:
        """Return the values of all parts, each of these features."""
        none = np.empty(0, np.int64)
        by_feature = ([part.values[k] for part in parts] for k in range(len(id_features(features))))
        return cls(tuple(np.unique(np.concatenate([none, *values])) for values in by_feature))

    def codes_in(self, whole: Dictionary) -> npt.NDArray[np.int32]:
        """Return the code in `whole`, which has all of these values and perhaps more, of each code here: (codes,)."""
        codes = np.empty(self.first_codes[-1], np.int32)
        firsts = zip(self.first_codes, whole.first_codes, self.values, whole.values, strict=False)
        for first, first_there, own, theirs in firsts:
            codes[first] = first_there
            codes[first + 1 : first + 1 + len(own)] = first_there + 1 + np.searchsorted(theirs, own)
        return codes

    def table_rows(self, features: tuple[Feature, ...]) -> npt.NDArray[np.int32]:
        """Return the row of the fused table of each code, (codes,), by the features as fitted on a training window."""
        rows = np.empty(self.first_codes[-1], np.int32)
        for (feature, field, _), first, values in zip(
            encoded_fields(features), self.first_codes, self.values, strict=False
        ):
            rows[first] = field.offset
            rows[first + 1 : first + 1 + len(values)] = field.values_offset + feature.rows_of(values)
        return rows

    def table_rows_of(self, codes: npt.NDArray[np.int32], features: tuple[Feature, ...]) -> npt.NDArray[np.int32]:
        """Return the table's rows of some rows' codes, both (n, slots): a few, of a dictionary with many values."""
        rows = np.empty(codes.shape, np.int32)
        for (feature, field, columns), first, values in zip(
            encoded_fields(features), self.first_codes, self.values, strict=False
        ):
            places = codes[:, columns] - first  # 0 for a missing value
            rows[:, columns] = field.offset
            if len(values):
                known = field.values_offset + feature.rows_of(values[np.maximum(places, 1) - 1])
                rows[:, columns] = np.where(places == 0, field.offset, known)
        return rows

    def save(self, path: Path) -> None:
        """Write the values as one .npy file: each feature's number of values, then all of them."""
        counts = np.array([len(self.values), *map(len, self.values)], np.int64)
        np.save(path, np.concatenate([counts, *self.values]))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        stored = np.load(path)
        features = int(stored[0])
        ends = np.cumsum(stored[1 : 1 + features])
        return cls(tuple(np.split(stored[1 + features :], ends[:-1])) if features else ())
