"""The compare flow: several ways to train, side by side on past days. It never touches the champion or a run."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

# isort: off
import flows.quiet  # noqa: F401 - first: Prefect reads the environment when imported

# isort: on
from prefect import flow

from flows.settings import load_settings
from models.recipe import load_recipe
from tasks import layout
from tasks.compare import STAGE, compare_strategies, load_comparison
from tasks.compare_plan import Asked, plan_comparison
from tasks.compare_report import write_comparison_report
from tasks.model_process import models_on
from tasks.registry import claim_root
from tasks.take_in import catch_up


@flow(name="compare")
def compare(
    asked: Asked,
    recipe: Path | None = None,
    root: str | None = None,
    landing: str | None = None,
    force: bool = False,
) -> dict[str, Any]:
    """Compare ways to train and return the document; the same comparison is found, not made again, unless forced.

    Raises UsageError for strategies that aren't there, DataRejectedError where the newest day has no usable window.
    """
    settings = load_settings(recipe=recipe, root=root, landing=landing)
    rules, store, now = load_recipe(settings.recipe), settings.store, datetime.now(UTC)
    claim_root(store, rules.name)
    tomorrow = asked.day + timedelta(days=1)  # so that the day itself is among those before it
    problems = catch_up(store, settings.landing_zone, asked.reach(rules), tomorrow, now, settings.fan_out)
    plan = plan_comparison(store, rules, asked, problems, settings.fan_out, forced_at=now if force else None)
    path = layout.comparison_object(plan.comparison_id)
    recorded = store.manifest(path) is not None
    if not recorded:
        with store.writing(path, plan.to_json()) as folder, models_on(settings.compute, (STAGE,)) as models:
            compare_strategies(store, rules, plan, folder, models)
            write_comparison_report(rules, folder)
    return {**load_comparison(store, path), "recorded": recorded}
