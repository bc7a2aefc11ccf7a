"""A run under way, as its stages receive it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.tasks.plan.plan_run import RunPlan
from ctr_retrain.tasks.store.layout import COLD_TWIN
from ctr_retrain.tasks.store.protocol import Store


@dataclass(frozen=True)
class Run:
    """Everything that a stage of a run needs beside what the stages before it found."""

    store: Store  # holds days, labels, models and the champion
    recipe: Recipe  # says what to train and how to judge it
    plan: RunPlan  # says which days do what, and where training starts
    folder: Path  # gets every file that the run makes; published as one object when all of them are there

    @property
    def cold_twin(self) -> Run:
        """Return the same run started from nothing, in a folder below its own."""
        return replace(self, plan=self.plan.cold, folder=self.folder / COLD_TWIN)
