"""Stage 6, train: the challenger and, where the recipe wants one, its cold twin, in the process of the models."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from ctr_retrain.models.documents.training_documents import FailedTrainingDocument
from ctr_retrain.models.documents.verdict_documents import Check
from ctr_retrain.models.weights.row_weights import Factors
from ctr_retrain.tasks.execution.model_process import Compute, Models, ProgressOf
from ctr_retrain.tasks.machines.call_together import call_together
from ctr_retrain.tasks.plan.run import Run
from ctr_retrain.tasks.store.layout import TRAINING_FILE, WEIGHTS_FILE
from ctr_retrain.tasks.train.weigh_rows import weigh_rows


def train_challenger(run: Run, factors: Factors, models: Models) -> Check | None:
    """Write the bundle and training.json; return the failed check where training diverged."""
    return _train(run, factors, models)


def train_cold_twin(run: Run, models: Models) -> None:
    """Train a warm run's network once more from nothing, in a folder below its own, if the recipe compares the two.

    A twin whose training diverged leaves a document that says so, which the comparison shows.
    """
    if not (run.plan.start.warm and run.recipe.warm_start.wants_twin(run.plan.day.toordinal())):
        return
    twin = run.cold_twin
    twin.folder.mkdir()
    failure = _train(twin, weigh_rows(twin), models)
    if failure:
        FailedTrainingDocument(failure=failure.message).write(twin.folder / TRAINING_FILE)


def _train(run: Run, factors: Factors, models: Models) -> Check | None:
    """Fit a challenger in the process of the models or, where the settings name workers, on their machines at once."""
    compute = models.compute
    if not compute.workers:
        return models.call(_fit_challenger, run, factors, compute)
    weights = (run.folder / WEIGHTS_FILE).read_bytes()
    others = [(_fit_along, (run, factors, compute, weights))] * (len(compute.workers) - 1)
    return call_together(compute, (_fit_challenger, (run, factors, compute)), *others)


def _fit_along(progress_of: ProgressOf, run: Run, factors: Factors, compute: Compute, weights: bytes) -> None:
    """Train along on another machine, in a folder of its own, which has what training reads of the run's."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / WEIGHTS_FILE).write_bytes(weights)
        _fit_challenger(progress_of, replace(run, folder=Path(folder)), factors, compute)


def _fit_challenger(progress_of: ProgressOf, run: Run, factors: Factors, compute: Compute) -> Check | None:
    """Fit a challenger in the process of the models, which alone imports TensorFlow."""
    from ctr_retrain.tasks.train.fit_challenger import fit_challenger  # noqa: PLC0415 - TensorFlow: not for the flow

    return fit_challenger(progress_of, run, factors, compute)
