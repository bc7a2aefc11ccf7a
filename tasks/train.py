"""Stage 6, train: encode the training rows once, fit the network, calibrate it on C, save the bundle to be served."""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from models.batches import Batches, TrainingRows, make_batches
from models.bundle import save_serving, serving_model
from models.calibration import Calibration, fit_calibration
from models.device import choose_strategy, prepare_device
from models.errors import DataRejectedError, ProcessDiedError, TrainingDivergedError
from models.factors import Factors
from models.features import raw_columns
from models.network import build_network
from models.rare_values import adapt_rare_values
from models.recipe import Recipe
from models.stacked import chunks
from models.standardize import NumericState, fit_numeric_state
from models.training import predict_logits, train
from models.verdict import Check
from tasks.checkpoint import checkpoints_of
from tasks.layout import BUNDLE_FILE, CHALLENGER, SERVING, TRAINING_FILE
from tasks.model_process import Compute, ProgressOf
from tasks.plan import RunPlan
from tasks.store import Store, digest_of
from tasks.training_rows import read_slices

CHUNK_ROWS = 200_000

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
    scratch = folder / "rows"
    scratch.mkdir()
    device = prepare_device(compute.device)  # before the first hash is computed, or a GPU takes all of its memory
    strategy = choose_strategy()
    keras.utils.set_random_seed(recipe.training.seed)
    try:
        rows = read_slices(store, recipe, plan, scratch)
        state = fit_numeric_state(chunks(rows.train.numeric, CHUNK_ROWS), recipe.features)
        with strategy.scope():
            network = build_network(recipe, state, factors.base_log_odds, recipe.training.seed)
        adapt_rare_values(network, chunks(rows.train.ids, CHUNK_ROWS))
        batches = make_batches(rows.train, factors, recipe.training.batch_rows, recipe.training.seed)
        stopping = _stopping_batches(rows.stop, factors, recipe)
        with (
            progress_of(f"training on {device}", "rows") as progress,
            checkpoints_of(compute.checkpoints, _fit_key(plan, device)) as checkpoints,
        ):
            more = {"stopping": stopping, "checkpoints": checkpoints, "strategy": strategy}
            result = train(network, batches, recipe.training, progress, **more)
        network = _in_full_precision(network, recipe, state, factors)
        calibration = _calibrate(rows.calibrate, network)
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


def _stopping_batches(rows: TrainingRows | None, factors: Factors, recipe: Recipe) -> Batches | None:
    """The rows kept out to stop by, in their order, weighed as the others are; None for a single epoch."""
    training = recipe.training
    if training.epochs == 1:
        return None
    if rows is None:
        msg = (
            "early stopping: expected users kept out to stop by, received no row of theirs. Raise "
            "training.stopping_share or training.calibration_days, or set training.epochs to 1."
        )
        raise DataRejectedError(msg)
    return make_batches(rows, factors, training.batch_rows, training.seed)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")


def _calibrate(rows: TrainingRows | None, network: keras.Model) -> Calibration:
    """Fit the calibration layer on C, rows that training never saw.

    Raises TrainingDivergedError where the network answers them with no number.
    """
    if rows is None:
        return fit_calibration(np.empty(0, np.float32), np.empty(0, np.uint8))
    parts = zip(chunks(rows.ids, CHUNK_ROWS), chunks(rows.numeric, CHUNK_ROWS), strict=True)
    logit = np.concatenate([predict_logits(network, ids, numeric) for ids, numeric in parts])
    if unusable := int((~np.isfinite(logit)).sum()):
        msg = (
            f"calibration: expected a finite logit for each of {len(logit):,} rows, received none for {unusable:,}. "
            "Lower training.learning_rate and training.embedding_learning_rate."
        )
        raise TrainingDivergedError(msg)
    return fit_calibration(logit, rows.label)
