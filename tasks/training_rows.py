"""The rows of T as training and calibration read them: encoded days side by side, with labels as of the run's day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models.batches import TrainingRows
from models.errors import StorageError
from models.stacked import Stacked
from tasks import duck
from tasks.encode import encode_days, make_map
from tasks.slices import labels_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from models.features import Encoded
    from models.recipe import Recipe
    from tasks.label import LabelledDay
    from tasks.plan import RunPlan
    from tasks.store import Store


@dataclass(frozen=True, eq=False)
class CalibrationRows:
    """Rows of C: ids (n, slots) int32, numeric (n, numbers) float32, label (n,) uint8."""

    ids: Stacked
    numeric: Stacked
    label: npt.NDArray[np.uint8]


def read_rows(store: Store, recipe: Recipe, plan: RunPlan, scratch: Path) -> tuple[TrainingRows, CalibrationRows]:
    """Rows to train on, and those kept out of T for calibration; labels lie in maps in `scratch`, encoded days don't.

    Raises StorageError where a day's labels are not those of its encoded rows.
    """
    encoded = encode_days(store, recipe, plan.train)
    total = sum(day.rows for day in plan.train)
    label = make_map(scratch / "label.npy", np.uint8, (total,))
    day_index = make_map(scratch / "day_index.npy", np.int16, (total,))
    confidence = (
        make_map(scratch / "confidence.npy", np.float32, (total,)) if recipe.landing.columns.confidence else None
    )
    chosen: list[npt.NDArray[np.int32] | None] = []
    held_out, held_labels = [], []
    first = 0
    for index, day in enumerate(plan.train):
        labels, confidences, kept_out = _labels(store, recipe, plan, day, scratch)
        rows = None if not kept_out.any() else np.flatnonzero(~kept_out).astype(np.int32)
        part = slice(first, first + int((~kept_out).sum()))
        label[part], day_index[part] = labels[~kept_out], index
        if confidence is not None:
            confidence[part] = confidences[~kept_out]
        chosen.append(rows)
        held_out.append(np.flatnonzero(kept_out).astype(np.int32))
        held_labels.append(labels[kept_out])
        first = part.stop
    training = TrainingRows(
        *_stacked(encoded, chosen), label[:first], day_index[:first], None if confidence is None else confidence[:first]
    )
    return training, CalibrationRows(*_stacked(encoded, held_out), np.concatenate(held_labels))


def _stacked(days: list[Encoded], chosen: Sequence[npt.NDArray[np.int32] | None]) -> tuple[Stacked, Stacked]:
    return Stacked([day.ids for day in days], chosen), Stacked([day.numeric for day in days], chosen)


def _labels(
    store: Store, recipe: Recipe, plan: RunPlan, day: LabelledDay, scratch: Path
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Label, confidence and whether it is kept out, of each row of a day in the order of the encoded rows."""
    with duck.connect(scratch, threads=1) as connection:  # one thread keeps the rows' order
        found = connection.sql(labels_of(store, plan, recipe, day)).to_arrow_table()
    if len(found) != day.rows:
        msg = f"{day.path} under {store.root}: expected {day.rows:,} rows, received {len(found):,}. Restore it."
        raise StorageError(msg)
    label, confidence, kept_out = (column.to_numpy() for column in found.columns)
    return label, confidence, kept_out
