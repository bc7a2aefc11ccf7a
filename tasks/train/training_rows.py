"""The training window's rows as training, early stopping and calibration read them: encoded, with their labels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from ctr_retrain.models.data.maturity import seen_shares
from ctr_retrain.models.errors import DataRejectedError, StorageError
from ctr_retrain.models.features.vocabulary import ValueCounts, count_codes, fit_values, unseen_rows
from ctr_retrain.models.training.batches import TrainingRows
from ctr_retrain.models.training.stacked_arrays import CHUNK_ROWS, Stacked, chunks
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.train.disk_arrays import make_map
from ctr_retrain.tasks.train.encode_days import encode_days
from ctr_retrain.tasks.train.row_roles import CALIBRATE, STOP, TRAIN, TRAINED, labels_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from ctr_retrain.models.documents.maturity_documents import Maturity
    from ctr_retrain.models.documents.training_documents import FieldValues
    from ctr_retrain.models.feature_kinds.feature import Feature
    from ctr_retrain.models.features.dictionary import Dictionary
    from ctr_retrain.models.features.encoder import Coded
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
    features: tuple[Feature, ...]  # the recipe's, which know their values with rows of the embedding table
    values: tuple[FieldValues, ...] = ()  # what was counted where the values were fitted on these rows
    recent_ids: Stacked | None = None  # in a warm start, ids of the newer rows, without which values expire
    value_counts: ValueCounts | None = None  # of the rows to train on; None: not counted


def read_slices(
    run: Run,
    scratch: Path,
    curves: Sequence[Maturity] | None = None,
    features: tuple[Feature, ...] | None = None,
) -> TrainingSplit:
    """Stack the encoded days, without a copy; labels and what else belongs to each row lie in maps in `scratch`.

    curves: where labels are immature, what is known of their maturity; rows of which nothing is known are left out.
    features: those of a model that was fitted before, which know their values; None fits them on the rows to train on.
    Raises StorageError where a day's labels are not those of its encoded rows, DataRejectedError where no row is left
    to train on.
    """
    days = encode_days(run.store, run.recipe, run.plan.window)
    labels = [_labels(run, day, scratch, curves) for day in run.plan.window]
    values: tuple[FieldValues, ...] = ()
    counted = _counted(days, labels) if features is None else None
    if features is None:
        features, values = fit_values(run.recipe.features, counted or ())
    encoded = _Encoded(days, [day.dictionary.table_rows(features) for day in days])
    earlier = len(run.plan.start.earlier)
    train, calibrate, stop = (_rows_of(role, encoded, labels, scratch, earlier) for role in (TRAIN, CALIBRATE, STOP))
    if train is None:
        msg = f"training rows of {run.plan.run_id}: expected at least one, received none. Widen the window."
        raise DataRejectedError(msg)
    positives = int(np.count_nonzero(train.label))
    train = replace(train, unseen=unseen_rows(features, values, positives))
    value_counts = encoded.count_values([count for _, count in counted]) if counted else None
    return TrainingSplit(train, calibrate, stop, features, values, _recent_ids(encoded, run), value_counts)


@dataclass(frozen=True, eq=False)
class _Encoded:
    """The encoded days of a window."""

    days: list[Coded]
    table_rows: list[npt.NDArray[np.int32]]  # of each day, by its codes

    def ids(self, chosen: Sequence[npt.NDArray[np.int64] | None] | None = None) -> Stacked:
        """Return the rows of the embedding table of the chosen rows of each day, or of all."""
        return Stacked([day.codes for day in self.days], chosen, self.table_rows)

    def count_values(self, counts: Sequence[npt.NDArray[np.int64]]) -> ValueCounts:
        """Count values by the row of the table that they have, of each day's counts of its codes."""
        # As many as the highest row that is named: rows beyond it stand for no value of these days.
        size = 1 + max((int(rows.max(initial=-1)) for rows in self.table_rows), default=-1)
        of_days = [np.bincount(rows, count, size) for rows, count in zip(self.table_rows, counts, strict=True)]
        return ValueCounts.of_days(of_days)

    def since(self, first: int) -> _Encoded:
        """Return the days from that one on."""
        return _Encoded(self.days[first:], self.table_rows[first:])


def _counted(days: list[Coded], labels: list[_Labels]) -> list[tuple[Dictionary, npt.NDArray[np.int64]]]:
    """Count the values of each day's rows that are trained on; in a warm start, also of those that were."""
    # Not of whole days: a user who is kept out would get a row that no training reaches, and so be no stranger.
    found = []
    for day, of_day in zip(days, labels, strict=True):
        rows = np.flatnonzero(np.isin(of_day.role, (TRAIN, TRAINED)))
        codes = chunks(Stacked([day.codes], [rows]), CHUNK_ROWS)
        found.append((day.dictionary, count_codes(codes, day.dictionary)))
    return found


def _recent_ids(encoded: _Encoded, run: Run) -> Stacked | None:
    """Return, in a warm start, the ids of all rows that are new enough for values not to expire."""
    if not run.plan.start.warm:
        return None
    oldest = run.plan.days.cut - timedelta(days=run.recipe.warm_start.expire_days - 1)
    older = sum(day.day < oldest for day in run.plan.window)
    return encoded.since(min(older, len(encoded.days) - 1)).ids()


def _rows_of(role: int, encoded: _Encoded, labels: list[_Labels], scratch: Path, earlier: int) -> TrainingRows | None:
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
        ids=encoded.ids(chosen),
        numeric=Stacked([day.numeric for day in encoded.days], chosen),
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
