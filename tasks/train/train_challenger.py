"""Stage 6, train: the challenger and, where the recipe wants one, its cold twin, where models are trained."""

from __future__ import annotations

import json
from pathlib import Path

from ctr_retrain.models.documents.verdict_documents import Check
from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.models.weights.row_weights import Factors
from ctr_retrain.tasks.execution.model_process import Compute, Models, ProgressOf
from ctr_retrain.tasks.plan.plan_run import RunPlan
from ctr_retrain.tasks.store.layout import COLD_TWIN, TRAINING_FILE
from ctr_retrain.tasks.store.protocol import Store
from ctr_retrain.tasks.train.weigh_rows import weigh_rows


def train_challenger(
    store: Store, recipe: Recipe, plan: RunPlan, factors: Factors, folder: Path, models: Models
) -> Check | None:
    """Write the bundle and training.json; return the failed check where training diverged."""
    return models.call(_fit_challenger, store, recipe, plan, factors, folder, models.compute)


def train_cold_twin(store: Store, recipe: Recipe, plan: RunPlan, folder: Path, models: Models) -> None:
    """Train this warm run once more from nothing, in a folder below its own, if the recipe wants to compare the two.

    That its training diverged is told with the comparison.
    """
    if not (plan.start.warm and recipe.warm_start.wants_twin(plan.day.toordinal())):
        return
    own = folder / COLD_TWIN
    own.mkdir()
    factors = weigh_rows(store, recipe, plan.cold, own)
    failure = models.call(_fit_challenger, store, recipe, plan.cold, factors, own, models.compute)
    if failure:
        (own / TRAINING_FILE).write_text(json.dumps({"failure": failure.message}, indent=1), encoding="utf-8")


def _fit_challenger(
    progress_of: ProgressOf,
    store: Store,
    recipe: Recipe,
    plan: RunPlan,
    factors: Factors,
    folder: Path,
    compute: Compute,
) -> Check | None:
    from ctr_retrain.tasks.train.fit_challenger import fit_challenger  # noqa: PLC0415 - TensorFlow: not for the flow

    return fit_challenger(progress_of, store, recipe, plan, factors, folder, compute)
