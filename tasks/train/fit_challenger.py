"""Fit the challenger: encode its rows, fit and calibrate the network, save the bundle to be served."""

from __future__ import annotations

import contextlib
import logging
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctr_retrain.models.documents.bundle_documents import BundleDocument
from ctr_retrain.models.documents.training_documents import StartReport, TrainingDocument
from ctr_retrain.models.documents.verdict_documents import Check
from ctr_retrain.models.errors import TrainingDivergedError
from ctr_retrain.models.features.table_layout import raw_columns
from ctr_retrain.models.serving.bundle import save_serving, serving_model
from ctr_retrain.models.training.device import choose_strategy, is_chief, prepare_device
from ctr_retrain.models.training.saved_network import save_trainable
from ctr_retrain.models.weights.row_weights import Factors
from ctr_retrain.tasks.execution.model_process import Compute, ProgressOf
from ctr_retrain.tasks.machines.host_worker import joining
from ctr_retrain.tasks.plan.choose_start import kept_out_rows, open_source_model
from ctr_retrain.tasks.plan.plan_run import RunPlan
from ctr_retrain.tasks.plan.run import Run
from ctr_retrain.tasks.store.layout import BUNDLE_FILE, CHALLENGER, SERVING, TRAINABLE, TRAINING_FILE
from ctr_retrain.tasks.store.protocol import digest_of
from ctr_retrain.tasks.train.checkpoints import checkpoints_of
from ctr_retrain.tasks.train.fit_network import FitPlace, Fitted, fit_network
from ctr_retrain.tasks.train.training_rows import TrainingSplit, read_slices
from ctr_retrain.tasks.train.weigh_heads import head_factors, representation_factors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctr_retrain.tasks.execution.progress import Report

log = logging.getLogger(__name__)


def fit_challenger(progress_of: ProgressOf, run: Run, factors: Factors, compute: Compute) -> Check | None:
    """Write challenger/ (the bundle) and training.json into the run's folder.

    Returns None, or the failed check that says why there is no challenger: its training diverged. On one of several
    machines that isn't the first, only trains along. Raises UsageError where the device is not there, ProcessDiedError
    where its memory doesn't suffice.
    """
    device = prepare_device(compute.device)  # before the first hash is computed, or a GPU takes all of its memory
    strategy = _joined(compute)  # likewise: machines can't join later
    try:
        fitted = _fit(progress_of, run, factors, device, compute.checkpoints, strategy)
    except TrainingDivergedError as diverged:
        return Check(name="training", value=None, bound=None, passed=False, message=str(diverged))
    if not is_chief(strategy):
        return None
    result = fitted.result
    log.info(
        "CTR_RETRAIN_DEVICE=%s took %s: trained on %d rows, %d epochs, at %.0f rows/s",
        *(compute.device, device, result.rows, result.epochs, result.rows_per_second),
    )
    for field in fitted.values:
        if field.cut_values:
            log.warning(
                "feature %r: its buckets leave %d values, on %.1f %% of the training rows, without a row of their own",
                *(field.name, field.cut_values, 100 * field.cut_share),
            )
    _save_bundle(run, fitted)
    _write_training(run, fitted)
    return None


def _joined(compute: Compute) -> Any:
    """Return how training is spread; where that is over several machines, they have found each other."""
    if not compute.workers:
        return choose_strategy()
    with joining():
        return choose_strategy(len(compute.workers))


def _fit(
    progress_of: ProgressOf, run: Run, factors: Factors, device: str, checkpoints_folder: Path, strategy: Any
) -> Fitted:
    """Read the run's rows and fit its network to them, from the last checkpoint where there is one."""
    key = _fit_key(run.plan, device, strategy.num_replicas_in_sync)
    kept = checkpoints_of(checkpoints_folder, key) if is_chief(strategy) else contextlib.nullcontext()
    with rows_of(run) as rows, progress_of(f"training on {device}", "rows") as progress, kept as checkpoints:
        return fit_rows(rows, run, factors, progress, FitPlace(strategy, checkpoints))


@contextlib.contextmanager
def rows_of(run: Run) -> Iterator[TrainingSplit]:
    """Read the run's rows; what belongs to each beside its encoded day lies in the run's folder while this lasts."""
    scratch = run.folder / "rows"
    scratch.mkdir()
    try:
        yield read_slices(run, scratch)
    finally:
        shutil.rmtree(scratch)


def fit_rows(
    rows: TrainingSplit,
    run: Run,
    factors: Factors,
    progress: Report,
    place: FitPlace | None = None,
) -> Fitted:
    """Fit the run's network to its rows, from where its plan starts, with weights that lie in its folder."""
    return fit_network(
        rows,
        run.recipe,
        factors,
        progress,
        place,
        source_model=open_source_model(run.store, run.plan.start.version) if run.plan.start.version else None,
        heads=head_factors(run.folder, run.recipe.training.heads),
        representation=representation_factors(run.folder) if run.recipe.training.two_stages else None,
    )


def _save_bundle(run: Run, fitted: Fitted) -> None:
    """Write the served graph, the trainable network that a warm start goes on from, and bundle.json about both."""
    bundle, recipe, plan = run.folder / CHALLENGER, run.recipe, run.plan
    served = serving_model(fitted.network, fitted.recipe, fitted.calibration, fitted.head_calibrations)
    save_serving(served, bundle / SERVING)
    save_trainable(fitted.trainable, bundle / TRAINABLE)
    description = BundleDocument(
        **dict(plan.inputs),
        recipe=recipe.model_dump(mode="json"),
        numeric_state=asdict(fitted.state),
        calibration=fitted.calibration,
        head_calibrations=fitted.head_calibrations,
        columns=raw_columns(recipe.features),
        kept_out=kept_out_rows(plan.start, plan.days.calibrate[0]) if recipe.warm_start.enabled else None,
    )
    description.write(bundle / BUNDLE_FILE)


def _write_training(run: Run, fitted: Fitted) -> None:
    """Write training.json: how training went and, in a warm start, which of the champion's weights it took."""
    document = TrainingDocument(
        training=fitted.result,
        calibration=fitted.calibration,
        head_calibrations=fitted.head_calibrations,
        start=StartReport(message=run.plan.start.message, transferred=fitted.transferred),
        values=fitted.values,
        calibration_unseen=fitted.calibration_unseen,
    )
    document.write(run.folder / TRAINING_FILE)


def _fit_key(plan: RunPlan, device: str, replicas: int) -> str:
    """Return a name for all that the fit depends on: its rows, start, recipe, code, device and number of replicas."""
    # So that a checkpoint never meets other rows, another recipe, other code or another device.
    rows = [[day.path for day in plan.window], [day.path for day in plan.train], str(plan.days.cut)]
    return digest_of([*rows, plan.start.version, plan.recipe_digest, plan.code, device, replicas])
