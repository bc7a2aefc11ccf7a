"""The process in which models are trained and scored, started by a flow: `python -m …model_worker FOLDER MODULE…`.

The folder is for what it and its libraries put aside, and goes with it. Lines on stdin name a file of work and one for
the answer; lines of JSON on stdout tell logs, progress, answers and that it lives.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import pickle
import queue
import resource
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from threading import Lock, Thread
from typing import Any

from ctr_retrain.models.error_origins import is_machine_fault
from ctr_retrain.models.errors import CtrRetrainError, StorageError
from ctr_retrain.tasks.execution.parents_end import end_with_parent
from ctr_retrain.tasks.execution.progress import Report
from ctr_retrain.tasks.execution.worker_process import IMPORTED, SECONDS_BETWEEN_SIGNS

FORWARDED = ("ctr_retrain",)  # loggers whose lines below a warning are of interest
KILOBYTES_PER_MB = 1000


class Pipe(logging.Handler):
    """The flow's end of stdout, which is kept from libraries that print."""

    def __init__(self) -> None:
        """Keep stdout, and let all that is printed go to stderr."""
        super().__init__()
        self._file = os.fdopen(os.dup(1), "w", encoding="utf-8")
        self._lock = Lock()
        os.dup2(2, 1)

    def say(self, **words: Any) -> None:
        """Write a line of JSON."""
        with self._lock:
            self._file.write(json.dumps(words) + "\n")
            self._file.flush()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line of a log, where it is of interest."""
        if record.levelno >= logging.WARNING or record.name.split(".")[0] in FORWARDED:
            self.say(log=[record.name, record.levelno, record.getMessage()])

    @contextlib.contextmanager
    def progress_of(self, what: str, unit: str) -> Iterator[Report]:
        """Tell of progress under a name."""
        self.say(begun=what, unit=unit)

        def report(done: int, of: int) -> None:
            self.say(what=what, unit=unit, done=done, of=of, peak_mb=_peak_mb())

        yield report


def main() -> None:
    """Import what was asked for, then answer until the flow closes the pipe or ends."""
    pipe = Pipe()
    logging.basicConfig(level=logging.INFO, handlers=[pipe])
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    work: queue.SimpleQueue[str] = queue.SimpleQueue()
    folder, *modules = sys.argv[1:]
    end_with_parent(last=partial(shutil.rmtree, folder, ignore_errors=True))
    Thread(target=_listen, args=(work,), daemon=True).start()
    Thread(target=show_life, args=(pipe,), daemon=True).start()
    for module in modules:
        import_module(module)
    print(IMPORTED, file=sys.stderr, flush=True)  # noqa: T201 - in the very stream that it divides
    while True:
        source, target = work.get().split("\t")
        answer = answer_to(Path(source).read_bytes(), pipe)
        aside = Path(f"{target}.new")
        aside.write_bytes(answer)
        aside.replace(target)
        pipe.say(answered=True)


def _listen(work: queue.SimpleQueue[str]) -> None:
    """Hand on what the flow asks for."""
    for line in sys.stdin:
        work.put(line.rstrip("\n"))


def show_life(pipe: Pipe) -> None:
    """Say now and then that this process works, whatever it works on."""
    while True:
        pipe.say(alive=True)
        time.sleep(SECONDS_BETWEEN_SIGNS)


def told_of_fault(error: Exception) -> Exception:
    """Return an error as it is, or what a library's one says of the machine: the flow's process lacks its type."""
    if isinstance(error, CtrRetrainError) or not is_machine_fault(error):
        return error
    first = (str(error).splitlines() or [""])[0]
    told = StorageError(
        "the process of the models: expected room, memory and a device that works, "
        f"received {type(error).__name__}: {first}. Nothing was recorded: mend "
        "it and run again; training goes on from its last checkpoint, where there is one."
    )
    told.__cause__ = error
    return told


def _peak_mb() -> int:
    """The most memory that was resident; ru_maxrss would count what the flow had when it started this process."""
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="ascii").splitlines() if status.exists() else []
    kilobytes = [int(line.split()[1]) for line in lines if line.startswith("VmHWM")]
    return (kilobytes or [resource.getrusage(resource.RUSAGE_SELF).ru_maxrss])[0] // KILOBYTES_PER_MB


def answer_to(request: bytes, pipe: Pipe, told: Callable[[Exception], Exception] = told_of_fault) -> bytes:
    """Do the work of a pickled request and pickle its outcome: if it failed, and its result or error as `told`."""
    try:
        work, arguments, named = pickle.loads(request)  # noqa: S301 - written by the flow
        return pickle.dumps((False, work(pipe.progress_of, *arguments, **named)))
    except Exception as error:  # noqa: BLE001 - every one is raised again in the flow's process
        error = told(error)
        where = "".join(traceback.format_exception(error))
        error.add_note(f"In the process that trains and scores models:\n{where}")
        try:
            pickled = pickle.dumps((True, error))
            pickle.loads(pickled)  # noqa: S301 - some exceptions can't be put together again
        except Exception:  # noqa: BLE001 - by whatever their constructor raises
            return pickle.dumps((True, RuntimeError(where)))
        return pickled


if __name__ == "__main__":
    main()
