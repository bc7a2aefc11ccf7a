"""Days side by side: on threads of this process or on a Dask cluster; as tasks, where Prefect records them."""

from __future__ import annotations

import contextlib
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from ctr_retrain.tasks.execution.thread_pool import ThreadPool
from ctr_retrain.tasks.orchestration import dask_cluster
from ctr_retrain.tasks.orchestration.day_answers import Future, answers_in_order, work_with_share
from ctr_retrain.tasks.orchestration.prefect_server import named_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Item = TypeVar("Item")
Result = TypeVar("Result")


def work_side_by_side(
    days: list[Item], what: str, work: Callable[[Item], Result], days_at_once: int, dask_address: str | None
) -> list[Result]:
    """Work on all days, so many at once on a machine; their answers in order. `what` names the work for people.

    dask_address: of a cluster's scheduler; empty: a cluster of local processes is started; None: threads.
    """
    unrecorded = partial(_work_unrecorded, days, what, work, days_at_once, dask_address)
    if named_server() is None:
        return unrecorded()
    from ctr_retrain.tasks.orchestration.prefect_days import work_recorded  # noqa: PLC0415 - Prefect takes two seconds

    return work_recorded(days, what, work, days_at_once, dask_address, unrecorded)


def _work_unrecorded(
    days: list[Item], what: str, work: Callable[[Item], Result], days_at_once: int, dask_address: str | None
) -> list[Result]:
    with _submitter(min(days_at_once, len(days)), dask_address) as submit:
        return answers_in_order([submit(work_with_share, work, day, days_at_once) for day in days], what)


@contextlib.contextmanager
def _submitter(at_once: int, dask_address: str | None) -> Iterator[Callable[..., Future]]:
    """Give a function that hands a call to a worker; on the way out calls that have not begun are dropped."""
    if dask_address is not None:
        with dask_cluster.workers(dask_address, at_once) as client:
            # Not pure: Dask would answer an equal call with what the first one came to.
            yield lambda *call: client.submit(*call, pure=False)
        return
    with ThreadPool(at_once) as pool:
        yield lambda work, *given: pool.submit(copy_context().run, work, *given)
