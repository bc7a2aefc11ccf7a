"""The daily flow: one day's events in, a judged model out. Read it from top to bottom."""

# No `from __future__ import annotations`: a scheduled run loads this file by its path, and Prefect then finds no names.
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path

import ctr_retrain.flows.quiet_libraries  # noqa: F401 - libraries read the environment when imported
from ctr_retrain.flows.one_run import one_run
from ctr_retrain.flows.root_status import look
from ctr_retrain.flows.settings import Settings, load_settings
from ctr_retrain.flows.stages import (
    check_outcomes,
    check_serving,
    deploy_challenger,
    detect_drift,
    enter_night,
    evaluate_models,
    find_leaks,
    ingest_day,
    judge_challenger,
    measure_features,
    measure_maturity,
    measure_seed_twin,
    measure_yardstick,
    report_signals,
    ship_challenger,
    train_challenger,
    train_cold_twin,
    validate_day,
    watch_numbers,
    weigh_rows,
    withdraw_harmful,
    write_document,
    write_report,
)
from ctr_retrain.models.data.completeness import Completeness
from ctr_retrain.models.documents.run_documents import ChampionRefresh, DailyAnswer, DayDocument, RunDocument
from ctr_retrain.models.drift.finding_signals import DRIFT_KINDS
from ctr_retrain.models.recipe.recipe import Recipe, load_recipe
from ctr_retrain.tasks.alerts.delivery import Delivery
from ctr_retrain.tasks.deploy.withdraw_harmful import Withdrawal
from ctr_retrain.tasks.evaluate.judge_challenger import judge_without_challenger, untrainable
from ctr_retrain.tasks.execution.model_process import Models, models_on
from ctr_retrain.tasks.ledger.champion_recipe import KEPT_FRESH, recipe_to_refresh
from ctr_retrain.tasks.nights.told_night import told_night
from ctr_retrain.tasks.nights.watched_night import Night, watched_night
from ctr_retrain.tasks.observe.export_metrics import metrics_written
from ctr_retrain.tasks.operate.registry import claim_root, current_champion, record_run
from ctr_retrain.tasks.orchestration.recorded import flow
from ctr_retrain.tasks.plan.plan_run import RunPlan, plan_run
from ctr_retrain.tasks.plan.run import Run
from ctr_retrain.tasks.report.recorded_run import load_document
from ctr_retrain.tasks.report.run_document import day_document
from ctr_retrain.tasks.report.run_list import write_run_list
from ctr_retrain.tasks.schedule.next_run import CatchUp
from ctr_retrain.tasks.schedule.scheduled_run import scheduled_days, wait_for_day
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.protocol import has_object
from ctr_retrain.tasks.validate.detect_drift import DriftReport
from ctr_retrain.tasks.validate.ingest_and_validate import catch_up
from ctr_retrain.tasks.validate.validate_day import rejection_error


@flow("daily")
def daily(
    day: date | None = None,
    recipe: Path | None = None,
    root: str | None = None,
    landing: str | None = None,
    force: bool = False,
    shadow: bool = False,
    wait: bool = False,
    catch_up: CatchUp | None = None,
) -> DailyAnswer:
    """Run all stages for one day and return its document.

    A run that was made from the same inputs is found, not made again, unless forced. Raises DataRejectedError where
    the day, or its whole window, can't be used, BusyError where another run has the root, LeftOutError where a
    scheduled run is not made any more.

    Args:
        day: The day to run for; empty: the newest one that was over when the run was due.
        recipe: What to train and how to judge it: a TOML file, or the name of a shipped recipe; empty: the worker's.
        root: Where objects and refs are kept, a folder or s3://BUCKET/PREFIX; empty: the worker's.
        landing: Where raw events land, a folder or s3://BUCKET/PREFIX; empty: the worker's.
        force: Make the run anew, even from the same inputs.
        shadow: Put nothing into service.
        wait: Wait for another run that has the root.
        catch_up: Days to make up for after a downtime: the latest alone, all, or none; empty: as the worker is set up.

    """
    settings = load_settings(recipe=recipe, root=root, landing=landing, catch_up=catch_up)
    rules = load_recipe(settings.recipe)
    if day is None:
        *missed, day = scheduled_days(settings.store, settings.schedule, rules)
        for earlier in missed:  # each a run of its own; one that fails has told so, and the others go on
            with suppress(Exception):
                daily(earlier, settings.recipe, settings.root, settings.landing, force, shadow, wait)
        wait_for_day(settings.landing_zone, rules, day)
    with one_run(settings, f"daily --date {day}", wait=wait) as held:
        now = datetime.now(UTC)  # once it has the root, for which it may have waited for hours
        claim_root(held.store, rules.name)
        tell = held.delivery(rules, events=True)
        night = Night(held.store, held.landing_zone, tell, held.local_folder, held.heartbeat_url, day, now)
        seen = partial(look, settings)
        written = metrics_written(settings.metrics_folder, rules.name, seen)
        with written, told_night(night, rules.name), watched_night(night):
            answer = _run_day(held, rules, day, tell, now, force=force, shadow=shadow)
            night.run = answer
    return answer


