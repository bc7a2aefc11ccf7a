"""The training window's rows as training, early stopping and calibration read them: encoded, with their labels."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from ctr_retrain.models.data.maturity import seen_shares
from ctr_retrain.models.errors import DataRejectedError, StorageError
from ctr_retrain.models.training.batches import TrainingRows
from ctr_retrain.models.training.stacked_arrays import Stacked
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.train.disk_arrays import make_map
from ctr_retrain.tasks.train.encode_days import encode_days
from ctr_retrain.tasks.train.row_roles import CALIBRATE, STOP, TRAIN, labels_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from ctr_retrain.models.documents.maturity_documents import Maturity
    from ctr_retrain.models.features.encoder import Encoded
    from ctr_retrain.tasks.label.label_day import LabelledDay
    from ctr_retrain.tasks.plan.run import Run


# Types of the maps that are written beside the encoded rows.
LABEL, DAY_INDEX, CONFIDENCE, MATURITY = np.uint8, np.int16, np.float32, np.float32


@dataclass(frozen=True, eq=False)
class TrainingSplit:
    """The rows of the training window by their role."""

    train: TrainingRows  # to train on
    calibrate: TrainingRows | None  # of users kept out of training; None where there are none
    stop: TrainingRows | None  # of other users kept out, for early stopping; None for a single epoch or no rows
    # In a warm start, ids of all rows, whatever they are for; and of the newer ones, without which values expire.
    window_ids: Stacked | None = None
    recent_ids: Stacked | None = None


def read_slices(run: Run, scratch: Path, curves: Sequence[Maturity] | None = None) -> TrainingSplit:
    """Stack the encoded days, without a copy; labels and what else belongs to each row lie in maps in `scratch`.

    curves: where labels are immature, what is known of their maturity; rows of which nothing is known are left out.
    Raises StorageError where a day's labels are not those of its encoded rows, DataRejectedError where no row is left
    to train on.
    """
    encoded = encode_days(run.store, run.recipe, run.plan.window)
    labels = [_labels(run, day, scratch, curves) for day in run.plan.window]
    earlier = len(run.plan.start.earlier)
    train, calibrate, stop = (_rows_of(role, encoded, labels, scratch, earlier) for role in (TRAIN, CALIBRATE, STOP))
    if train is None:
        msg = f"training rows of {run.plan.run_id}: expected at least one, received none. Widen the window."
        raise DataRejectedError(msg)
    return TrainingSplit(train, calibrate, stop, *_ids_of_window(encoded, run))


def _ids_of_window(encoded: list[Encoded], run: Run) -> tuple[Stacked | None, Stacked | None]:
    """Return, in a warm start, the ids of all rows, and of those that are new enough for values not to expire."""
    if not run.plan.start.warm:
        return None, None
    oldest = run.plan.days.cut - timedelta(days=run.recipe.warm_start.expire_days - 1)
    ids = [day.ids for day in encoded]
    recent = [of_day for of_day, day in zip(ids, run.plan.window, strict=True) if day.day >= oldest]
    return Stacked(ids), Stacked(recent or ids[-1:])


def _rows_of(
    role: int, encoded: list[Encoded], labels: list[_Labels], scratch: Path, earlier: int
) -> TrainingRows | None:
    """Return the rows of one role; None where there are none.

    earlier: how many days come before those that are trained on, from which days are counted.
    """
    if not any((day.role == role).any() for day in labels):
        return None
    chosen = [None if (day.role == role).all() else np.flatnonzero(day.role == role) for day in labels]
    days = [np.broadcast_to(DAY_INDEX(max(0, index - earlier)), len(day.label)) for index, day in enumerate(labels)]

    def joined(name: str, dtype: type[np.generic], parts: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
        return _joined(scratch / f"{name}{role}.npy", dtype, parts, chosen)

    def joined_if_known(
        name: str, dtype: type[np.generic], parts: Sequence[npt.NDArray[Any] | None]
    ) -> npt.NDArray[Any] | None:
        known = [part for part in parts if part is not None]  # of all days or of none
        return joined(name, dtype, known) if known else None

    return TrainingRows(
        ids=Stacked([day.ids for day in encoded], chosen),
        numeric=Stacked([day.numeric for day in encoded], chosen),
        label=joined("label", LABEL, [day.label for day in labels]),
        day_index=joined("day_index", DAY_INDEX, days),
        confidence=joined_if_known("confidence", CONFIDENCE, [day.confidence for day in labels]),
        maturity=joined_if_known("maturity", MATURITY, [day.maturity for day in labels]),
        heads=joined_if_known("heads", LABEL, [day.heads for day in labels]),
    )


def _joined(
    path: Path,
    dtype: type[np.generic],
    parts: Sequence[npt.NDArray[Any]],
    chosen: Sequence[npt.NDArray[np.int64] | None],
) -> npt.NDArray[Any]:
    """Write the chosen rows of all parts, one part after the other, to a map; None chooses all."""
    lengths = [len(part) if rows is None else len(rows) for part, rows in zip(parts, chosen, strict=True)]
    target = make_map(path, dtype, (sum(lengths), *parts[0].shape[1:]))
    first = 0
    for part, rows, length in zip(parts, chosen, lengths, strict=True):
        target[first : first + length] = part if rows is None else part[rows]
        first += length
    return target


@dataclass(frozen=True, eq=False)
class _Labels:
    """Labels, and all else that belongs to each row of a day, in the order of the encoded rows."""

    label: npt.NDArray[np.uint8]  # (rows,), 0 or 1
    confidence: npt.NDArray[np.float32] | None  # (rows,); None where the recipe has none
    maturity: npt.NDArray[np.float32] | None  # (rows,), share of positives seen; None where labels are final
    role: npt.NDArray[np.uint8]  # (rows,), TRAIN, CALIBRATE, …
    heads: npt.NDArray[np.uint8] | None  # (rows, heads); None where the recipe has none


def _labels(run: Run, day: LabelledDay, scratch: Path, curves: Sequence[Maturity] | None) -> _Labels:
    """Read a day's labels; raise StorageError where they are not as many as the day's rows."""
    shares = None if curves is None else seen_shares(curves, run.recipe, (run.plan.day - day.day).days)
    with duck.connect(scratch, threads=1) as connection:  # one thread keeps the rows' order
        found = connection.sql(labels_of(run, day, shares)).to_arrow_table()
    if len(found) != day.rows:
        msg = f"{day.path} under {run.store.root}: expected {day.rows:,} rows, received {len(found):,}. Restore it."
        raise StorageError(msg)
    label, confidence, maturity, role, *heads = (column.to_numpy() for column in found.columns)
    return _Labels(
        label,
        confidence if run.recipe.landing.columns.confidence else None,
        None if curves is None else maturity,
        role,
        np.stack(heads, axis=1) if heads else None,
    )
