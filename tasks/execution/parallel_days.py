"""Days side by side as Prefect sees them: a flow of their own, and a task each."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from ctr_retrain.tasks.execution import dask_cluster, duck
from ctr_retrain.tasks.execution.progress import progress_of

Item = TypeVar("Item")
Result = TypeVar("Result")


def work_side_by_side(
    days: list[Item], what: str, work: Callable[[Item], Result], days_at_once: int, dask_address: str | None
) -> list[Result]:
    """Work on all days, so many at once on a machine; their answers in order. `what` names the work for people.

    dask_address: of a cluster's scheduler; empty: a cluster of local processes is started; None: threads.
    """
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


# A flow of its own: with each task Prefect sends the flow that it is part of, and this one needs no TensorFlow.
@flow(name="days", validate_parameters=False)
def run_days(days: list[Item], what: str, work: Callable[[Item], Result], days_at_once: int) -> list[Result]:
    """Work on all days; their answers in order."""
    results = []
    with progress_of(what, "days") as progress:
        futures = [run_day.submit(what, work, day, days_at_once) for day in days]
        for number, future in enumerate(futures, start=1):
            results.append(future.result())
            progress(number, len(days))
    return results


@task(cache_policy=NO_CACHE, task_run_name="{what} {day}")
def run_day(what: str, work: Callable[[Item], Result], day: Item, days_at_once: int) -> Result:  # noqa: ARG001 - a name
    """Work on one day, with its share of the machine."""
    with duck.sharing(days_at_once):
        return work(day)
