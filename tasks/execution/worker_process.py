"""A process that works for this one: requests go to its stdin, and lines of JSON come back by its stdout.

Its lines tell logs, progress, answers and that it lives. One that dies, or gives no sign of life for minutes, is a
ProcessDiedError with its last words. It ends as soon as this process does.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import signal
import subprocess
import sys
from collections import deque
from queue import Empty, SimpleQueue
from threading import Thread
from typing import IO, TYPE_CHECKING, Any

from ctr_retrain.models.errors import ProcessDiedError
from ctr_retrain.tasks.execution.progress import Report, progress_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

log = logging.getLogger(__name__)

SECONDS_TO_END = 10
SECONDS_BETWEEN_SIGNS = 5  # of life, which the process gives whatever it works on
MOST_SIGNS_MISSED = 60  # then it is killed; one C function of a library can keep all others waiting that long
LAST_WORDS = 20  # lines of stderr
IMPORTED = "all modules imported"  # a line of stderr: what comes before it is of no interest unless it is the last
_NEWS = re.compile(r"[IW]\d{4} ")  # what TensorFlow's C++ tells though nothing is wrong


class WorkerProcess:
    """A process that was started, by the pipes to it."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], where: str = "", *, silent: bool = False
    ) -> None:
        """Start it.

        where: added to what messages say of it, such as " on HOST". silent: neither its progress nor what it logs is
        shown, since those of another one are.
        """
        self._where, self._silent = where, silent
        self._words: deque[str] = deque(maxlen=LAST_WORDS)
        self._process = subprocess.Popen(  # noqa: S603 - our own module, perhaps on another machine
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is the flow's to hear
        )
        self._said: SimpleQueue[str] = SimpleQueue()  # lines of stdout, and an empty one at its end
        self._listeners = [
            Thread(target=self._listen, args=(self._process.stderr,), daemon=True),
            Thread(target=self._take_down, args=(self._process.stdout,), daemon=True),
        ]
        self._sender: Thread | None = None
        for listener in self._listeners:
            listener.start()

    def ask(self, request: str, stage: str) -> dict[str, Any]:
        """Send a line, show logs and progress, and return the line that answers.

        stage: what it works on, for messages. Raises ProcessDiedError where it ends or gives no sign of life.
        """
        # Not from this thread: who is stopped reads nothing, and is to be noticed by that.
        self._sender = Thread(target=self._send, args=(request,), daemon=True)
        self._sender.start()
        last = None
        with contextlib.ExitStack() as shown:
            reports: dict[str, Report] = {}
            while line := self._next_line((last["what"] if last else stage) + self._where):
                said: dict[str, Any] = json.loads(line)
                if "answered" in said:
                    return said
                if "done" in said:
                    last = said
                if not self._silent:
                    _show(said, reports, shown)
        raise self._died(stage, last)

    def end(self) -> None:
        """Let it end, and kill it where it doesn't."""
        if self._sender and self._sender.is_alive():  # it reads nothing, and until then the pipe can't be closed
            self._process.kill()
            self._sender.join()
        with contextlib.suppress(BrokenPipeError):
            assert self._process.stdin is not None
            self._process.stdin.close()
        try:
            self._process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for listener in self._listeners:
            listener.join(SECONDS_TO_END)
        for pipe in (self._process.stdout, self._process.stderr):
            assert pipe is not None
            pipe.close()

    def _send(self, request: str) -> None:
        """Write a line; whoever has died reads none."""
        with contextlib.suppress(BrokenPipeError, ValueError):
            print(request, file=self._process.stdin, flush=True)

    def _next_line(self, stage: str) -> str:
        """Return what it says next, an empty text at its end; raises ProcessDiedError where it gives no sign of life.

        Counted are signs, not seconds: of all that was missed while this process was stopped, one is.
        """
        for missed in range(1, MOST_SIGNS_MISSED + 1):
            with contextlib.suppress(Empty):
                line = self._said.get(timeout=SECONDS_BETWEEN_SIGNS + 1)
                if not line:
                    self._said.put("")  # for whoever asks once more
                return line
            if missed == MOST_SIGNS_MISSED // 5:
                log.warning("%s: waiting for its process, which has given no sign of life for a minute", stage)
        self._process.kill()
        limit = MOST_SIGNS_MISSED * (SECONDS_BETWEEN_SIGNS + 1)
        msg = (
            f"{stage}: expected a sign of life from its process, received none in {limit} s, and killed it. Most often "
            "somebody stopped it (SIGSTOP), or a disk or a driver hangs. Run again: training goes on from its last "
            "checkpoint, where there is one."
        )
        raise ProcessDiedError(msg)

    def _take_down(self, stdout: IO[str]) -> None:
        """Take down what it says, line by line."""
        for line in stdout:
            self._said.put(line)
        self._said.put("")

    def _listen(self, stderr: IO[str]) -> None:
        """Pass on what it writes to stderr; what TensorFlow says on import counts only as last words."""
        imported = False
        for line in stderr:
            if line.rstrip("\n") == IMPORTED:
                imported = True
                continue
            self._words.append(line.rstrip())
            if imported:
                sys.stderr.write(line)

    def _died(self, stage: str, last: dict[str, Any] | None) -> ProcessDiedError:
        status = self._process.wait()
        self._listeners[0].join(SECONDS_TO_END)
        words = next((line for line in reversed(self._words) if line.strip() and not _NEWS.match(line)), "none")
        where = "before its first progress"
        if last:
            where = f"after {last['done']:,} of {last['of']:,} {last['unit']}, at {last['peak_mb']:,} MB at most"
        stage = (last["what"] if last else stage) + self._where
        how, advice = _explained(status)
        msg = (
            f"{stage}: expected its process to answer, received {how} {where}. {advice} Its last words: {words}. Run "
            "again: training goes on from its last checkpoint, where there is one."
        )
        progress = {key: last[key] for key in ("done", "of", "unit", "peak_mb")} if last else None
        return ProcessDiedError(msg, status=status, progress=progress)


def _show(said: Mapping[str, Any], reports: dict[str, Report], shown: contextlib.ExitStack) -> None:
    """Show a line of a log, or progress, of which `reports` has what has begun."""
    if "log" in said:
        name, level, text = said["log"]
        logging.getLogger(name).log(level, "%s", text)
    elif "begun" in said:
        reports[said["begun"]] = shown.enter_context(progress_of(said["begun"], said["unit"]))
    elif "done" in said:
        reports[said["what"]](said["done"], said["of"])


def words_of(function: str) -> str:
    """Write a function's name as words."""
    return function.strip("_").replace("_", " ")


def _explained(status: int) -> tuple[str, str]:
    """Explain how a process ended and what to do about it."""
    if status == -signal.SIGKILL:
        return "SIGKILL", (
            "Nearly always the kernel was out of memory and killed it (`dmesg` names what it killed): give the machine "
            "or the container more, or set the features' buckets, lower training.embedding_dim or training.batch_rows."
        )
    if status < 0:
        return signal.Signals(-status).name, (
            "TensorFlow or a driver crashed: compare versions with requirements.lock; where a GPU is at fault, set "
            "CTR_RETRAIN_DEVICE=cpu."
        )
    return f"exit status {status}", "Its last words say why."
