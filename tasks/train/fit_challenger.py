"""Fit the challenger: encode its rows, fit and calibrate the network, save the bundle to be served."""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ctr_retrain.models.documents.verdict_documents import Check
from ctr_retrain.models.errors import TrainingDivergedError
from ctr_retrain.models.features.table_layout import raw_columns
from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.models.serving.bundle import save_serving, serving_model
from ctr_retrain.models.training.device import prepare_device
from ctr_retrain.models.training.saved_network import save_trainable
from ctr_retrain.models.weights.row_weights import Factors
from ctr_retrain.tasks.execution.model_process import Compute, ProgressOf
from ctr_retrain.tasks.plan.choose_start import kept_out_json, open_source_model
from ctr_retrain.tasks.plan.plan_run import RunPlan
from ctr_retrain.tasks.store.layout import BUNDLE_FILE, CHALLENGER, SERVING, TRAINABLE, TRAINING_FILE
from ctr_retrain.tasks.store.protocol import Store, digest_of
from ctr_retrain.tasks.train.checkpoints import checkpoints_of
from ctr_retrain.tasks.train.fit_network import fit_network
from ctr_retrain.tasks.train.training_rows import read_slices
from ctr_retrain.tasks.train.weigh_heads import head_factors, representation_factors

log = logging.getLogger(__name__)


def fit_challenger(
    progress_of: ProgressOf,
    store: Store,
    recipe: Recipe,
    plan: RunPlan,
    factors: Factors,
    folder: Path,
    compute: Compute,
) -> Check | None:
    """Write challenger/ (the bundle) and training.json into the run's folder.

    Returns None, or the failed check that says why there is no challenger: its training diverged. Raises UsageError
    where the device is not there, ProcessDiedError where its memory doesn't suffice.
    """
    scratch = folder / "rows"
    scratch.mkdir()
    device = prepare_device(compute.device)  # before the first hash is computed, or a GPU takes all of its memory
    try:
        rows = read_slices(store, recipe, plan, scratch)
        with (
            progress_of(f"training on {device}", "rows") as progress,
            checkpoints_of(compute.checkpoints, _fit_key(plan, device)) as checkpoints,
        ):
            source_model = open_source_model(store, plan.start.version) if plan.start.version else None
            heads, plain = head_factors(folder, recipe), representation_factors(folder, recipe)
            fitted = fit_network(
                rows, recipe, factors, progress, checkpoints, source_model, heads=heads, representation=plain
            )
    except TrainingDivergedError as diverged:
        return Check(name="training", value=None, bound=None, passed=False, message=str(diverged))
    finally:
        shutil.rmtree(scratch)
    result, calibration = fitted.result, fitted.calibration
    log.info(
        "CTR_RETRAIN_DEVICE=%s took %s: trained on %d rows, %d epochs, at %.0f rows/s",
        *(compute.device, device, result.rows, result.epochs, result.rows_per_second),
    )
    bundle = folder / CHALLENGER
    head_calibrations = {kind: own.to_json() for kind, own in fitted.head_calibrations.items()}
    save_serving(serving_model(fitted.network, recipe, calibration, fitted.head_calibrations), bundle / SERVING)
    save_trainable(fitted.trainable, bundle / TRAINABLE)
    description = {
        **plan.to_json(),
        "recipe": recipe.model_dump(mode="json"),
        "numeric_state": asdict(fitted.state),
        "calibration": calibration.to_json(),
        "head_calibrations": head_calibrations,
        "columns": raw_columns(recipe.features),
        **({"kept_out": kept_out_json(plan.start, plan.days.calibrate[0])} if recipe.warm_start.enabled else {}),
    }
    _write_json(bundle / BUNDLE_FILE, description)
    trained = {
        "training": result.to_json(),
        "calibration": calibration.to_json(),
        "head_calibrations": head_calibrations,
        "start": {"words": plan.start.words, "carried": fitted.transferred.to_json() if fitted.transferred else None},
    }
    _write_json(folder / TRAINING_FILE, trained)
    return None


def _fit_key(plan: RunPlan, device: str) -> str:
    """Names all that the fit depends on: rows, where it starts, recipe, code, and what computes."""
    rows = [[day.path for day in plan.window], [day.path for day in plan.train], str(plan.days.cut)]
    return digest_of([*rows, plan.start.version, plan.recipe_digest, plan.code, device])


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")
