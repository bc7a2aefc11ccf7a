"""Run modules and functions of ours in a new Python process that finds the same modules as this one."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from select import select
from threading import Lock

from ctr_retrain.models.errors import ProcessDiedError
from ctr_retrain.tasks.execution.fresh_worker import RAISED

WORKER = "ctr_retrain.tasks.execution.fresh_worker"


def module_command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module. -P: the working folder, which is the user's, is not searched first."""
    return [sys.executable, "-P", "-m", module, *arguments]


def module_environment() -> dict[str, str]:
    """Return this process's environment with its module search path, as multiprocessing hands it to its children."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(folder or str(Path.cwd()) for folder in sys.path)}


def run_fresh(work: Callable[..., object], *arguments: str, timeout: float, kept: bool = False) -> str | None:
    """Call a module's function in a process that has imported its module alone; return why it raised, or None.

    kept: this and further calls are forked from one process that has imported the module and TensorFlow, which takes
    five seconds. Raises ProcessDiedError where the process came to no end of its own, or failed for a reason of the
    machine's, which says nothing about the function; and where the call takes longer than `timeout` seconds.
    """
    module, name = work.__module__, work.__name__
    with _kept_folder(module) if kept else tempfile.TemporaryDirectory() as folder:
        words = Path(folder) / "words"
        words.write_bytes(b"")
        call = (str(words), name, *arguments)
        status = _KEPT[module].status(call, timeout) if kept else _status([folder, module, *call], folder, timeout)
        lines = words.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    last = lines[-1] if lines else "no word of why"
    if status == 0:
        return None
    if status == RAISED and lines:
        return last
    raise ProcessDiedError(_died(name, status, last))


def _died(name: str, status: int | None, last: str) -> str:
    """Say how a process ended, and what to do about it."""
    how, cause = f"exit status {status}", "The machine is at fault (disk, memory, what is installed), not the model"
    if status is None:
        how = "its end"
    elif status < 0:
        how = signal.Signals(-status).name
    if status == -signal.SIGKILL:
        cause = "Nearly always the kernel was out of memory and killed it"
    return (
        f"{name.replace('_', ' ')}: expected an answer from a fresh process, received {how} and {last.rstrip('.')}. "
        f"{cause}. Nothing was recorded: run again."
    )


def _status(call: list[str], folder: str, timeout: float) -> int:
    with subprocess.Popen(  # noqa: S603 - our own module
        module_command(WORKER, *call),
        env={**module_environment(), "TMPDIR": folder},  # TensorFlow leaves code there that it generates
        stdin=subprocess.PIPE,  # whose end tells it that this process has died
    ) as process:
        try:
            return process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise ProcessDiedError(_hung(call[3], timeout)) from None
        finally:
            process.kill()


def _hung(name: str, timeout: float) -> str:
    """Say what gave no answer for how long."""
    return (
        f"{name.replace('_', ' ')}: expected an answer from a fresh process within {timeout:g} s, received none, and "
        "killed it: the machine is too busy, or somebody stopped the process. Nothing was recorded: run again."
    )


class _Starter:
    """A process that has imported a module, and forks a process for each call of one of its functions."""

    # No multiprocessing: its processes import the user's own main module too.
    def __init__(self, module: str) -> None:
        self._busy = Lock()
        self._aside = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.folder = self._aside.name
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            module_command(WORKER, self.folder, module),
            env={**module_environment(), "TMPDIR": self.folder},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # a call's own words go to a file
            text=True,
            start_new_session=True,  # so that a call that hangs is killed with it
        )

    def status(self, call: tuple[str, ...], timeout: float) -> int | None:
        """Return a call's exit status, None where this process died; raise ProcessDiedError where it hangs."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._busy:
            with contextlib.suppress(BrokenPipeError):
                print(json.dumps(call), file=self._process.stdin, flush=True)
            if not select([self._process.stdout], [], [], timeout)[0]:
                os.killpg(self._process.pid, signal.SIGKILL)
                end_kept()
                raise ProcessDiedError(_hung(call[1], timeout))
            answer = self._process.stdout.readline().strip()
            return int(answer) if answer else None

    def lives(self) -> bool:
        """Return False where the process has ended."""
        return self._process.poll() is None

    def end(self) -> None:
        """End the process, which has no call under way."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()
        self._aside.cleanup()


_KEPT: dict[str, _Starter] = {}  # by the module that they have imported


@contextlib.contextmanager
def _kept_folder(module: str) -> Iterator[str]:
    """Give the folder of the module's kept process; one that was killed, such as for want of memory, is replaced."""
    if module in _KEPT and not _KEPT[module].lives():
        _KEPT.pop(module).end()
    if module not in _KEPT:
        _KEPT[module] = _Starter(module)
    yield _KEPT[module].folder


@atexit.register
def end_kept() -> None:
    """End the processes that are kept for further calls."""
    while _KEPT:
        _KEPT.popitem()[1].end()
