"""The watchdog flow: what is amiss whether or not any run happened. Its schedule is its own."""

# No `from __future__ import annotations`: a scheduled run loads this file by its path, and Prefect then finds no names.
from datetime import UTC, datetime
from pathlib import Path

import ctr_retrain.flows.quiet_libraries  # noqa: F401 - libraries read the environment when imported
from ctr_retrain.flows.settings import load_settings
from ctr_retrain.models.incidents.alert_answers import WatchAnswer
from ctr_retrain.models.recipe.recipe import load_recipe
from ctr_retrain.tasks.nights.find_silence import look_around
from ctr_retrain.tasks.orchestration.recorded import flow
from ctr_retrain.tasks.orchestration.run_notes import name_run


@flow("watchdog")
def watchdog(recipe: Path | None = None, root: str | None = None, landing: str | None = None) -> WatchAnswer:
    """Look for silence, killed runs, an old champion and late data, and tell whoever is to be told.

    Args:
        recipe: What to train and how to judge it: a TOML file, or the name of a shipped recipe; empty: the worker's.
        root: Where objects and refs are kept, a folder or s3://BUCKET/PREFIX; empty: the worker's.
        landing: Where raw events land, a folder or s3://BUCKET/PREFIX; empty: the worker's.

    """
    settings = load_settings(recipe=recipe, root=root, landing=landing)
    rules = load_recipe(settings.recipe)
    delivery = settings.delivery(rules, events=True)
    answer = look_around(settings.store, settings.landing_zone, delivery, datetime.now(UTC))
    name_run(f"{rules.name} watchdog {len(answer.open)} open", recipe=rules.name)
    return answer
