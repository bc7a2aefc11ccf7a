"""The backfill flow: make up for past days. All are ingested first, side by side; then those that train run in order.

What is finished, and was not restated since, is skipped; so a backfill that was killed goes on where it stopped.
"""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Annotated, Literal

from pydantic import Field

import ctr_retrain.flows.quiet_libraries  # noqa: F401 - libraries read the environment when imported
from ctr_retrain.flows.daily import daily
from ctr_retrain.flows.one_run import one_run
from ctr_retrain.flows.settings import Settings, load_settings
from ctr_retrain.models.data.days import day_range
from ctr_retrain.models.documents.command_documents import (
    BackfillAnswer,
    BackfillDay,
    BackfillPlan,
    BackfillReason,
    PlannedDay,
)
from ctr_retrain.models.documents.comparison_documents import PolicyTable
from ctr_retrain.models.errors import UsageError
from ctr_retrain.models.policies.policy_words import policy_rows
from ctr_retrain.models.recipe.recipe import Recipe, load_recipe
from ctr_retrain.tasks.backfill.backfill_clock import BackfillClock, start_clock
from ctr_retrain.tasks.backfill.failed_days import backfill_failure
from ctr_retrain.tasks.backfill.plan_backfill import LookedDays, look_at_days
from ctr_retrain.tasks.backfill.replay_policies import no_table, replay_policies
from ctr_retrain.tasks.backfill.run_sizes import run_sizes, sizes_by_now
from ctr_retrain.tasks.execution.progress import told_of_progress
from ctr_retrain.tasks.landing.landing_zone import LandingZone
from ctr_retrain.tasks.operate.registry import claim_root, current_champion, finished_run
from ctr_retrain.tasks.orchestration.recorded import flow
from ctr_retrain.tasks.orchestration.run_notes import RunProgress, name_run, note_table
from ctr_retrain.tasks.store.protocol import Store
from ctr_retrain.tasks.validate.ingest_and_validate import DayResult, ingest_and_validate_days, result_of_error

log = logging.getLogger(__name__)

Retrain = Literal["last", "each", "none"]  # the days that train: the last one, each, or none
Only = Literal["missing", "failed", "restated"]

# A day that another recipe read otherwise is read anew for the same cause as one whose files are others: so one word.
REASONS: Mapping[Only, tuple[BackfillReason, ...]] = {
    "missing": ("missing",),
    "failed": ("failed",),
    "restated": ("restated", "other columns"),
}


@flow("backfill", failure=backfill_failure)
def backfill(  # noqa: PLR0913, PLR0917 - Prefect makes a form of them
    start: date,
    end: date,
    retrain: Retrain = "last",
    recipe: Path | None = None,
    root: str | None = None,
    landing: str | None = None,
    shadow: bool = False,
    wait: bool = False,
    only: Only | None = None,
    planned: tuple[date, ...] | None = None,
    newest_first: bool = False,
    days_at_once: Annotated[int, Field(ge=1, le=64)] | None = None,
) -> BackfillAnswer:
    """Ingest and validate all days, then train for the last, each or none. A day that fails is noted, others go on.

    The champion's ref is monotonic, so a backfill never takes it back in time. Raises BusyError where another run has
    the root.

    Args:
        start: The first day.
        end: The last day.
        retrain: The days that train, each in its order: the last one, each, or none.
        recipe: What to train and how to judge it: a TOML file, or the name of a shipped recipe; empty: the worker's.
        root: Where objects and refs are kept, a folder or s3://BUCKET/PREFIX; empty: the worker's.
        landing: Where raw events land, a folder or s3://BUCKET/PREFIX; empty: the worker's.
        shadow: Put nothing into service.
        wait: Wait for another run that has the root.
        only: Only days with this reason: never made, failed or rejected, or landed anew since; empty: all unfinished.
        planned: These days alone, such as those of a plan; empty: all of the range.
        newest_first: Make the newest days' data ready first; what trains runs in its order all the same.
        days_at_once: Days whose data is made ready side by side; empty: as the worker is set up.

    """
    if end < start:
        msg = f"backfill: expected --end not before --start, received {start} to {end}"
        raise UsageError(msg)
    at_once = str(days_at_once) if days_at_once else None
    settings = load_settings(recipe=recipe, root=root, landing=landing, days_at_once=at_once)
    days = day_range(start, end)
    # All days are one run: none of them waits for another, and nothing comes between two of them.
    with one_run(settings, f"backfill --start {start} --end {end} --retrain {retrain}", wait=wait) as held:
        rules = load_recipe(settings.recipe)
        claim_root(held.store, rules.name)
        name = f"{rules.name} backfill {start} to {end}"
        name_run(name, recipe=rules.name)
        seen, landed = held.asked_once()
        looked = _look(seen, landed, rules, days, retrain, shadow=shadow)
        allowed = set(days if planned is None else planned)
        due = [one for one in looked.days if one.reason != "finished" and one.date in allowed]
        due = [one for one in due if only is None or one.reason in REASONS[only]]
        ordered, training = _ordered(due, newest_first=newest_first), [one for one in due if one.trains]
        page = RunProgress(f"{rules.name}-backfill-progress", "Days that trained")
        sizes = run_sizes(seen, landed, rules, [one.date for one in training], looked.unread)
        clock = start_clock(looked, ordered, sizes, settings.days_at_once, page.tell)
        with told_of_progress(clock.heard):
            beside = [one.date for one in looked.days if one not in due]
            found = _ingest(held, rules, ordered, beside)
        clock.begin_runs(sizes_by_now(held.store, held.landing_zone, rules, training, shadow=shadow))
        made = found | _train(held, [one.date for one in training], clock, shadow=shadow)
        answers = tuple(made.get(one.date) or _skipped(held, looked, one, shadow=shadow) for one in looked.days)
        policies = _policies(held, rules, answers, retrain) if shadow else None
        clock.end()
        _note_end(name, rules.name, answers, policies)
        return BackfillAnswer(days=answers, champion=current_champion(held.store), policies=policies)


