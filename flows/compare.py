"""The compare flow: train in several ways on past days, side by side. It never touches the champion or a run."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import ctr_retrain.flows.quiet_libraries  # noqa: F401 - libraries read the environment when imported
from ctr_retrain.flows.one_run import one_run
from ctr_retrain.flows.settings import load_settings
from ctr_retrain.models.documents.comparison_documents import ComparisonAnswer
from ctr_retrain.models.recipe.recipe import load_recipe
from ctr_retrain.tasks.compare import compare_strategies as strategies
from ctr_retrain.tasks.compare import write_comparison
from ctr_retrain.tasks.compare.compare_strategies import load_comparison
from ctr_retrain.tasks.compare.plan_comparison import CompareRequest, plan_comparison
from ctr_retrain.tasks.execution.model_process import models_on
from ctr_retrain.tasks.operate.registry import claim_root
from ctr_retrain.tasks.orchestration.recorded import flow, stage
from ctr_retrain.tasks.orchestration.run_notes import name_run, note_link, note_words
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.protocol import has_object
from ctr_retrain.tasks.validate.ingest_and_validate import catch_up

compare_strategies = stage(strategies.compare_strategies)
write_comparison_report = stage(write_comparison.write_comparison_report)


@flow("compare")
def compare(
    request: CompareRequest,
    recipe: Path | None = None,
    root: str | None = None,
    landing: str | None = None,
    force: bool = False,
    wait: bool = False,
) -> ComparisonAnswer:
    """Compare ways to train and return the answer; the same comparison is found, not made again, unless forced.

    Raises UsageError for strategies that aren't there, DataRejectedError where the newest day has no usable window.

    Args:
        request: What to compare, by which days, how often, and by what.
        recipe: What to train and how to judge it: a TOML file, or the name of a shipped recipe; empty: the worker's.
        root: Where objects and refs are kept, a folder or s3://BUCKET/PREFIX; empty: the worker's.
        landing: Where raw events land, a folder or s3://BUCKET/PREFIX; empty: the worker's.
        force: Compare anew, even from the same inputs.
        wait: Wait for another run that has the root while days are ingested.

    """
    settings = load_settings(recipe=recipe, root=root, landing=landing)
    rules, store, now = load_recipe(settings.recipe), settings.store, datetime.now(UTC)
    tomorrow = request.day + timedelta(days=1)  # so that the day itself is among those before it
    # The root is held while days are ingested, and not for the hours of training: what comes of these no ref names.
    with one_run(settings, f"compare --date {request.day}", wait=wait) as held:
        claim_root(held.store, rules.name)
        problems = catch_up(held.store, settings.landing_zone, request.reach(rules), tomorrow, now, settings.fan_out)
    plan = plan_comparison(store, rules, request, problems, settings.fan_out, forced_at=now if force else None)
    path = layout.comparison_object(plan.comparison_id)
    recorded = has_object(store, path)
    if not recorded:
        with store.writing(path, plan.inputs.to_json()) as folder, models_on(settings.compute) as models:
            compare_strategies(store, rules, plan, folder, models)
            write_comparison_report(rules, folder)
    document, report = load_comparison(store, path), store.address(path, layout.REPORT_FILE)
    name_run(f"{rules.name} compare {request.day}", recipe=rules.name, day=request.day)
    note_words(f"{rules.name}-comparison", document.recommendation.message, "What it recommends")
    note_link(f"{rules.name}-comparison-report", report, f"Comparison for {request.day}")
    return ComparisonAnswer(**dict(document), report=report, recorded=recorded)
