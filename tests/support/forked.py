"""Processes that are forked from one that has imported the tasks: at work at once, and killed without a trace.

Each has a process group of its own, tells its parent by a pipe what it does, and answers with what it returned.
"""

import multiprocessing
import os
import signal
import time
import traceback
from contextlib import suppress

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [
        "ctr_retrain.flows.quiet_libraries",
        "ctr_retrain.tasks.alerts.report_signals",
        "ctr_retrain.tasks.deploy.publish_model",
        "ctr_retrain.tasks.ingest.ingest_day",
        "ctr_retrain.tasks.label.label_day",
        "ctr_retrain.tasks.store.local_store",
        "ctr_retrain.tasks.store.s3_store",
    ]
)


class Forked:
    """A process that does `work(*arguments)`, or `work(*arguments, mark)` where it is `marked`."""

    def __init__(self, work, *arguments, marked=False):
        """Started at once; it waits for `go`."""
        self._pipe, theirs = CONTEXT.Pipe()
        environment = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
        self._process = CONTEXT.Process(target=_do, args=(theirs, environment, work, arguments, marked), daemon=True)
        self._process.start()
        theirs.close()
        self.marks = []  # (name, seconds) of what it told
        self._answer = None
        assert self._receive()[0] == "ready"

    def go(self):
        self._pipe.send("go")
        return self

    def wait_for(self, name):
        """Until it tells of `name`; False where it ended before."""
        while not any(told == name for told, _ in self.marks):
            if self._receive() is None:
                return False
        return True

    def kill(self):
        """Kill it wherever it is; returns the last that it told ("" for nothing), None where it had ended by itself."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.join()
        while self._receive() is not None:
            pass
        assert self._process.exitcode in (0, -signal.SIGKILL)
        if self._process.exitcode == 0 or self._answer is not None:
            return None
        return self.marks[-1][0] if self.marks else ""

    def answer(self):
        """What it returned; fails with the trace where it raised."""
        while self._answer is None:
            assert self._receive() is not None, f"it ended without an answer: {self._process.exitcode}"
        self._process.join()
        returned, error = self._answer
        assert error is None, error
        return returned

    def _receive(self):
        """The next that it tells, None where it has ended."""
        with suppress(EOFError, ConnectionError):
            kind, content = self._pipe.recv()
            if kind == "mark":
                self.marks.append(content)
            if kind == "answer":
                self._answer = content
            return kind, content
        return None


def _do(pipe, environment, work, arguments, marked):
    os.setpgrp()
    os.environ.update(environment)
    pipe.send(("ready", None))
    pipe.recv()
    more = {"mark": lambda name: pipe.send(("mark", (name, time.monotonic())))} if marked else {}
    try:
        answer = (work(*arguments, **more), None)
    except Exception:  # noqa: BLE001 - the parent fails with it
        answer = (None, traceback.format_exc())
    pipe.send(("answer", answer))
