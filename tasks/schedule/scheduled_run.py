"""The days of a scheduled run: its own, those that a downtime left, and the wait for data that is not there yet."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ctr_retrain.models.errors import LeftOutError
from ctr_retrain.tasks.execution.shown_logs import logged_to_file
from ctr_retrain.tasks.nights.night_signals import newest_day
from ctr_retrain.tasks.orchestration.recorded import due_time
from ctr_retrain.tasks.orchestration.run_notes import name_run
from ctr_retrain.tasks.schedule.scheduled_nights import due_days, wait_for_data

if TYPE_CHECKING:
    from datetime import date

    from ctr_retrain.models.recipe.recipe import Recipe
    from ctr_retrain.tasks.landing.landing_zone import LandingZone
    from ctr_retrain.tasks.schedule.next_run import Schedule
    from ctr_retrain.tasks.store.protocol import Store

log = logging.getLogger(__name__)


def scheduled_days(store: Store, schedule: Schedule, recipe: Recipe) -> tuple[date, ...]:
    """Return the days that this run makes, oldest first, its own last. Raises LeftOutError where it makes none."""
    now = datetime.now(UTC)
    due = due_time() or now
    days = due_days(store, schedule, due, now)
    if not days:
        day = newest_day(due)
        name_run(f"{recipe.name} {day} left out", recipe=recipe.name, day=day)
        msg = (
            f"The run for {day} was due at {due:%Y-%m-%d %H:%M} UTC and begins too late: CTR_RETRAIN_CATCH_UP is "
            f"{schedule.catch_up!r}. `ctr-retrain daily --date {day}` makes it."
        )
        raise LeftOutError(msg)
    return days


def wait_for_day(landing: LandingZone, recipe: Recipe, day: date) -> None:
    """Wait for a day's data, at most until it is due; nobody else waits for this run meanwhile."""
    with logged_to_file():
        name_run(f"{recipe.name} {day} waits for data", recipe=recipe.name, day=day)
        if not wait_for_data(landing, recipe, day):
            log.warning("Data of %s is missing when it is due: the run begins with what there is.", day)
