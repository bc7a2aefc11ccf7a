"""Stage 6, train: read the encoded days, fit the network, calibrate it on C, save the bundle to be served."""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np
from prefect import task
from prefect.cache_policies import NO_CACHE

from models.batches import make_batches
from models.bundle import save_serving, serving_model
from models.calibration import Calibration, fit_calibration
from models.device import prepare_device
from models.errors import TrainingDivergedError
from models.features import raw_columns
from models.network import build_network
from models.recipe import Recipe
from models.stacked import chunks
from models.standardize import fit_numeric_state
from models.training import predict_logits, train
from models.verdict import Check
from models.weights import Factors
from tasks.layout import BUNDLE_FILE, CHALLENGER, SERVING, TRAINING_FILE
from tasks.plan import RunPlan
from tasks.progress import progress_of
from tasks.store import Store
from tasks.training_rows import CalibrationRows, read_rows

CHUNK_ROWS = 200_000

log = logging.getLogger(__name__)


@task(cache_policy=NO_CACHE)
def train_challenger(store: Store, recipe: Recipe, plan: RunPlan, factors: Factors, folder: Path) -> Check | None:
    """Write challenger/ (the bundle) and training.json into the run's folder.

    Returns None, or the failed check that says why there is no challenger: its training diverged.
    """
    scratch = folder / "rows"
    scratch.mkdir()
    prepare_device()  # before the first hash is computed, or a GPU takes all of its memory
    keras.utils.set_random_seed(recipe.training.seed)
    try:
        rows, held_out = read_rows(store, recipe, plan, scratch)
        state = fit_numeric_state(chunks(rows.numeric, CHUNK_ROWS), recipe.features)
        network = build_network(recipe, state, factors.base_log_odds, recipe.training.seed)
        batches = make_batches(rows, factors, recipe.training.batch_rows, recipe.training.seed)
        with progress_of("training", "rows") as progress:
            result = train(network, batches, recipe.training, progress)
        calibration = _calibrate(held_out, network)
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


def _calibrate(rows: CalibrationRows, network: keras.Model) -> Calibration:
    """Fit the calibration layer on C, rows that training never saw.

    Raises TrainingDivergedError where the network answers them with no number.
    """
    parts = zip(chunks(rows.ids, CHUNK_ROWS), chunks(rows.numeric, CHUNK_ROWS), strict=True)
    answers = (predict_logits(network, ids, numeric) for ids, numeric in parts)
    logit = np.concatenate([np.empty(0, np.float32), *answers])
    if unusable := int((~np.isfinite(logit)).sum()):
        msg = (
            f"calibration: expected a finite logit for each of {len(logit):,} rows, received none for {unusable:,}. "
            "Lower training.learning_rate and training.embedding_learning_rate."
        )
        raise TrainingDivergedError(msg)
    return fit_calibration(logit, rows.label)
