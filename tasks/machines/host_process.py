"""A process that trains on one of several machines, as the run sees it that started it.

The first machine is this one; on another, a command such as `ssh HOST` starts the process. All that it is told and
answers goes through the command's stdin and stdout, so nothing has to listen there before, and a closed pipe ends it.
"""

from __future__ import annotations

import base64
import json
import pickle
import shlex
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from ctr_retrain.tasks.execution.code_digest import code_digest
from ctr_retrain.tasks.execution.fresh_interpreter import module_command, module_environment
from ctr_retrain.tasks.execution.worker_process import WorkerProcess, words_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from ctr_retrain.tasks.execution.model_process import ProgressOf

# Without BatchMode a password would be asked for at a terminal that a night has not.
SSH = "ssh -o BatchMode=yes -o ConnectTimeout=15 {host}"
MODULE = "ctr_retrain.tasks.machines.host_worker"

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class HostProcess:
    """The process of one machine of a cluster."""

    def __init__(self, workers: tuple[str, ...], index: int, command: str = "") -> None:
        """Start it. workers: HOST:PORT of each machine; command: starts one elsewhere, {host} stands for its name."""
        self.host = workers[index]
        # As TensorFlow reads it from TF_CONFIG: the first worker of a cluster is its chief.
        self._cluster = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
        start = start_command(self.host, command or SSH, here=host_of(self.host) == host_of(workers[0]))
        self._worker = WorkerProcess(start, module_environment(), f" on {self.host}", silent=index > 0)

    def call(
        self,
        work: Callable[Concatenate[ProgressOf, Parameters], Result],
        *arguments: Parameters.args,
        **named: Parameters.kwargs,
    ) -> Result:
        """Return what a module's function returns there; raises what it raises, or ProcessDiedError."""
        content = base64.b64encode(pickle.dumps((work, arguments, named))).decode()
        request = {"cluster": self._cluster, "code": code_digest(), "work": content}
        said = self._worker.ask(json.dumps(request), words_of(work.__name__))
        failed, answer = pickle.loads(base64.b64decode(said["answered"]))  # noqa: S301 - of the process started above
        if failed:
            raise answer
        result: Result = answer
        return result

    def end(self) -> None:
        """Let it end, whatever it is at."""
        self._worker.end()


def start_command(host: str, command: str, *, here: bool) -> list[str]:
    """Return the command that starts the process, on this machine or by another command's last argument."""
    module = module_command(MODULE)
    if here:
        return module
    # As one argument, since the shell on the other machine takes the command apart once more.
    return [*(part.replace("{host}", host_of(host)) for part in shlex.split(command)), shlex.join(module)]


def host_of(worker: str) -> str:
    """Return the host of HOST:PORT; an IPv6 address stands in brackets there."""
    return worker.rpartition(":")[0].strip("[]")
