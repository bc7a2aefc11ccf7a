"""Stage 6, train: encode the training rows once, fit the network, calibrate it on C, save the bundle to be served."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb
import keras
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from prefect import task
from prefect.cache_policies import NO_CACHE

from models.batches import TrainingRows, make_batches
from models.bundle import save_serving, serving_model
from models.calibration import Calibration, fit_calibration
from models.features import encode, fields, fit_numeric_state, numbers, raw_columns
from models.network import build_network
from models.recipe import Recipe
from models.training import TrainingResult, predict_logits, train
from models.weights import Factors
from tasks import duck
from tasks.plan import RunPlan
from tasks.progress import progress_of
from tasks.slices import calibration_rows, training_rows
from tasks.store import Store

CHALLENGER = "challenger"
SERVING = "serving"
BUNDLE_FILE = "bundle.json"
TRAINING_FILE = "training.json"
BATCH_ROWS = 200_000

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainedChallenger:
    """What training took, and how the challenger was calibrated."""

    training: TrainingResult
    calibration: Calibration


@task(cache_policy=NO_CACHE)
def train_challenger(
    store: Store,
    recipe: Recipe,
    plan: RunPlan,
    factors: Factors,
    folder: Path,
) -> TrainedChallenger:
    """Write challenger/ (the bundle) and training.json into the run's folder."""
    scratch = folder / "encoded"
    scratch.mkdir()
    keras.utils.set_random_seed(recipe.training.seed)
    with duck.connect(scratch) as connection:
        rows = _encode(connection, training_rows(store, plan, recipe), factors.rows, recipe, scratch)
        state = fit_numeric_state(_chunks(rows.numeric), recipe.features)
        network = build_network(recipe, state, factors.base_log_odds, recipe.training.seed)
        batches = make_batches(rows, factors, recipe.training.batch_rows, recipe.training.seed)
        with progress_of("training", "rows") as progress:
            result = train(network, batches, recipe.training, progress)
        calibration = _calibrate(connection, calibration_rows(store, plan, recipe), network, recipe)
    shutil.rmtree(scratch)
    log.info("trained on %d rows at %.0f rows/s on %s", result.rows, result.rows_per_second, result.device)
    bundle = folder / CHALLENGER
    save_serving(serving_model(network, recipe, calibration), bundle / SERVING)
    description = {
        **plan.to_json(),
        "recipe": recipe.model_dump(mode="json"),
        "numeric_state": asdict(state),
        "calibration": calibration.to_json(),
        "columns": raw_columns(recipe.features),
    }
    (bundle / BUNDLE_FILE).write_text(json.dumps(description, indent=1), encoding="utf-8")
    (folder / TRAINING_FILE).write_text(
        json.dumps({"training": asdict(result), "calibration": calibration.to_json()}, indent=1), encoding="utf-8"
    )
    return TrainedChallenger(result, calibration)


def _encode(
    connection: duckdb.DuckDBPyConnection, query: str, rows: int, recipe: Recipe, scratch: Path
) -> TrainingRows:
    """The rows of a query as memory-mapped arrays, in their order."""

    def open_map(name: str, dtype: Any, *width: int) -> npt.NDArray[Any]:
        return np.lib.format.open_memmap(scratch / f"{name}.npy", "w+", dtype, (rows, *width))

    ids = open_map("ids", np.int32, len(fields(recipe.features)))
    numeric = open_map("numeric", np.float32, len(numbers(recipe.features)))
    label, day_index = open_map("label", np.uint8), open_map("day_index", np.int16)
    confidence = open_map("confidence", np.float32) if recipe.landing.columns.confidence else None
    first = 0
    for batch in connection.execute(query).to_arrow_reader(BATCH_ROWS):
        table = pa.table(batch)
        part = slice(first, first + len(table))
        encoded = encode(table, recipe.features)
        ids[part], numeric[part] = encoded.ids, encoded.numeric
        label[part], day_index[part] = table["label"].to_numpy(), table["day_index"].to_numpy()
        if confidence is not None:
            confidence[part] = table["confidence"].fill_null(1.0).to_numpy()
        first += len(table)
    return TrainingRows(ids, numeric, label, day_index, confidence)


def _chunks(numeric: npt.NDArray[np.float32]) -> Iterator[npt.NDArray[np.float32]]:
    return (numeric[first : first + BATCH_ROWS] for first in range(0, len(numeric), BATCH_ROWS))


def _calibrate(connection: duckdb.DuckDBPyConnection, query: str, network: keras.Model, recipe: Recipe) -> Calibration:
    """Fit the calibration layer on C, rows that training never saw."""
    logits, labels = [np.empty(0, np.float32)], [np.empty(0, np.int8)]
    for batch in connection.execute(query).to_arrow_reader(BATCH_ROWS):
        table = pa.table(batch)
        encoded = encode(table, recipe.features)
        logits.append(predict_logits(network, encoded.ids, encoded.numeric))
        labels.append(table["label"].to_numpy())
    return fit_calibration(np.concatenate(logits), np.concatenate(labels))
