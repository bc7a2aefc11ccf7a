"""The gc flow: what no ref and no kept run needs is removed, after the recipe's retention."""

# No `from __future__ import annotations`: a scheduled run loads this file by its path, and Prefect then finds no names.
import contextlib
from pathlib import Path

import ctr_retrain.flows.quiet_libraries  # noqa: F401 - libraries read the environment when imported
from ctr_retrain.flows.one_run import one_run
from ctr_retrain.flows.settings import load_settings
from ctr_retrain.models.documents.command_documents import GarbageAnswer
from ctr_retrain.models.recipe.recipe import load_recipe
from ctr_retrain.tasks.operate.collect_garbage import collect_garbage
from ctr_retrain.tasks.operate.registry import claim_root, current_champion
from ctr_retrain.tasks.orchestration.recorded import flow
from ctr_retrain.tasks.orchestration.run_notes import name_run
from ctr_retrain.tasks.report.run_list import write_run_list
from ctr_retrain.tasks.train.checkpoints import sweep_checkpoints


@flow("gc")
def clean_up(
    dry_run: bool = False,
    recipe: Path | None = None,
    root: str | None = None,
    landing: str | None = None,
    wait: bool = False,
) -> GarbageAnswer:
    """Remove what no ref and no kept run needs. Raises BusyError where another run has the root.

    Args:
        dry_run: Only name what would go.
        recipe: What to train and how to judge it: a TOML file, or the name of a shipped recipe; empty: the worker's.
        root: Where objects and refs are kept, a folder or s3://BUCKET/PREFIX; empty: the worker's.
        landing: Where raw events land, a folder or s3://BUCKET/PREFIX; empty: the worker's.
        wait: Wait for another run that has the root.

    """
    settings = load_settings(recipe=recipe, root=root, landing=landing)
    rules = load_recipe(settings.recipe)
    # What would go is asked while a run is under way, too; it may then be another list than the one that `gc` makes.
    with contextlib.nullcontext(settings) if dry_run else one_run(settings, "gc", wait=wait) as held:
        claim_root(held.store, rules.name)
        report = collect_garbage(held.store, rules, dry_run=dry_run)
        if report.removed and not dry_run:
            write_run_list(held.store, current_champion(held.store))  # which shows no run that is gone
    # Checkpoints lie on this machine, beside the root, where the store doesn't see them.
    age = rules.retention.min_age_hours * 3600
    swept = sweep_checkpoints(settings.compute.checkpoints, age, dry_run=dry_run)
    would = "would remove" if dry_run else "removed"
    name_run(f"{rules.name} gc {would} {len(report.removed)} objects", recipe=rules.name)
    return GarbageAnswer(**dict(report), checkpoints=tuple(path.name for path in swept))
