"""The deployments of `serve`: the nights by their schedule, and forms for what a person starts on Prefect's pages."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.schedules import Cron
from prefect.states import Cancelled, Crashed, Scheduled

from ctr_retrain.flows.backfill import backfill
from ctr_retrain.flows.clean_up import clean_up
from ctr_retrain.flows.compare import compare
from ctr_retrain.flows.daily import daily
from ctr_retrain.models.recipe.shipped_recipes import find_recipe
from ctr_retrain.tasks.schedule.next_run import Schedule
from ctr_retrain.tasks.schedule.scheduled_nights import LATE_HOURS, missed_run

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from prefect.client.schemas.objects import FlowRun
    from prefect.deployments.runner import RunnerDeployment

    from ctr_retrain.flows.settings import Settings

log = logging.getLogger(__name__)

NIGHTLY = "nightly"
BY_HAND = {"by-hand": (backfill, compare, clean_up)}  # by the deployment's name


def deployments(settings: Settings) -> list[RunnerDeployment]:
    """Return the deployments, the nights' own first."""
    # Whole paths, since scheduled runs may start in another folder. A night that finds a backfill at work comes after.
    places = {
        "recipe": str(find_recipe(settings.recipe).absolute()),
        "root": settings.store.root,
        "landing": str(settings.landing_zone),
        "wait": True,
    }
    night = {**places, "catch_up": settings.catch_up}
    schedules = [Cron(settings.cron, timezone=settings.timezone)]
    nightly = _deployment(daily, NIGHTLY, night, schedules=schedules)
    return [nightly, *(_deployment(flow, name, places) for name, flows in BY_HAND.items() for flow in flows)]


def _deployment(flow: object, name: str, parameters: dict[str, object], **more: Any) -> RunnerDeployment:
    assert isinstance(flow, Flow)  # since a server is named
    made = flow.to_deployment(name=name, parameters=parameters, tags=["ctr-retrain"], **more)
    assert not hasattr(made, "__await__")
    return made


def settle_after_downtime(settings: Settings, nightly: UUID, all_of_ours: Iterable[UUID], now: datetime) -> None:
    """Put right what an end of `serve` left on its own server, and make up for the nights that it missed.

    nightly: the deployment of nights. all_of_ours: every deployment, whose runs ended with `serve`.
    """
    with get_client(sync_client=True) as client:
        for run in _runs(client, all_of_ours, StateType.RUNNING, StateType.PENDING, StateType.CANCELLING):
            message = "serve ended while this run was under way: nothing half-made was published."
            client.set_flow_run_state(run.id, Crashed(message=message), force=True)
        _drop_superseded(client, settings.schedule, nightly, now)
        make_up(client, settings, nightly, now)


def make_up(client: SyncPrefectClient, settings: Settings, nightly: UUID, now: datetime) -> None:
    """Let a night begin at once that was due while nobody was there to begin it, where the policy wants it."""
    due = missed_run(settings.store, settings.schedule, now)
    waiting = [run.next_scheduled_start_time for run in _runs(client, [nightly], StateType.SCHEDULED)]
    if due is None or any(time is not None and due <= time <= now for time in waiting):
        return
    log.warning("The night that was due at %s did not happen: it begins now.", due.isoformat())
    # Its key is a day's: however often `serve` is started, the server makes one run of it.
    client.create_flow_run_from_deployment(
        nightly, state=Scheduled(scheduled_time=due.astimezone(UTC)), idempotency_key=f"missed {due.isoformat()}"
    )


def _drop_superseded(client: SyncPrefectClient, schedule: Schedule, nightly: UUID, now: datetime) -> None:
    """Cancel the nights that were due while nobody was there and that the policy leaves out; Prefect would make all."""
    if schedule.catch_up == "all":
        return
    runs = [run for run in _runs(client, [nightly], StateType.SCHEDULED) if run.auto_scheduled]
    dues = {run.id: run.next_scheduled_start_time for run in runs if run.next_scheduled_start_time}
    overdue = sorted((due, run) for run, due in dues.items() if due <= now)
    newest = overdue[-1:] if schedule.catch_up == "latest" else []
    in_time = [one for one in overdue if now - one[0] <= timedelta(hours=LATE_HOURS)][-1:]
    for due, run in overdue:
        if (due, run) not in newest + in_time:
            words = f"Nobody was there to begin it, and CTR_RETRAIN_CATCH_UP is {schedule.catch_up!r}."
            client.set_flow_run_state(run, Cancelled(name="Left out", message=words), force=True)


def _runs(client: SyncPrefectClient, deployments: Iterable[UUID], *states: StateType) -> list[FlowRun]:
    """Return the runs of deployments that are in one of the states, as many as Prefect gives at once, oldest first."""
    wanted = FlowRunFilter(
        deployment_id=FlowRunFilterDeploymentId(any_=list(deployments)),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(states))),
    )
    return client.read_flow_runs(flow_run_filter=wanted, sort=FlowRunSort.EXPECTED_START_TIME_ASC)
