"""`init --check`: land a file's first days in a scratch folder, by its first recipe, and run the first full day."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ctr_retrain.flows.daily import daily
from ctr_retrain.models.recipe.recipe import load_recipe
from ctr_retrain.tasks.landing.landing_zone import LocalLandingZone
from ctr_retrain.tasks.landing.split_by_day import land_streams

if TYPE_CHECKING:
    from ctr_retrain.models.documents.command_documents import InitAnswer


def run_first_day(made: InitAnswer, source: Path, outcomes: Path | None) -> InitAnswer:
    """Return the answer of `init` with the verdict of its first full day; where days are missing, with that.

    Raises DataRejectedError where the day, or its window, can't be used.
    """
    if made.missing_days:
        return made.model_copy(update={"verdict_reason": f"{made.missing_days} more days have to land before it"})
    recipe, day = Path(made.recipe), made.first_verdict_day
    with tempfile.TemporaryDirectory() as folder:
        landing = Path(folder) / "landing"
        land_streams(source, outcomes, load_recipe(recipe), LocalLandingZone(landing), last=day)
        verdict = daily(day, recipe, str(Path(folder) / "root"), str(landing)).verdict
    return made.model_copy(update={"verdict": verdict.decision, "verdict_reason": verdict.reason})
