"""The Dask cluster on which days run side by side: processes of this machine, or a scheduler that runs elsewhere."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from ctr_retrain.models.errors import StorageError, UsageError
from ctr_retrain.tasks.execution.code_digest import code_digest
from ctr_retrain.tasks.execution.web_request import public_address

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prefect_dask.task_runners import DaskTaskRunner

CONNECT_SECONDS = 10
HERE = ("127.0.0.1", "localhost", "::1")
# Workers inherit our stdout, which belongs to the one document of --json: what they print goes to stderr. They leave
# without taking their modules apart, which takes Great Expectations' seconds.
PRELOAD = "import atexit, os; os.dup2(2, 1); atexit.register(os._exit, 0)"


def require_dask() -> None:
    """Raise UsageError where the extra is not installed."""
    try:
        import prefect_dask  # noqa: F401, PLC0415
    except ModuleNotFoundError as error:
        msg = (
            f"CTR_RETRAIN_TASK_RUNNER=dask: expected prefect-dask to be installed, received: {error}. "
            "Run `pip install 'ctr-retrain[dask]'`, or set CTR_RETRAIN_TASK_RUNNER=threads."
        )
        raise UsageError(msg) from error


@contextlib.contextmanager
def task_runner(address: str, processes: int) -> Iterator[DaskTaskRunner]:
    """A Dask task runner for a flow: on the scheduler at `address`, or on that many processes which end with the flow.

    Raises StorageError where no scheduler with fitting workers answers, or where a worker dies again and again.
    """
    from distributed import KilledWorker  # noqa: PLC0415 - an extra
    from prefect_dask.task_runners import DaskTaskRunner  # noqa: PLC0415

    server = _server_url()
    if address:
        _check_server(server, address)
        _check_scheduler(address)
        runner = DaskTaskRunner(address=address, client_kwargs={"timeout": CONNECT_SECONDS})
    else:
        runner = DaskTaskRunner(cluster_kwargs=_local_processes(processes))
    try:
        # A worker that knows no server would start one of its own.
        with temporary_settings({PREFECT_API_URL: server}):
            yield runner
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


def _server_url() -> str:
    with get_client(sync_client=True) as client:
        return str(client.api_url).rstrip("/")


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
