"""The Dask cluster on which days run side by side: processes of this machine, or a scheduler that runs elsewhere."""

from __future__ import annotations

import contextlib
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ctr_retrain.models.errors import StorageError, UsageError
from ctr_retrain.tasks.execution.code_digest import code_digest
from ctr_retrain.tasks.execution.web_request import public_address
from ctr_retrain.tasks.orchestration.prefect_server import named_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from distributed import Client
    from prefect_dask.task_runners import DaskTaskRunner

CONNECT_SECONDS = 10
HERE = ("127.0.0.1", "localhost", "::1")
# Workers inherit our stdout, which belongs to the one document of --json: what they print goes to stderr. They leave
# without taking their modules apart, which takes Great Expectations' seconds.
PRELOAD = "import atexit, os; os.dup2(2, 1); atexit.register(os._exit, 0)"


def require_dask() -> None:
    """Raise UsageError where the extra is not installed."""
    # Looked for, not imported: with Prefect that takes three seconds.
    missing = [name for name in ("distributed", "prefect_dask") if find_spec(name) is None]
    if missing:
        msg = (
            f"CTR_RETRAIN_TASK_RUNNER=dask: expected {missing[0]} to be installed, received no such module. "
            "Run `pip install 'ctr-retrain[dask]'`, or set CTR_RETRAIN_TASK_RUNNER=threads."
        )
        raise UsageError(msg)


@contextlib.contextmanager
def workers(address: str, processes: int) -> Iterator[Client]:
    """Give the client of the scheduler at `address`, or of that many processes which end with the work.

    Raises StorageError where no scheduler with fitting workers answers, or where a worker dies again and again.
    """
    from distributed import Client, LocalCluster  # noqa: PLC0415 - an extra

    with _telling_deaths(), contextlib.ExitStack() as stack:
        if address:
            _check_scheduler(address)
            yield stack.enter_context(Client(address, timeout=CONNECT_SECONDS, set_as_default=False))  # type: ignore[no-untyped-call]
        else:
            cluster = stack.enter_context(LocalCluster(**_local_processes(processes)))  # type: ignore[no-untyped-call]
            yield stack.enter_context(Client(cluster, set_as_default=False))  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def task_runner(address: str, processes: int) -> Iterator[DaskTaskRunner]:
    """Give the same as a task runner, for a flow that Prefect records; raises as `workers` does."""
    from prefect.settings import PREFECT_API_URL, temporary_settings  # noqa: PLC0415 - two seconds, and it is no extra
    from prefect_dask.task_runners import DaskTaskRunner  # noqa: PLC0415 - an extra

    server = named_server() or ""
    if address:
        _check_server(server, address)
        _check_scheduler(address)
        runner = DaskTaskRunner(address=address, client_kwargs={"timeout": CONNECT_SECONDS})
    else:
        runner = DaskTaskRunner(cluster_kwargs=_local_processes(processes))
    # A worker that knows no server would start one of its own.
    with _telling_deaths(), temporary_settings({PREFECT_API_URL: server}):
        yield runner


@contextlib.contextmanager
def _telling_deaths() -> Iterator[None]:
    """Raise StorageError where a worker dies again and again."""
    from distributed import KilledWorker  # noqa: PLC0415 - an extra

    try:
        yield
    except KilledWorker as error:
        msg = (
            f"Dask: expected the workers to live, received: {error}. Most often a day takes more memory than "
            "a worker has: set a smaller CTR_RETRAIN_DAYS_AT_ONCE, or give workers more."
        )
        raise StorageError(msg) from error


def _local_processes(processes: int) -> dict[str, Any]:
    return {
        "n_workers": processes,
        "threads_per_worker": 1,
        "processes": True,
        "security": True,  # nobody else on this machine may send it work
        "dashboard_address": "127.0.0.1:0",
        "preload": [PRELOAD],
    }


def _check_server(server: str, address: str) -> None:
    """Workers tell the Prefect server how far they are: those elsewhere must reach it."""
    if urlsplit(server).hostname in HERE and urlsplit(address).hostname not in HERE:
        msg = (
            f"PREFECT_API_URL: expected a Prefect server that the workers of {address} reach, received "
            f"{public_address(server)}, which is on this machine alone. Start `prefect server start --host 0.0.0.0` "
            "and name it by its host."
        )
        raise UsageError(msg)


def _check_scheduler(address: str) -> None:
    """See that the scheduler answers, who is there to work, and by which code."""
    from distributed import Client  # noqa: PLC0415 - an extra

    where = f"Dask scheduler {address}"
    try:
        with Client(address, timeout=CONNECT_SECONDS, set_as_default=False) as client:  # type: ignore[no-untyped-call]
            codes = client.run(code_digest)
    except (OSError, ValueError) as error:  # no answer; an address of no machine
        msg = (
            f"{where}: expected an answer within {CONNECT_SECONDS} s, received: {error}. Start it or mend the address."
        )
        raise StorageError(msg) from error
    except ModuleNotFoundError as error:
        msg = f"{where}: expected workers with ctr-retrain installed, received: {error}. Install it where they run."
        raise StorageError(msg) from error
    if not codes:
        msg = f"{where}: expected at least one worker, received none. Run `dask worker {address}` where days shall run."
        raise StorageError(msg)
    if others := {worker: code for worker, code in codes.items() if code != code_digest()}:
        worker, code = min(others.items())
        msg = (
            f"{where}: expected all workers to run {code_digest()}, received {code} of {worker}. Restart it with ours."
        )
        raise StorageError(msg)
