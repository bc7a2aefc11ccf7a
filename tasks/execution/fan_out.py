"""Days side by side: independent days run at once, as Prefect tasks on threads of this process or on a Dask cluster.

A day's work is a plain function of the day, so it can be sent to another process; it reads the store and answers a
small reference. Each day gets its share of its machine, so many days take no more memory than one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from ctr_retrain.tasks.execution import dask_cluster, duck
from ctr_retrain.tasks.execution.progress import progress_of

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class FanOut:
    """The way in which days run side by side."""

    runner: Literal["threads", "dask"]
    days_at_once: int  # on a machine
    dask_address: str = ""  # of a cluster's scheduler; empty: a cluster of local processes is started

    def __post_init__(self) -> None:
        """Raise UsageError where Dask is asked for and not installed."""
        if self.runner == "dask":
            dask_cluster.require_dask()

    def over(self, days: Sequence[Item], what: str, work: Callable[[Item], Result]) -> dict[Item, Result]:
        """Call `work` for each day, or shard of one; results keep the days' order, and one day alone runs right here.

        `what` names the work for people. The first error, by the order of the days, ends it all: days under way are
        finished, the others dropped.
        """
        if len(days) < 2:
            return {day: work(day) for day in days}
        with self._task_runner(len(days)) as runner:
            side_by_side = run_days.with_options(flow_run_name=what, task_runner=runner)
            results = side_by_side(list(days), what, work, self.days_at_once)
        return dict(zip(days, results, strict=True))

    @contextlib.contextmanager
    def _task_runner(self, days: int) -> Iterator[TaskRunner[Any]]:
        """The task runner, for the flow to start: a cluster of our own lives no longer than the work."""
        at_once = min(self.days_at_once, days)
        if self.runner == "threads":
            yield ThreadPoolTaskRunner(max_workers=at_once)
        else:
            with dask_cluster.task_runner(self.dask_address, at_once) as runner:
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
