"""The backfill flow: past days by hand, one after the other, in order. Finished days are skipped by their refs."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal

# isort: off
import flows.quiet  # noqa: F401 - first: Prefect reads the environment when imported

# isort: on
from prefect import flow

from flows.daily import daily
from flows.settings import load_settings
from models.days import day_range
from models.errors import DataRejectedError, UsageError
from models.recipe import Recipe, load_recipe
from tasks.ingest import ingest_day
from tasks.landing_zone import LandingZone
from tasks.registry import claim_root, current_champion, finished_run
from tasks.store import Store
from tasks.validate import load_validated_day, validate_day

Retrain = Literal["last", "each", "none"]


@flow(name="backfill")
def backfill(
    start: date,
    end: date,
    retrain: Retrain = "last",
    recipe: Path | None = None,
    root: str | None = None,
    landing: str | None = None,
    shadow: bool = False,
) -> dict[str, Any]:
    """Ingest and validate each day; train for the last, for each or for none. A bad day is noted, the others go on.

    The champion's ref is monotonic, so a backfill never takes it back in time; in the shadow it is not touched at all.
    """
    if end < start:
        msg = f"backfill: expected --end not before --start, received {start} to {end}"
        raise UsageError(msg)
    settings = load_settings(recipe=recipe, root=root, landing=landing)
    rules, store = load_recipe(settings.recipe), settings.store
    claim_root(store, rules.name)
    days = []
    for day in day_range(start, end):
        trains = retrain == "each" or (retrain == "last" and day == end)
        try:
            if trains and (run := finished_run(store, day, shadow=shadow)):
                days.append({"date": str(day), "outcome": "skipped", "run_id": run})
            elif trains:
                document = daily(day, settings.recipe, settings.root, settings.landing, shadow=shadow)
                outcome = document["verdict"]["decision"]
                days.append({"date": str(day), "outcome": outcome, "run_id": document["run_id"]})
            else:
                days.append({"date": str(day), "outcome": _ingest(store, settings.landing_zone, rules, day)})
        except DataRejectedError as error:
            days.append({"date": str(day), "outcome": "data rejected", "reason": str(error)})
    return {"days": days, "champion": current_champion(store)}


def _ingest(store: Store, landing: LandingZone, recipe: Recipe, day: date) -> str:
    """Ingest and validate a day; what came of it in a word. Files and bounds that were seen before cost nothing."""
    before, now = load_validated_day(store, day), datetime.now(UTC)
    ingest_day(store, landing, recipe, day, now)
    validated = validate_day(store, recipe, day, now)
    if not validated.accepted:
        return "rejected"
    return "skipped" if validated == before else "ingested"
