"""Train simple models on a window and predict for its validation days, where models live: they read encoded days."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.models.documents.comparison_documents import SimplerName
from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.models.yardstick.earlier_days import History, row_chunks
from ctr_retrain.models.yardstick.simple_models import FITS
from ctr_retrain.models.yardstick.training_table import training_table
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.execution.progress import Report
from ctr_retrain.tasks.label.label_day import LabelledDay
from ctr_retrain.tasks.plan.plan_run import RunPlan
from ctr_retrain.tasks.store.protocol import Store
from ctr_retrain.tasks.train.encode_days import encode_days
from ctr_retrain.tasks.train.row_roles import judged_rows_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from ctr_retrain.models.features.encoder import Coded
    from ctr_retrain.models.yardstick.simple_models import Predict


@dataclass(frozen=True, eq=False)
class SimplePredictions:
    """Predictions of simple models for the validation days, and what they were trained on."""

    rows: int  # of the window
    rows_used: int  # of them, drawn to train on
    prepared_seconds: float  # for what all of them share: counting, drawing
    seconds: dict[SimplerName, float]  # to train and to predict
    probability: dict[SimplerName, NDArray[np.float32]]  # (rows,) of the validation days, in the encoded rows' order


def predict_simply(store: Store, recipe: Recipe, plan: RunPlan, scratch: Path, progress: Report) -> SimplePredictions:
    """Train each simple model on the plan's window, predict for its validation days.

    Raises DataRejectedError where the rows to train on have one label only.
    """
    days, judged = (encode_days(store, recipe, chosen) for chosen in (plan.window, plan.validate))
    began, seed = time.monotonic(), recipe.training.seed
    labels = _labels(store, recipe, plan.window, scratch)
    history = History([*days, *judged], recipe.features)
    table = training_table(history, days, labels, seed)
    prepared, seconds, found = time.monotonic() - began, {}, {}
    for name, fit in FITS.items():
        began = time.monotonic()
        predict = fit(table, seed)
        found[name] = np.concatenate([_predicted(predict, history, day) for day in judged])
        seconds[name] = time.monotonic() - began
        progress(len(found), len(FITS))
    return SimplePredictions(sum(map(len, labels)), len(table.label), prepared, seconds, found)


def _predicted(predict: Predict, history: History, day: Coded) -> NDArray[np.float32]:
    """Return the probabilities of a day's rows, some at a time."""
    chunks = row_chunks(len(day.codes))
    return np.concatenate([np.empty(0), *(predict(history.read(day, rows)) for rows in chunks)]).astype(np.float32)


def _labels(store: Store, recipe: Recipe, days: Iterable[LabelledDay], scratch: Path) -> list[NDArray[np.uint8]]:
    """Read each day's labels in the order of its encoded rows."""
    with duck.connect(scratch, threads=1) as connection:  # one thread keeps the rows' order
        queries = (f"SELECT label FROM ({judged_rows_of(store, recipe, day)})" for day in days)
        return [connection.sql(query).to_arrow_table()["label"].to_numpy() for query in queries]
