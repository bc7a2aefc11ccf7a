"""Stages 6 and 7 as the flow sees them: their work is done where models live, which may be another process."""

from __future__ import annotations

import json
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from ctr_retrain.models.judging.gate import Check
from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.models.weights.row_weights import Factors
from ctr_retrain.tasks.execution.model_process import Models
from ctr_retrain.tasks.plan.plan_run import RunPlan
from ctr_retrain.tasks.store.layout import COLD_TWIN, TRAINING_FILE
from ctr_retrain.tasks.store.protocol import Store
from ctr_retrain.tasks.train.weigh_rows import weigh_rows


@task(cache_policy=NO_CACHE)
def train_challenger(
    store: Store, recipe: Recipe, plan: RunPlan, factors: Factors, folder: Path, models: Models
) -> Check | None:
    """`tasks/train.py`: write the bundle and training.json; the failed check where training diverged."""
    failure: Check | None = models.call(
        "ctr_retrain.tasks.train.train_challenger:train_challenger",
        store,
        recipe,
        plan,
        factors,
        folder,
        models.compute,
    )
    return failure


@task(cache_policy=NO_CACHE)
def train_cold_twin(store: Store, recipe: Recipe, plan: RunPlan, folder: Path, models: Models) -> None:
    """Where the recipe wants one beside this warm run, the same run started from nothing, in a folder below its own.

    That its training diverged is told with the comparison.
    """
    if not (plan.start.warm and recipe.warm_start.wants_twin(plan.day.toordinal())):
        return
    own = folder / COLD_TWIN
    own.mkdir()
    factors = weigh_rows.fn(store, recipe, plan.twin, own)
    failure = models.call(
        "ctr_retrain.tasks.train.train_challenger:train_challenger",
        store,
        recipe,
        plan.twin,
        factors,
        own,
        models.compute,
    )
    if failure:
        (own / TRAINING_FILE).write_text(json.dumps({"failure": failure.words}, indent=1), encoding="utf-8")


@task(cache_policy=NO_CACHE)
def evaluate_models(store: Store, recipe: Recipe, plan: RunPlan, folder: Path, models: Models) -> None:
    """`tasks/evaluate.py`: write scores.parquet and evaluation.json."""
    models.call("ctr_retrain.tasks.evaluate.score_models:evaluate_models", store, recipe, plan, folder)
