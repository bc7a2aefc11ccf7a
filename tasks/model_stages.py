"""Stages 6 and 7 as the flow sees them: their work is done where models live, which may be another process."""

from __future__ import annotations

import json
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from models.factors import Factors
from models.recipe import Recipe
from models.verdict import Check
from tasks.layout import COLD_TWIN, TRAINING_FILE
from tasks.model_process import Models
from tasks.plan import RunPlan
from tasks.store import Store
from tasks.weigh import weigh_rows


@task(cache_policy=NO_CACHE)
def train_challenger(
    store: Store, recipe: Recipe, plan: RunPlan, factors: Factors, folder: Path, models: Models
) -> Check | None:
    """`tasks/train.py`: write the bundle and training.json; the failed check where training diverged."""
    failure: Check | None = models.call(
        "tasks.train:train_challenger", store, recipe, plan, factors, folder, models.compute
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
    failure = models.call("tasks.train:train_challenger", store, recipe, plan.twin, factors, own, models.compute)
    if failure:
        (own / TRAINING_FILE).write_text(json.dumps({"failure": failure.words}, indent=1), encoding="utf-8")


@task(cache_policy=NO_CACHE)
def evaluate_models(store: Store, recipe: Recipe, plan: RunPlan, folder: Path, models: Models) -> None:
    """`tasks/evaluate.py`: write scores.parquet and evaluation.json."""
    models.call("tasks.evaluate:evaluate_models", store, recipe, plan, folder)
