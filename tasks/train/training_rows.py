"""The rows of T as training, early stopping and calibration read them: encoded days, labels as of the run's day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from ctr_retrain.models.data.maturity import seen_shares
from ctr_retrain.models.errors import StorageError
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
    from ctr_retrain.models.recipe.recipe import Recipe
    from ctr_retrain.tasks.label.label_day import LabelledDay
    from ctr_retrain.tasks.plan.plan_run import RunPlan
    from ctr_retrain.tasks.plan.run import Run


@dataclass(frozen=True, eq=False)
class TrainingSplit:
    """The rows of T by what they are for; those to stop by are there where the recipe trains more than one epoch.

    window_ids: ids of all rows of T, whatever they are for; recent_ids: of those from which values expire that they
    don't name. Of a warm run alone.
    """

    train: TrainingRows
    calibrate: TrainingRows | None
    stop: TrainingRows | None
    window_ids: Stacked | None = None
    recent_ids: Stacked | None = None


def read_slices(run: Run, scratch: Path, curves: Sequence[Maturity] | None = None) -> TrainingSplit:
    """Encoded days side by side, never copied; labels and what else belongs to each row lie in maps in `scratch`.

    curves: where labels are young, what is known of their maturity; rows of which nothing is known are left out. A
    slice without rows is None. Raises StorageError where a day's labels are not those of its encoded rows,
    DataRejectedError where no row is left to train on.
    """
    recipe, plan = run.recipe, run.plan
    encoded = encode_days(run.store, recipe, plan.window)
    found = [_labels(run, day, scratch, curves) for day in plan.window]
    earlier, young = len(plan.start.earlier), curves is not None
    train, calibrate, stop = (
        _rows_of(number, encoded, found, recipe, scratch, earlier, young=young) for number in (TRAIN, CALIBRATE, STOP)
    )
    kept_out = [TrainingRows(*rows) if len(rows[2]) else None for rows in (calibrate, stop)]
    window_ids, recent_ids = _ids_of_window(encoded, recipe, plan)
    return TrainingSplit(TrainingRows(*train), kept_out[0], kept_out[1], window_ids, recent_ids)


def _ids_of_window(encoded: list[Encoded], recipe: Recipe, plan: RunPlan) -> tuple[Stacked | None, Stacked | None]:
    if not plan.start.warm:
        return None, None
    oldest = plan.days.cut - timedelta(days=recipe.warm_start.expire_days - 1)
    ids = [day.ids for day in encoded]
    recent = [of_day for of_day, day in zip(ids, plan.window, strict=True) if day.day >= oldest]
    return Stacked(ids), Stacked(recent or ids[-1:])


def _rows_of(
    number: int,
    encoded: list[Encoded],
    labels: list[_Labels],
    recipe: Recipe,
    scratch: Path,
    earlier: int,
    *,
    young: bool,
) -> Any:
    """What TrainingRows takes, of one slice; days are counted from the first that is trained on, after the earlier."""
    chosen = [None if (of_day.slice == number).all() else np.flatnonzero(of_day.slice == number) for of_day in labels]
    ids, numeric = (Stacked([getattr(day, name) for day in encoded], chosen) for name in ("ids", "numeric"))
    label = make_map(scratch / f"label{number}.npy", np.uint8, (len(ids),))
    day_index = make_map(scratch / f"day_index{number}.npy", np.int16, (len(ids),))
    confidence = None
    if recipe.landing.columns.confidence:
        confidence = make_map(scratch / f"confidence{number}.npy", np.float32, (len(ids),))
    maturity = heads = None
    if young:
        maturity = make_map(scratch / f"maturity{number}.npy", np.float32, (len(ids),))
    if recipe.training.heads:
        heads = make_map(scratch / f"heads{number}.npy", np.uint8, (len(ids), len(recipe.training.heads)))
    first = 0
    for index, (of_day, rows) in enumerate(zip(labels, chosen, strict=True)):
        wanted = slice(None) if rows is None else rows
        part = slice(first, first + len(of_day.label[wanted]))
        label[part], day_index[part] = of_day.label[wanted], max(0, index - earlier)
        if confidence is not None:
            confidence[part] = of_day.confidence[wanted]
        if maturity is not None:
            maturity[part] = of_day.maturity[wanted]
        if heads is not None:
            heads[part] = of_day.heads[wanted]
        first = part.stop
    return ids, numeric, label, day_index, confidence, maturity, heads


@dataclass(frozen=True, eq=False)
class _Labels:
    """Of each row of a day, in the order of the encoded rows."""

    label: npt.NDArray[np.uint8]
    confidence: npt.NDArray[np.float32]
    maturity: npt.NDArray[np.float32]
    slice: npt.NDArray[np.uint8]
    heads: npt.NDArray[np.uint8]  # (rows, heads)


def _labels(run: Run, day: LabelledDay, scratch: Path, curves: Sequence[Maturity] | None) -> _Labels:
    shares = None if curves is None else seen_shares(curves, run.recipe, (run.plan.day - day.day).days)
    with duck.connect(scratch, threads=1) as connection:  # one thread keeps the rows' order
        found = connection.sql(labels_of(run, day, shares)).to_arrow_table()
    if len(found) != day.rows:
        msg = f"{day.path} under {run.store.root}: expected {day.rows:,} rows, received {len(found):,}. Restore it."
        raise StorageError(msg)
    label, confidence, maturity, of_slice, *heads = (column.to_numpy() for column in found.columns)
    beside = np.stack(heads, axis=1) if heads else np.empty((len(label), 0), np.uint8)
    return _Labels(label, confidence, maturity, of_slice, beside)
