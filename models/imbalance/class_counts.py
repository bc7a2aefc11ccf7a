"""Rows, or mass, of each class: counted from labels in any usual format, in parts that add up.

One class a row: integers (also as floats or booleans) or strings, in one dimension or a single column, or one-hot.
Several labels a row: an indicator matrix, of which each column is a label with two classes of its own. Lists, NumPy
arrays, pandas' series and frames, Arrow's arrays, chunked arrays, batches and tables are all read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ctr_retrain.models.errors import DataRejectedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Floats = npt.NDArray[np.float64]
Class = int | str


@dataclass(frozen=True, eq=False)
class ClassCounts:
    """Rows or mass by class; counts of parts add up with `+`."""

    classes: tuple[Class, ...]  # in rising order; of several labels a row, the labels by column name or number
    mass: Floats  # (classes,); of several labels a row (2, labels), of the rows without and with each
    multi_label: bool = False  # several labels a row

    def __add__(self, other: ClassCounts) -> ClassCounts:
        """Return the counts of both parts; raises UsageError where one has other labels or classes of another type."""
        if self.multi_label != other.multi_label or (self.multi_label and self.classes != other.classes):
            msg = f"counts: expected parts with the same labels, received {_shown(self)} and {_shown(other)}"
            raise UsageError(msg)
        if self.multi_label:
            return ClassCounts(self.classes, self.mass + other.mass, multi_label=True)
        classes = (*self.classes, *other.classes)
        one, another = self.over(classes), other.over(classes)
        return ClassCounts(one.classes, one.mass + another.mass)

    def __radd__(self, zero: int) -> ClassCounts:
        """Return the counts themselves, so that `sum`, which begins with 0, takes them."""
        return self if zero == 0 else NotImplemented

    def over(self, classes: Iterable[Class]) -> ClassCounts:
        """Return the counts over these classes, of which some may have no rows; UsageError where one is missing."""
        wanted = _in_order(classes)
        place = {name: number for number, name in enumerate(wanted)}
        if unknown := [name for name in self.classes if name not in place]:
            msg = f"classes: expected all that the labels hold, received {list(wanted)} without {unknown}"
            raise UsageError(msg)
        mass = np.zeros(len(wanted))
        mass[[place[name] for name in self.classes]] = self.mass
        return ClassCounts(wanted, mass)


def count_classes(
    labels: Any, *, mass: Any = None, multi_label: bool = False, classes: Sequence[Class] | None = None
) -> ClassCounts:
    """Count labels; also a part of them, whose counts add up with those of other parts.

    mass: (rows,), what each row counts instead of 1, such as its recency. multi_label: an indicator matrix
    (rows, labels); otherwise two dimensions are one-hot. classes: all that there are, whether or not they occur here.
    Raises DataRejectedError for missing values, UsageError for a format or shape that is none of these.
    """
    columns, names = as_labels(labels, multi_label=multi_label)
    amount = np.ones(len(columns)) if mass is None else _checked_mass(mass, len(columns))
    if multi_label:
        with_it = amount @ columns
        return ClassCounts(names, np.stack([amount.sum() - with_it, with_it]), multi_label=True)
    sums = np.bincount(columns, amount, minlength=len(names)).astype(np.float64)
    counts = ClassCounts(names, sums)
    return counts if classes is None else counts.over(classes)


def as_labels(labels: Any, *, multi_label: bool = False) -> tuple[npt.NDArray[Any], tuple[Class, ...]]:
    """Return each row's place among the classes, (rows,), or the matrix of 0 and 1, (rows, labels); and the names."""
    if isinstance(labels, list | tuple) and labels and isinstance(labels[0], list | tuple | np.ndarray):
        labels = _matrix_of_lists(labels)
    names: tuple[Class, ...] | None = None
    if hasattr(labels, "columns"):  # pandas' frames, Arrow's tables and batches
        names, labels = _named_columns(labels)
    elif not isinstance(labels, list | tuple | pa.Array | pa.ChunkedArray) and not hasattr(labels, "isna"):
        labels = np.asarray(labels)  # all but pandas' series, which Arrow reads with their missing values
    shape: tuple[int, ...] = labels.shape if hasattr(labels, "shape") else (len(labels),)
    if len(shape) == 2 and (multi_label or shape[1] != 1):
        matrix = _checked_indicators(labels, names)
        names = names or tuple(range(shape[1]))
        return (matrix, names) if multi_label else (_checked_one_hot(matrix), tuple(range(shape[1])))
    if multi_label or len(shape) not in {1, 2}:
        expected = "an indicator matrix (rows, labels)" if multi_label else "(rows,), (rows, 1) or one-hot"
        msg = f"labels: expected the shape of {expected}, received {tuple(shape)}"
        raise UsageError(msg)
    return _encoded(labels.reshape(-1) if len(shape) == 2 else labels)