def _run_day(
    settings: Settings, rules: Recipe, day: date, tell: Delivery, now: datetime, *, force: bool, shadow: bool
) -> DailyAnswer:
    """Run a day from its landed files to the verdict and what comes of it."""
    store = settings.store
    ingested = ingest_day(store, settings.landing_zone, rules, day, now, settings.fan_out)
    problems = catch_up(store, settings.landing_zone, rules, day, now, settings.fan_out)
    outcomes = check_outcomes(store, settings.landing_zone, rules, day, now, settings.fan_out)
    validated = validate_day(store, rules, day, now)
    drift = detect_drift(store, rules, day, outcomes.completeness)
    found = (*outcomes.signals, *drift.signals)
    report_signals(store, found, looked_at=(*outcomes.looked_at, *DRIFT_KINDS), day=day, now=now, delivery=tell)
    known = day_document(ingested, validated, drift, outcomes)
    if not validated.accepted:
        write_run_list(store, current_champion(store))  # a rejected day has no run: the list page names it
        raise rejection_error(validated, settings.landing_zone, known)

    ready = _Ready(
        settings=settings,
        day=day,
        problems=problems,
        drift=drift,
        known=known,
        completeness=outcomes.completeness,
        now=now,
        force=force,
        shadow=shadow,
    )
    beside, refresh = _refresh_champion(ready, rules)  # first, so that the changed one meets it fresh
    judged = _judge(ready, rules)
    if beside:
        record_run(store, beside.plan, beside=True)
    record_run(store, judged.plan)  # last: a run that died before is found and finished by the next
    champion = current_champion(store)
    write_run_list(store, champion)
    answer = {**dict(judged.document), "champion": champion, "not_deployed": judged.refusal}
    if judged.withdrawn:
        answer |= {"rolled_back": judged.withdrawn.message, "serves": judged.withdrawn.serves or judged.document.serves}
    return DailyAnswer(**answer, champion_refresh=refresh, recorded=judged.recorded)


@dataclass(frozen=True, kw_only=True)
class _Ready:
    """A day whose data is validated, with all that its runs share."""

    settings: Settings
    day: date
    problems: dict[str, str]
    drift: DriftReport
    known: DayDocument
    completeness: Completeness
    now: datetime
    force: bool
    shadow: bool


@dataclass(frozen=True)
class _Judged:
    """A run with its verdict, and what came of it."""

    plan: RunPlan
    document: RunDocument
    recorded: bool
    refusal: str | None
    withdrawn: Withdrawal | None


def _refresh_champion(ready: _Ready, rules: Recipe) -> tuple[_Judged | None, ChampionRefresh | None]:
    """Refresh the champion by its own recipe where a changed one is on trial; returns the run and what to say of it."""
    kept = None if ready.shadow else recipe_to_refresh(ready.settings.store, rules, ready.day)
    if not isinstance(kept, Recipe):
        return None, ChampionRefresh(run_id=None, decision=None, message=kept) if kept else None
    beside = _judge(replace(ready, force=False), kept)
    run_id, decision = beside.plan.run_id, beside.document.verdict.decision
    return beside, ChampionRefresh(run_id=run_id, decision=decision, message=f"{KEPT_FRESH} {run_id}, {decision}.")


def _judge(ready: _Ready, rules: Recipe) -> _Judged:
    """Train and judge by a recipe, or find the run that did; put into service what was promoted."""
    settings, store, now = ready.settings, ready.settings.store, ready.now
    forced_at = now if ready.force else None
    plan = plan_run(
        store, rules, ready.day, ready.problems, settings.fan_out, forced_at, completeness=ready.completeness
    )
    path = layout.run_object(plan.run_id)
    recorded = has_object(store, path)
    if not recorded:
        with store.writing(path, plan.inputs.to_json()) as folder, models_on(settings.compute) as models:
            _make_run(Run(store, rules, plan, folder), ready.drift, ready.known, models)
    document = load_document(store, path)
    refusal = None
    if document.verdict.decision == "promote" and not ready.shadow:
        # Also for a run that was recorded: the one that made it may have died before this line.
        question = document.evidence.question if document.evidence else None
        refusal = deploy_challenger(store, plan.run_id, "promote", document.verdict.reason, now, question)
    withdrawn = None
    if not ready.shadow:
        enter_night(store, plan.run_id)
        withdrawn = withdraw_harmful(store, rules, document, now)
    return _Judged(plan, document, recorded, refusal, withdrawn)


def _make_run(run: Run, drift: DriftReport, known: DayDocument, models: Models) -> None:
    """Make stages 5 to 8 and 10: all of a run's object is written before anything is put into service."""
    measure_maturity(run)
    factors = weigh_rows(run)
    leaks = find_leaks(run)
    watch_numbers(run)
    failure = untrainable(run.recipe, factors, drift.alerts) or train_challenger(run, factors, models)
    if failure:
        verdict = judge_without_challenger(run.folder, failure, bootstrap=run.plan.champion is None)
    else:
        train_cold_twin(run, models)
        evaluate_models(run, models)
        serving = check_serving(run, models)
        verdict = judge_challenger(run, [serving, leaks])
        measure_features(run, models)  # before a fresh pass, which has seen the days that they are measured on
        ship_challenger(run, verdict, models)
        measure_yardstick(run, models)  # last, with the twin: nothing that matters needs the models' process then
        measure_seed_twin(run, factors, models)
    write_document(run, known, drift, factors, verdict)
    write_report(run)
