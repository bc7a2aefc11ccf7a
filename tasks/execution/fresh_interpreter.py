"""Run modules and functions of ours in a new Python process that finds the same modules as this one."""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from select import select
from threading import Lock

WORKER = "ctr_retrain.tasks.execution.fresh_worker"


def module_command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module. -P: the working folder, which is the user's, is not searched first."""
    return [sys.executable, "-P", "-m", module, *arguments]


def module_environment() -> dict[str, str]:
    """Return this process's environment with its module search path, as multiprocessing hands it to its children."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(folder or str(Path.cwd()) for folder in sys.path)}


def run_fresh(work: Callable[..., object], *arguments: str, timeout: float, kept: bool = False) -> str | None:
    """Call a module's function in a process that has imported its module alone; return why it failed, or None.

    kept: this and further calls are forked from one process that has imported the module and TensorFlow, which takes
    five seconds. Raises TimeoutError where the call takes longer than `timeout` seconds.
    """
    module, name = work.__module__, work.__name__
    with tempfile.NamedTemporaryFile() as said:
        call = (said.name, name, *arguments)
        status = _kept_starter(module).status(call, timeout) if kept else _status(module, call, timeout)
        lines = said.read().decode(errors="replace").strip().splitlines()
    return None if status == 0 else lines[-1] if lines else f"exit status {status} and no word of why"


def _status(module: str, call: tuple[str, ...], timeout: float) -> int:
    try:
        return subprocess.run(  # noqa: S603 - our own module
            module_command(WORKER, module, *call),
            env=module_environment(),
            stdin=subprocess.DEVNULL,
            check=False,
            timeout=timeout,
        ).returncode
    except subprocess.TimeoutExpired as error:
        raise TimeoutError from error


class _Starter:
    """A process that has imported a module, and forks a process for each call of one of its functions."""

    # No multiprocessing: its processes import the user's own main module too.
    def __init__(self, module: str) -> None:
        self._busy = Lock()
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            module_command(WORKER, module),
            env=module_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # a call's own words go to a file
            text=True,
            start_new_session=True,  # so that a call that hangs is killed with it
        )

    def status(self, call: tuple[str, ...], timeout: float) -> int | None:
        """Return a call's exit status, None where this process died; raise TimeoutError and end all where it hangs."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._busy:
            with suppress(BrokenPipeError):
                print(json.dumps(call), file=self._process.stdin, flush=True)
            if not select([self._process.stdout], [], [], timeout)[0]:
                os.killpg(self._process.pid, signal.SIGKILL)
                end_kept()
                raise TimeoutError
            answer = self._process.stdout.readline().strip()
            return int(answer) if answer else None

    def lives(self) -> bool:
        """Return False where the process has ended."""
        return self._process.poll() is None

    def end(self) -> None:
        """End the process, which has no call under way."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


_KEPT: dict[str, _Starter] = {}  # by the module that they have imported


def _kept_starter(module: str) -> _Starter:
    """Return the kept process of the module; one that was killed meanwhile, such as for want of memory, is replaced."""
    if module in _KEPT and not _KEPT[module].lives():
        _KEPT.pop(module).end()
    if module not in _KEPT:
        _KEPT[module] = _Starter(module)
    return _KEPT[module]


@atexit.register
def end_kept() -> None:
    """End the processes that are kept for further calls."""
    while _KEPT:
        _KEPT.popitem()[1].end()
