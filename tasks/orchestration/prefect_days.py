"""Days side by side as Prefect records them: a flow of their own, and a task each."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from ctr_retrain.tasks.orchestration import dask_cluster
from ctr_retrain.tasks.orchestration.day_answers import answers_in_order, work_with_share
from ctr_retrain.tasks.orchestration.prefect_records import followed, noted

Item = TypeVar("Item")
Result = TypeVar("Result")


def work_recorded(
    days: list[Item],
    what: str,
    work: Callable[[Item], Result],
    days_at_once: int,
    dask_address: str | None,
    unrecorded: Callable[[], list[Result]],
) -> list[Result]:
    """Work on all days as tasks of a flow run of their own; unrecorded once Prefect's server is gone."""
    return followed(lambda: _work_as_tasks(days, what, work, days_at_once, dask_address), unrecorded)()


def _work_as_tasks(
    days: list[Item], what: str, work: Callable[[Item], Result], days_at_once: int, dask_address: str | None
) -> list[Result]:
    with _task_runner(min(days_at_once, len(days)), dask_address) as runner:
        side_by_side = run_days.with_options(flow_run_name=what, task_runner=runner)
        return side_by_side(days, what, work, days_at_once)


@contextlib.contextmanager
def _task_runner(at_once: int, dask_address: str | None) -> Iterator[TaskRunner[Any]]:
    """The task runner, for the flow to start: a cluster of our own lives no longer than the work."""
    if dask_address is None:
        yield ThreadPoolTaskRunner(max_workers=at_once)
    else:
        with dask_cluster.task_runner(dask_address, at_once) as runner:
            yield runner


def _run_days(days: list[Item], what: str, work: Callable[[Item], Result], days_at_once: int) -> list[Result]:
    """Work on all days; their answers in order."""
    return answers_in_order([run_day.submit(what, work, day, days_at_once) for day in days], what)


@task(cache_policy=NO_CACHE, task_run_name="{what} {day}")
def run_day(what: str, work: Callable[[Item], Result], day: Item, days_at_once: int) -> Result:  # noqa: ARG001 - a name
    """Work on one day, with its share of the machine."""
    return work_with_share(work, day, days_at_once)


# A flow of its own: with each task Prefect sends the flow that it is part of, and this one needs no TensorFlow.
run_days = flow(name="days", validate_parameters=False)(noted(_run_days))
