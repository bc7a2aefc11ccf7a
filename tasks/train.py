"""Stage 6, train: encode the training rows once, fit the network, calibrate it on C, save the bundle to be served."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import duckdb
import keras
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import tensorflow as tf

from models.batches import Batches, TrainingRows, make_batches
from models.bundle import save_serving, serving_model
from models.calibration import Calibration, fit_calibration
from models.device import choose_strategy, prepare_device
from models.errors import DataRejectedError, ProcessDiedError, TrainingDivergedError
from models.features import encode, fields, numbers, raw_columns
from models.network import build_network
from models.recipe import Recipe
from models.standardize import NumericState, fit_numeric_state
from models.training import predict_logits, train
from models.verdict import Check
from models.weights import Factors
from tasks import duck
from tasks.checkpoint import checkpoints_of
from tasks.layout import BUNDLE_FILE, CHALLENGER, SERVING, TRAINING_FILE
from tasks.model_process import Compute, ProgressOf
from tasks.plan import RunPlan
from tasks.slices import calibration_rows, stopping_rows, training_rows
from tasks.store import Store, digest_of

BATCH_ROWS = 200_000

log = logging.getLogger(__name__)


def train_challenger(
    store: Store,
    recipe: Recipe,
    plan: RunPlan,
    factors: Factors,
    folder: Path,
    compute: Compute,
    progress_of: ProgressOf,
) -> Check | None:
    """Write challenger/ (the bundle) and training.json into the run's folder.

    Returns None, or the failed check that says why there is no challenger: its training diverged. Raises UsageError
    where the device is not there, ProcessDiedError where its memory doesn't suffice.
    """
    scratch = folder / "encoded"
    scratch.mkdir()
    device = prepare_device(compute.device)  # before the first hash is computed, or a GPU takes all of its memory
    strategy = choose_strategy()
    keras.utils.set_random_seed(recipe.training.seed)
    try:
        with duck.connect(scratch) as connection:
            rows = _encode(connection, training_rows(store, plan, recipe), factors.rows, recipe, scratch)
            stopping = _stopping_batches(connection, stopping_rows(store, plan, recipe), factors, recipe, scratch)
            state = fit_numeric_state(_chunks(rows.numeric), recipe.features)
            with strategy.scope():
                network = build_network(recipe, state, factors.base_log_odds, recipe.training.seed)
            batches = make_batches(rows, factors, recipe.training.batch_rows, recipe.training.seed)
            with (
                progress_of(f"training on {device}", "rows") as progress,
                checkpoints_of(compute.checkpoints, _fit_key(plan, device)) as checkpoints,
            ):
                more = {"stopping": stopping, "checkpoints": checkpoints, "strategy": strategy}
                result = train(network, batches, recipe.training, progress, **more)
            network = _in_full_precision(network, recipe, state, factors)
            calibration = _calibrate(connection, calibration_rows(store, plan, recipe), network, recipe)
    except TrainingDivergedError as diverged:
        return Check("training", None, None, passed=False, words=str(diverged))
    except tf.errors.ResourceExhaustedError as error:
        msg = (
            f"training on {device}: expected room for the model and a batch, received: {error.message.splitlines()[0]} "
            "Lower training.batch_rows, training.embedding_dim or the features' buckets."
        )
        raise ProcessDiedError(msg) from error
    finally:
        shutil.rmtree(scratch)
    log.info(
        "CTR_RETRAIN_DEVICE=%s took %s: trained on %d rows, %d epochs, at %.0f rows/s",
        *(compute.device, device, result.rows, result.epochs, result.rows_per_second),
    )
    bundle = folder / CHALLENGER
    save_serving(serving_model(network, recipe, calibration), bundle / SERVING)
    description = {
        **plan.to_json(),
        "recipe": recipe.model_dump(mode="json"),
        "numeric_state": asdict(state),
        "calibration": calibration.to_json(),
        "columns": raw_columns(recipe.features),
    }
    _write_json(bundle / BUNDLE_FILE, description)
    _write_json(folder / TRAINING_FILE, {"training": asdict(result), "calibration": calibration.to_json()})
    return None


def _fit_key(plan: RunPlan, device: str) -> str:
    """Names all that the fit depends on: rows, recipe, code, and what computes."""
    return digest_of([[day.path for day in plan.train], str(plan.days.cut), plan.recipe_digest, plan.code, device])


def _in_full_precision(network: keras.Model, recipe: Recipe, state: NumericState, factors: Factors) -> keras.Model:
    """The trained network as it is calibrated and served: in float32, whatever it was trained in, outside a scope."""
    training = recipe.training
    plain = recipe.model_copy(update={"training": training.model_copy(update={"precision": "float32"})})
    copy = build_network(plain, state, factors.base_log_odds, training.seed)
    copy.set_weights(network.get_weights())
    return copy


def _stopping_batches(
    connection: duckdb.DuckDBPyConnection, query: str, factors: Factors, recipe: Recipe, scratch: Path
) -> Batches | None:
    """The rows kept out to stop by, in their order, weighed as the others are; None for a single epoch."""
    training = recipe.training
    if training.epochs == 1:
        return None
    (count,) = connection.sql(f"SELECT count(*) FROM ({query})").fetchone() or (0,)
    if not count:
        msg = (
            "early stopping: expected users kept out to stop by, received no row of theirs. Raise "
            "training.stopping_share or training.calibration_days, or set training.epochs to 1."
        )
        raise DataRejectedError(msg)
    folder = scratch / "stopping"
    folder.mkdir()
    return make_batches(_encode(connection, query, count, recipe, folder), factors, training.batch_rows, training.seed)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")


def _encode(
    connection: duckdb.DuckDBPyConnection, query: str, rows: int, recipe: Recipe, scratch: Path
) -> TrainingRows:
    """The rows of a query as memory-mapped arrays, in their order."""

    def open_map(name: str, dtype: Any, *width: int) -> npt.NDArray[Any]:
        return make_map(scratch / f"{name}.npy", dtype, (rows, *width))

    ids = open_map("ids", np.int32, len(fields(recipe.features)))
    numeric = open_map("numeric", np.float32, len(numbers(recipe.features)))
    label, day_index = open_map("label", np.uint8), open_map("day_index", np.int16)
    confidence = open_map("confidence", np.float32) if recipe.landing.columns.confidence else None
    first = 0
    for batch in connection.sql(query).to_arrow_reader(BATCH_ROWS):
        table = pa.table(batch)
        part = slice(first, first + len(table))
        encoded = encode(table, recipe.features)
        ids[part], numeric[part] = encoded.ids, encoded.numeric
        label[part], day_index[part] = table["label"].to_numpy(), table["day_index"].to_numpy()
        if confidence is not None:
            confidence[part] = table["confidence"].fill_null(1.0).to_numpy()
        first += len(table)
    return TrainingRows(ids, numeric, label, day_index, confidence)


def make_map(path: Path, dtype: Any, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """A new .npy file as a writable map, its room on the disk taken: a full disk is an OSError here and now.

    Writing to a sparse file on a full disk would be a bus error, which kills the process.
    """
    mapped: npt.NDArray[Any] = np.lib.format.open_memmap(path, "w+", dtype, shape)
    with path.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return mapped


def _chunks(numeric: npt.NDArray[np.float32]) -> Iterator[npt.NDArray[np.float32]]:
    return (numeric[first : first + BATCH_ROWS] for first in range(0, len(numeric), BATCH_ROWS))


def _calibrate(connection: duckdb.DuckDBPyConnection, query: str, network: keras.Model, recipe: Recipe) -> Calibration:
    """Fit the calibration layer on C, rows that training never saw.

    Raises TrainingDivergedError where the network answers them with no number.
    """
    logits, labels = [np.empty(0, np.float32)], [np.empty(0, np.int8)]
    for batch in connection.sql(query).to_arrow_reader(BATCH_ROWS):
        table = pa.table(batch)
        encoded = encode(table, recipe.features)
        logits.append(predict_logits(network, encoded.ids, encoded.numeric))
        labels.append(table["label"].to_numpy())
    logit = np.concatenate(logits)
    if unusable := int((~np.isfinite(logit)).sum()):
        msg = (
            f"calibration: expected a finite logit for each of {len(logit):,} rows, received none for {unusable:,}. "
            "Lower training.learning_rate and training.embedding_learning_rate."
        )
        raise TrainingDivergedError(msg)
    return fit_calibration(logit, np.concatenate(labels))
