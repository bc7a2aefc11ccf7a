"""The backfill flow: make up for past days. All are ingested first, side by side; then those that train run in order.

A day whose ref names a finished run is skipped.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Literal

import ctr_retrain.flows.quiet_libraries  # noqa: F401 - libraries read the environment when imported
from ctr_retrain.flows.daily import daily
from ctr_retrain.flows.one_run import one_run
from ctr_retrain.flows.settings import Settings, load_settings
from ctr_retrain.models.data.days import day_range
from ctr_retrain.models.documents.command_documents import BackfillAnswer, BackfillDay
from ctr_retrain.models.errors import DataRejectedError, UsageError
from ctr_retrain.models.recipe.recipe import load_recipe
from ctr_retrain.tasks.operate.registry import claim_root, current_champion, finished_run
from ctr_retrain.tasks.orchestration.recorded import flow
from ctr_retrain.tasks.validate.ingest_and_validate import ingest_and_validate_days

Retrain = Literal["last", "each", "none"]  # the days that train: the last one, each, or none


@flow("backfill")
def backfill(
    start: date,
    end: date,
    retrain: Retrain = "last",
    recipe: Path | None = None,
    root: str | None = None,
    landing: str | None = None,
    shadow: bool = False,
    wait: bool = False,
) -> BackfillAnswer:
    """Ingest and validate all days, then train for the last, each or none. A bad day is noted, the others go on.

    The champion's ref is monotonic, so a backfill never takes it back in time; in the shadow it is not touched at all.
    Another run that has the root is waited for, or else raises BusyError.
    """
    if end < start:
        msg = f"backfill: expected --end not before --start, received {start} to {end}"
        raise UsageError(msg)
    settings = load_settings(recipe=recipe, root=root, landing=landing)
    # All days are one run: none of them waits for another, and nothing comes between two of them.
    with one_run(settings, f"backfill --start {start} --end {end} --retrain {retrain}", wait=wait) as held:
        return _backfill(held, day_range(start, end), retrain, shadow=shadow)


def _backfill(settings: Settings, wanted: Sequence[date], retrain: Retrain, *, shadow: bool) -> BackfillAnswer:
    """Ingest and validate the days, then train for those that are to be."""
    rules, store, end = load_recipe(settings.recipe), settings.store, wanted[-1]
    claim_root(store, rules.name)
    trains = {day for day in wanted if retrain == "each" or (retrain == "last" and day == end)}
    # Finished days are not even read again: a killed backfill goes on where it stopped.
    new = [day for day in wanted if not (day in trains and finished_run(store, day, shadow=shadow))]
    taken = ingest_and_validate_days(store, settings.landing_zone, rules, new, datetime.now(UTC), settings.fan_out)
    days = []
    for day in wanted:
        try:
            if day in trains and (run := finished_run(store, day, shadow=shadow)):
                days.append(BackfillDay(date=day, outcome="skipped", run_id=run))
            elif day in trains:
                made = daily(day, settings.recipe, settings.root, settings.landing, shadow=shadow)
                days.append(BackfillDay(date=day, outcome=made.verdict.decision, run_id=made.run_id))
            else:
                days.append(BackfillDay(date=day, outcome=taken[day].outcome, reason=taken[day].reason or None))
        except DataRejectedError as error:
            days.append(BackfillDay(date=day, outcome="data rejected", reason=str(error)))
    return BackfillAnswer(days=tuple(days), champion=current_champion(store))
