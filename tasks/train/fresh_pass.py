"""Fresh pass: after the verdict, train once through the days since the training window, the run's own included.

Only recipes that ship models fresh have it. The days' labels are immature, so a positive of probability p is seen with
p·F, F being the maturity of the labels: the share of eventual positives that have landed. The users of the calibration
slice stay kept out: on it the fresh model is compared with its evaluated twin, whose calibration layer it keeps. Fitted
anew, that layer would take back what the newest days say of the level.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ctr_retrain.models.documents.bundle_documents import BundleDocument
from ctr_retrain.models.documents.maturity_documents import Maturity, MaturityDocument
from ctr_retrain.models.documents.verdict_documents import Check
from ctr_retrain.models.errors import DataRejectedError, TrainingDivergedError
from ctr_retrain.models.features.standardize import NumericState
from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.models.serving.bundle import save_serving, serving_model
from ctr_retrain.models.serving.calibration import Calibration
from ctr_retrain.models.serving.fresh_checks import check_fresh
from ctr_retrain.models.serving.scorer import Scorer
from ctr_retrain.models.training.batches import TrainingRows, count_streamed, make_batches
from ctr_retrain.models.training.device import choose_strategy, prepare_device
from ctr_retrain.models.training.saved_network import Trainable, fitted_recipe, load_trainable, rebuild_network
from ctr_retrain.models.training.training_loop import optimizer_for, train
from ctr_retrain.models.training.training_state import restore
from ctr_retrain.models.training.training_steps import choose_batch_rows
from ctr_retrain.models.weights.row_weights import ClassMass, Factors, compute_factors
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.execution.model_process import Compute, ProgressOf
from ctr_retrain.tasks.plan.plan_run import RunPlan
from ctr_retrain.tasks.plan.run import Run
from ctr_retrain.tasks.store.layout import (
    BUNDLE_FILE,
    CHALLENGER,
    FRESH,
    FRESH_SCORES_FILE,
    MATURITY_FILE,
    SERVING,
    TRAINABLE,
)
from ctr_retrain.tasks.train.calibrate_network import logits_of
from ctr_retrain.tasks.train.fit_network import in_full_precision
from ctr_retrain.tasks.train.row_roles import serving_sample
from ctr_retrain.tasks.train.training_rows import read_slices

if TYPE_CHECKING:
    import keras
    import numpy.typing as npt

    from ctr_retrain.tasks.execution.progress import Report


def run_fresh_pass(progress_of: ProgressOf, run: Run, compute: Compute) -> tuple[Check, ...]:
    """Write fresh/, a bundle, and its scores of the serving sample into the run's folder; return the checks made.

    Where a check fails the bundle is not there: the evaluated twin is to serve.
    """
    folder = run.folder
    device = prepare_device(compute.device)
    bundle = BundleDocument.read(folder / CHALLENGER / BUNDLE_FILE)
    calibration = Calibration.of(bundle.calibration)
    trainable = load_trainable(folder / CHALLENGER / TRAINABLE)
    recipe = fitted_recipe(run.recipe, trainable)
    scratch = folder / "rows"
    try:
        # Two readings: days after the training window to train on, and the calibration slice, which stays kept out.
        features, curves = recipe.features, _curves(folder)
        young_run, kept_out_run = (replace(run, plan=plan) for plan in (run.plan.fresh_pass, run.plan.kept_out))
        young = read_slices(young_run, _new_folder(scratch / "young"), curves, features).train
        kept_out = read_slices(kept_out_run, _new_folder(scratch / "c"), features=features).calibrate
        if kept_out is None:
            return (_failed("expected rows kept out to compare the fresh model with its twin on, received none."),)
        factors = _factors(recipe, run.plan, young)
        with progress_of(f"fresh pass on {device}", "rows") as progress:
            before, fresh = _one_pass(recipe, trainable, bundle, young, kept_out, factors, progress)
            after = logits_of(fresh, kept_out.ids, kept_out.numeric)
        checks = check_fresh(before, after, kept_out.label, calibration, recipe.gate)
    except (DataRejectedError, TrainingDivergedError) as error:
        return (_failed(str(error)),)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if all(check.passed for check in checks):
        serving = folder / FRESH / SERVING
        save_serving(serving_model(fresh, recipe, calibration), serving)
        seen = {"data_through": run.plan.fresh[-1].day, "evaluated_data_through": bundle.data_through}
        bundle.model_copy(update=seen).write(folder / FRESH / BUNDLE_FILE)
        _score_sample(run, serving)
    return checks


def _one_pass(
    recipe: Recipe,
    trainable: Trainable,
    bundle: BundleDocument,
    young: TrainingRows,
    kept_out: TrainingRows,
    factors: Factors,
    progress: Report,
) -> tuple[npt.NDArray[np.float32], keras.Model]:
    """Return the evaluated twin's logits of the calibration slice, and the network that it becomes by the pass.

    The optimizer's accumulators go on from where training left them, while learning rates begin anew.
    """
    training = recipe.training.model_copy(update={"epochs": 1})
    state = NumericState.from_json(bundle.numeric_state)
    strategy, base_log_odds = choose_strategy(), trainable.base_log_odds
    batch_rows = choose_batch_rows(training, *count_streamed(young, factors, training.seed))
    batches = make_batches(young, factors, batch_rows, training.seed)
    with strategy.scope():
        network = rebuild_network(trainable, recipe, state)
        optimizer = optimizer_for(network, batches, training)
        optimizer.build(network.trainable_variables)
        restored = restore(trainable.optimizer, optimizer)
        assert restored  # both are this recipe's
        optimizer.iterations.assign(0)  # the rates' schedule begins anew
    # Before training, which changes the very network that the twin's logits are of.
    before = logits_of(in_full_precision(network, recipe, state, base_log_odds), kept_out.ids, kept_out.numeric)
    train(network, batches, training, progress, strategy=strategy, optimizer=optimizer)
    return before, in_full_precision(network, recipe, state, base_log_odds)


def _factors(recipe: Recipe, plan: RunPlan, rows: TrainingRows) -> Factors:
    """Compute the pass's own weights and offsets, from its own rows; the run's day has age 0."""
    confidence = np.ones(len(rows), np.float32) if rows.confidence is None else rows.confidence
    columns = {"day_index": rows.day_index, "label": rows.label, "confidence": confidence}
    cells = pa.table(columns).group_by([*columns]).aggregate([([], "count_all")])
    day_index, label, confidence, count = (cells[name].to_numpy() for name in (*columns, "count_all"))
    mass = ClassMass(day_index.astype(np.int64), label.astype(np.int64), confidence.astype(np.float64), count)
    return compute_factors(tuple(day.day for day in plan.fresh), plan.fresh[-1].day, mass, recipe.row_weights)


def _curves(folder: Path) -> tuple[Maturity, ...]:
    """Return the run's maturity curves; none where labels stand in the impressions, and are final."""
    file = folder / MATURITY_FILE
    if not file.exists():
        return ()
    return MaturityDocument.read(file).curves


def _score_sample(run: Run, serving: Path) -> None:
    """Write this process's scores of the serving sample, which a process that has only the bundle must find too."""
    with duck.connect(run.folder) as connection:
        rows = connection.sql(serving_sample(run)).to_arrow_table()
    pq.write_table(pa.table({"challenger": Scorer(serving).score(rows)}), run.folder / FRESH_SCORES_FILE)


def _new_folder(folder: Path) -> Path:
    """Make a folder and return it."""
    folder.mkdir(parents=True)
    return folder


def _failed(why: str) -> Check:
    """Return the failed check of a pass that made no model."""
    return Check(name="fresh_training", value=None, bound=None, passed=False, message=f"Fresh pass: {why}")
