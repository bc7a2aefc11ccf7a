"""A machine that waits for runs to train with it, as a process of this one."""

import contextlib
import shlex
import subprocess
import sys
from types import SimpleNamespace

from ctr_retrain.tasks.execution.fresh_interpreter import module_command, module_environment
from tests.support.free_ports import free_addresses

TOKEN = "0123456789abcdef"  # noqa: S105 - of tests


@contextlib.contextmanager
def waiting_machine():
    """Its port and process, while this lasts."""
    port = int(free_addresses(1)[0].rpartition(":")[2])
    command = module_command("ctr_retrain.tasks.machines.host_listener", str(port))
    with subprocess.Popen(command, env={**module_environment(), "TRAINING_TOKEN": TOKEN}) as process:
        try:
            yield SimpleNamespace(port=port, process=process)
        finally:
            process.kill()


def command_to(port):
    """The value of CTR_RETRAIN_WORKER_COMMAND that reaches it."""
    return f"{shlex.join([sys.executable, '-P', '-m', 'ctr_retrain.tasks.machines.reach_host'])} {{host}} {port}"