def make_plan(
    settings: Settings,
    recipe: Recipe,
    days: Sequence[date],
    retrain: Retrain,
    *,
    shadow: bool,
    only: Only | None = None,
) -> BackfillPlan:
    """Say of each day why it would run and about how long it would take; nothing is changed. Raises StorageError.

    only: leave out the days with another reason.
    """
    looked = _look(*settings.asked_once(), recipe, days, retrain, shadow=shadow)
    planned = tuple(one for one in looked.days if only is None or one.reason in REASONS[only])
    seconds = [one.about_seconds for one in planned]
    # Days are validated side by side, and the library that does it starts once.
    seconds += [looked.usual.validate] if any(one.reason != "finished" for one in planned) else []
    compares = shadow and retrain == "each"
    table = looked.usual.policies(len(days)) if compares else None
    seconds += [table] if compares else []
    known = [one for one in seconds if one is not None]
    about = round(sum(known), 1) if len(known) == len(seconds) else None
    return BackfillPlan(
        retrain=retrain,
        shadow=shadow,
        start=days[0],
        end=days[-1],
        days=planned,
        about_seconds=about,
        policies_seconds=table,
    )


def _look(
    store: Store, landing: LandingZone, recipe: Recipe, days: Sequence[date], retrain: Retrain, *, shadow: bool
) -> LookedDays:
    """Look at the days of a backfill."""
    trains = {day for day in days if retrain == "each" or (retrain == "last" and day == days[-1])}
    now = datetime.now(UTC)
    return look_at_days(store, landing, recipe, days, trains, now, shadow=shadow)


def _ordered(due: Sequence[PlannedDay], *, newest_first: bool) -> list[date]:
    """Return days in the order in which their data is made ready."""
    return sorted((one.date for one in due), reverse=newest_first)


def _ingest(
    settings: Settings, recipe: Recipe, days: Sequence[date], beside: Sequence[date]
) -> dict[date, BackfillDay]:
    """Ingest and validate days side by side; and those beside them anew that are held against what came in."""
    if not days:
        return {}
    now = datetime.now(UTC)
    taken = ingest_and_validate_days(settings.store, settings.landing_zone, recipe, days, now, settings.fan_out, beside)
    return {day: _day_of(result) for day, result in taken.items()}


def _train(settings: Settings, days: Sequence[date], clock: BackfillClock, *, shadow: bool) -> dict[date, BackfillDay]:
    """Make the runs of days in order: each is judged against the champion of the days before it."""
    made = {}
    for day in days:
        began = monotonic()
        made[day] = _noted(settings, day, partial(_run, settings, day, shadow=shadow))
        clock.ran(monotonic() - began)
    return made


def _policies(settings: Settings, rules: Recipe, days: Sequence[BackfillDay], retrain: Retrain) -> PolicyTable:
    """Replay the days under several policies; whatever fails there takes nothing from the days, which are done."""
    if retrain != "each":
        return no_table(rules, "expected a model of each day (`--retrain each`), which policies choose among.")
    try:
        seen, _ = settings.asked_once()
        return replay_policies(settings.store, seen, rules, days, settings.compute, settings.fan_out)
    except Exception as error:
        log.warning("policies could not be compared", exc_info=True)
        return no_table(rules, f"{error} The days themselves are done: the same command compares again.")


def _note_end(name: str, recipe: str, days: Sequence[BackfillDay], policies: PolicyTable | None) -> None:
    """Say on Prefect's page how many days came to which end, of each which, and what policies would have cost."""
    ends = Counter(day.outcome for day in days)
    name_run(f"{name}: {', '.join(f'{count} {end}' for end, count in sorted(ends.items()))}")
    rows = [
        {"day": str(day.date), "outcome": day.outcome, "run or reason": day.run_id or day.reason or ""} for day in days
    ]
    note_table(f"{recipe}-backfill", rows, "The outcome of each day")
    if policies:
        note_table(f"{recipe}-policies", policy_rows(policies), policies.message)


def _run(settings: Settings, day: date, *, shadow: bool) -> BackfillDay:
    """Make the run of one day."""
    made = daily(day, settings.recipe, settings.root, settings.landing, shadow=shadow)
    return BackfillDay(date=day, outcome=made.verdict.decision, run_id=made.run_id)


def _noted(settings: Settings, day: date, work: Callable[[], BackfillDay]) -> BackfillDay:
    """Call the work for a day; whatever fails is that day's, save what ends the whole backfill."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001 - whatever it is, the other days go on
        return _day_of(result_of_error(settings.store, day, error))


def _day_of(result: DayResult) -> BackfillDay:
    """Return the entry of a day whose data was made ready, or that failed."""
    return BackfillDay(date=result.day, outcome=result.outcome, reason=result.reason or None)


def _skipped(settings: Settings, looked: LookedDays, planned: PlannedDay, *, shadow: bool) -> BackfillDay:
    """Return the entry of a day that was not to be worked on."""
    if planned.reason == "finished":
        return BackfillDay(date=planned.date, outcome="skipped", run_id=looked.runs.get(planned.date))
    run = finished_run(settings.store, planned.date, shadow=shadow) if planned.trains else None
    return BackfillDay(date=planned.date, outcome="skipped", run_id=run, reason=f"left out: {planned.reason}")
