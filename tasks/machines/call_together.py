"""Functions called on several machines at once; the first machine's answer counts, and any failure ends them all."""

from __future__ import annotations

from concurrent.futures import FIRST_EXCEPTION, Future, as_completed, wait
from typing import TYPE_CHECKING, Any, TypeVar

from ctr_retrain.models.errors import ProcessDiedError
from ctr_retrain.tasks.execution.thread_pool import ThreadPool
from ctr_retrain.tasks.machines.host_process import HostProcess
from ctr_retrain.tasks.machines.lost_machine import MachineLostError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from ctr_retrain.tasks.execution.model_process import Compute

Result = TypeVar("Result")

SECONDS_TO_END = 5.0  # for a machine that another one has lost to say itself what became of it


def call_together(
    compute: Compute,
    first: tuple[Callable[..., Result], tuple[Any, ...]],
    *others: tuple[Callable[..., object], tuple[Any, ...]],
) -> Result:
    """Return what the function of the first of `compute.workers` returns, which alone shows its progress.

    first, others: a module's function, which gets a way to report progress too, and its arguments. Raises what any of
    them raises; ProcessDiedError, with the machine's name, where a process ends without an answer, gives no sign of
    life or is lost to the others.
    """
    with ThreadPool(1 + len(others)) as pool:
        hosts = [HostProcess(compute.workers, index, compute.worker_command) for index in range(1 + len(others))]
        try:
            answer = pool.submit(hosts[0].call, first[0], *first[1])
            along = zip(hosts[1:], others, strict=True)
            calls: list[Future[Any]] = [
                answer,
                *(pool.submit(host.call, work, *given) for host, (work, given) in along),
            ]
            for ended in as_completed(calls):
                if error := ended.exception():
                    raise _cause(error, calls)
                if ended is answer:
                    break
            return answer.result()
        finally:
            # Before the pool waits for its threads. What is still under way is of no use to anybody.
            for host in hosts:
                host.end()


def _cause(error: BaseException, calls: Collection[Future[Any]]) -> BaseException:
    """Return what began it: where machines have lost another one, what became of that one, if it says so itself."""
    if not isinstance(error, MachineLostError):
        return error
    wait([call for call in calls if not call.done()], SECONDS_TO_END, FIRST_EXCEPTION)
    errors = [call.exception() for call in calls if call.done()]
    return next((one for one in errors if one and not isinstance(one, MachineLostError)), ProcessDiedError(str(error)))
