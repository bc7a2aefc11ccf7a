"""Stage 6, train: encode the training rows once, fit the network, calibrate it on C, save the bundle to be served."""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import duckdb
import keras
import numpy as np
import pyarrow as pa
from prefect import task
from prefect.cache_policies import NO_CACHE

from models.batches import make_batches
from models.bundle import save_serving, serving_model
from models.calibration import Calibration, fit_calibration
from models.device import prepare_device
from models.errors import TrainingDivergedError
from models.features import encode, raw_columns
from models.network import build_network
from models.recipe import Recipe
from models.standardize import fit_numeric_state
from models.training import predict_logits, train
from models.verdict import Check
from models.weights import Factors
from tasks import duck
from tasks.encode import BATCH_ROWS, chunks, encode_rows
from tasks.layout import BUNDLE_FILE, CHALLENGER, SERVING, TRAINING_FILE
from tasks.plan import RunPlan
from tasks.progress import progress_of
from tasks.slices import calibration_rows, training_rows
from tasks.store import Store

log = logging.getLogger(__name__)


@task(cache_policy=NO_CACHE)
def train_challenger(store: Store, recipe: Recipe, plan: RunPlan, factors: Factors, folder: Path) -> Check | None:
    """Write challenger/ (the bundle) and training.json into the run's folder.

    Returns None, or the failed check that says why there is no challenger: its training diverged.
    """
    scratch = folder / "encoded"
    scratch.mkdir()
    prepare_device()  # before the first hash is computed, or a GPU takes all of its memory
    keras.utils.set_random_seed(recipe.training.seed)
    try:
        with duck.connect(scratch) as connection:
            rows = encode_rows(connection, training_rows(store, plan, recipe), factors.rows, recipe, scratch)
            state = fit_numeric_state(chunks(rows.numeric), recipe.features)
            network = build_network(recipe, state, factors.base_log_odds, recipe.training.seed)
            batches = make_batches(rows, factors, recipe.training.batch_rows, recipe.training.seed)
            with progress_of("training", "rows") as progress:
                result = train(network, batches, recipe.training, progress)
            calibration = _calibrate(connection, calibration_rows(store, plan, recipe), network, recipe)
    except TrainingDivergedError as diverged:
        return Check("training", None, None, passed=False, words=str(diverged))
    finally:
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
    _write_json(bundle / BUNDLE_FILE, description)
    _write_json(folder / TRAINING_FILE, {"training": asdict(result), "calibration": calibration.to_json()})
    return None


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")


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