def _encoded(labels: Any) -> tuple[npt.NDArray[Any], tuple[Class, ...]]:
    """Return each row's place among the classes in rising order, and the classes, from labels in one dimension."""
    try:
        array = pa.array(labels, from_pandas=True) if not isinstance(labels, pa.Array | pa.ChunkedArray) else labels
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        msg = f"labels: expected integers or strings, one type in all rows, received: {error}"
        raise UsageError(msg) from error
    if pa.types.is_dictionary(array.type):
        array = array.cast(array.type.value_type)
    if pa.types.is_floating(array.type):
        # NaN is a number to Arrow, and would become a class of its own.
        array = pc.if_else(pc.is_nan(array), None, array)
    _refuse_missing(array.null_count, len(array))
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    # Python sees each different value once, not each row.
    encoded = array.dictionary_encode()
    found = [_class_of(value) for value in encoded.dictionary.to_pylist()]
    names = _in_order(found)
    place = {name: number for number, name in enumerate(names)}
    position = np.array([place[name] for name in found], np.int64)
    return position[encoded.indices.to_numpy()] if found else np.empty(0, np.int64), names


def _class_of(value: Any) -> Class:
    if isinstance(value, str):
        return value
    # Labels often come as floats because one row of the column was missing once.
    if isinstance(value, bool | int | float) and float(value).is_integer():
        return int(value)
    msg = f"labels: expected classes as integers or strings, received {value!r} ({type(value).__name__})"
    raise UsageError(msg)


def _in_order(classes: Iterable[Class]) -> tuple[Class, ...]:
    """Return each class once, in rising order; raises UsageError for integers and strings together."""
    different = set(classes)
    # "1" and 1 would be two classes to us and often one to whoever wrote them.
    if len({isinstance(name, str) for name in different}) > 1:
        msg = f"classes: expected integers or strings, received both: {sorted(map(str, different))[:6]}"
        raise UsageError(msg)
    return tuple(sorted(different))


def _matrix_of_lists(rows: Sequence[Any]) -> npt.NDArray[Any]:
    lengths = {len(row) for row in rows}
    if len(lengths) > 1:
        msg = f"labels: expected rows of one length, received rows of {min(lengths)} to {max(lengths)} values"
        raise UsageError(msg)
    return np.array(rows, dtype=object)


def _named_columns(frame: Any) -> tuple[tuple[Class, ...], npt.NDArray[Any]]:
    """Return names and values of a frame or table, (rows, columns); None becomes NaN."""
    if isinstance(frame, pa.Table | pa.RecordBatch):
        values = [np.array(column.to_pylist(), object) for column in frame.columns]
        return tuple(frame.column_names), np.column_stack(values)
    return tuple(frame.columns), frame.to_numpy(dtype=object)


def _checked_indicators(labels: Any, names: tuple[Class, ...] | None) -> Floats:
    """Return labels as a matrix of 0 and 1; raises where a value is missing or another."""
    try:
        matrix = np.asarray(labels, np.float64) if labels.dtype != object else _as_numbers(labels)
    except (TypeError, ValueError) as error:
        msg = f"labels: expected a matrix of 0 and 1, received: {error}"
        raise UsageError(msg) from error
    _refuse_missing(int(np.isnan(matrix).any(axis=1).sum()), len(matrix))
    wrong = (matrix != 0) & (matrix != 1)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        where = f"row {row}, column {names[column] if names else column}"
        msg = f"labels: expected a matrix of 0 and 1, received {matrix[row, column]:g} in {where}"
        raise UsageError(msg)
    return matrix


def _as_numbers(labels: npt.NDArray[Any]) -> Floats:
    """Return objects as floats, missing ones as NaN."""
    flat = pa.array(labels.ravel(), from_pandas=True)
    return np.asarray(flat.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64).reshape(labels.shape)


def _checked_one_hot(matrix: Floats) -> npt.NDArray[np.int64]:
    sums = matrix.sum(axis=1)
    if (wrong := np.flatnonzero(sums != 1)).size:
        msg = (
            f"labels: expected one-hot rows, each with a single 1, received {sums[wrong[0]]:g} in row {wrong[0]}, "
            f"and {wrong.size:,} such rows. Where rows may have several labels or none, say multi_label=True."
        )
        raise UsageError(msg)
    return np.asarray(matrix.argmax(axis=1), np.int64)


def _checked_mass(mass: Any, rows: int) -> Floats:
    amount = np.asarray(mass, np.float64)
    if amount.shape != (rows,):
        msg = f"mass: expected one number a row, ({rows},), received {amount.shape}"
        raise UsageError(msg)
    if not (np.isfinite(amount) & (amount >= 0)).all():
        msg = (
            f"mass: expected finite numbers of at least 0, received {amount[~(amount >= 0) | ~np.isfinite(amount)][0]}"
        )
        raise UsageError(msg)
    return amount


def _refuse_missing(missing: int, rows: int) -> None:
    if missing:
        msg = (
            f"labels: expected a label in every row, received none (null or NaN) in {missing:,} of {rows:,} rows. "
            "Leave these rows out."
        )
        raise DataRejectedError(msg)


def _shown(counts: ClassCounts) -> str:
    return f"{'labels' if counts.multi_label else 'classes'} {list(counts.classes)[:6]}"
