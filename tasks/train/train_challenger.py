"""Stage 6, train: the challenger and, where the recipe wants one, its cold twin, in the process of the models."""

from __future__ import annotations

from ctr_retrain.models.documents.training_documents import FailedTrainingDocument
from ctr_retrain.models.documents.verdict_documents import Check
from ctr_retrain.models.weights.row_weights import Factors
from ctr_retrain.tasks.execution.model_process import Compute, Models, ProgressOf
from ctr_retrain.tasks.plan.run import Run
from ctr_retrain.tasks.store.layout import TRAINING_FILE
from ctr_retrain.tasks.train.weigh_rows import weigh_rows


def train_challenger(run: Run, factors: Factors, models: Models) -> Check | None:
    """Write the bundle and training.json; return the failed check where training diverged."""
    return models.call(_fit_challenger, run, factors, models.compute)


def train_cold_twin(run: Run, models: Models) -> None:
    """Train a warm run's network once more from nothing, in a folder below its own, if the recipe compares the two.

    A twin whose training diverged leaves a document that says so, which the comparison shows.
    """
    if not (run.plan.start.warm and run.recipe.warm_start.wants_twin(run.plan.day.toordinal())):
        return
    twin = run.cold_twin
    twin.folder.mkdir()
    failure = models.call(_fit_challenger, twin, weigh_rows(twin), models.compute)
    if failure:
        FailedTrainingDocument(failure=failure.message).write(twin.folder / TRAINING_FILE)


def _fit_challenger(progress_of: ProgressOf, run: Run, factors: Factors, compute: Compute) -> Check | None:
    """Fit a challenger in the process of the models, which alone imports TensorFlow."""
    from ctr_retrain.tasks.train.fit_challenger import fit_challenger  # noqa: PLC0415 - TensorFlow: not for the flow

    return fit_challenger(progress_of, run, factors, compute)
