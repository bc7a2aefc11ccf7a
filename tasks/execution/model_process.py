"""The process in which models are trained and scored: one of its own, which alone imports TensorFlow, or the flow's.

The own process starts when a run begins, so that TensorFlow is imported while other stages work, and ends with the
run: its memory is given back. What kills it doesn't kill the flow, which gets a ProcessDiedError instead. It ends as
soon as the flow's process does. Functions, arguments and results go through pickled files, logs and progress through a
pipe. A function is pickled by its name: its module is imported in both processes, so it imports TensorFlow in its body.
"""

from __future__ import annotations

import contextlib
import json
import logging
import pickle
import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import IO, Any, Concatenate, Literal, ParamSpec, Protocol, TypeVar

from ctr_retrain.models.errors import ProcessDiedError
from ctr_retrain.tasks.execution.fresh_interpreter import module_command, module_environment
from ctr_retrain.tasks.execution.import_tensorflow import import_tensorflow
from ctr_retrain.tasks.execution.progress import Report, progress_of

log = logging.getLogger(__name__)

# Imported while the flow's other stages work: TensorFlow, Keras and all of ours that needs them, a third of the time.
PRELOADED = ("ctr_retrain.tasks.train.fit_challenger",)
SECONDS_TO_END = 10
SECONDS_BETWEEN_SIGNS = 5  # of life, which the process gives whatever it works on
MOST_SIGNS_MISSED = 60  # then it is killed; one C function of a library can keep all others waiting that long
LAST_WORDS = 20  # lines of stderr
IMPORTED = "all modules imported"  # a line of stderr: what comes before it is of no interest unless it is the last

ProgressOf = Callable[[str, str], contextlib.AbstractContextManager[Report]]  # what and unit, as `progress_of` has them
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Compute:
    """On what to train, in which process, and where fits under way keep their checkpoints."""

    device: Literal["auto", "cpu", "gpu"]
    process: Literal["own", "flow"]
    checkpoints: Path


class Models(Protocol):
    """The process in which models are trained and scored."""

    compute: Compute

    def call(
        self,
        work: Callable[Concatenate[ProgressOf, Parameters], Result],
        *arguments: Parameters.args,
        **named: Parameters.kwargs,
    ) -> Result:
        """Return what a module's function returns, given a way to report progress and the arguments.

        Raises what the function raises, ProcessDiedError where the process ended without an answer.
        """


@contextlib.contextmanager
def models_on(compute: Compute, preload: tuple[str, ...] = PRELOADED) -> Iterator[Models]:
    """Train and score as `compute` says while this lasts."""
    if compute.process == "flow":
        import_tensorflow()
        yield _InFlow(compute)
        return
    with tempfile.TemporaryDirectory() as folder:
        process = _OwnProcess(compute, Path(folder), preload)
        try:
            yield process
        finally:
            process.end()


class _InFlow:
    def __init__(self, compute: Compute) -> None:
        self.compute = compute

    def call(
        self,
        work: Callable[Concatenate[ProgressOf, Parameters], Result],
        *arguments: Parameters.args,
        **named: Parameters.kwargs,
    ) -> Result:
        return work(progress_of, *arguments, **named)


class _OwnProcess:
    """The flow's side of the pipe."""

    def __init__(self, compute: Compute, folder: Path, preload: tuple[str, ...]) -> None:
        self.compute = compute
        self._folder = folder
        self._words: deque[str] = deque(maxlen=LAST_WORDS)
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            module_command("ctr_retrain.tasks.execution.model_worker", str(folder), *preload),
            env={**module_environment(), "TMPDIR": str(folder)},  # TensorFlow leaves code there that it generates
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
        for listener in self._listeners:
            listener.start()

    def call(
        self,
        work: Callable[Concatenate[ProgressOf, Parameters], Result],
        *arguments: Parameters.args,
        **named: Parameters.kwargs,
    ) -> Result:
        request, answer = self._folder / "request", self._folder / "answer"
        request.write_bytes(pickle.dumps((work, arguments, named)))
        with contextlib.suppress(BrokenPipeError), contextlib.ExitStack() as shown:
            assert self._process.stdin is not None
            print(request, answer, sep="\t", file=self._process.stdin, flush=True)
            last = self._follow(shown, work.__name__)
            if answer.exists():
                failed, content = pickle.loads(answer.read_bytes())  # noqa: S301 - written by our own process
                answer.unlink()
                if failed:
                    raise content
                result: Result = content
                return result
            raise self._died(work.__name__, last)
        raise self._died(work.__name__, None)

    def end(self) -> None:
        """Let it end: nothing of it outlives the run."""
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

    def _follow(self, shown: contextlib.ExitStack, name: str) -> dict[str, Any] | None:
        """Show logs and progress until there is an answer, or nobody to give one; returns the last progress."""
        reports: dict[str, Report] = {}
        last = None
        while line := self._next_line(last["what"] if last else _words_of(name)):
            said = json.loads(line)
            if "answered" in said:
                break
            if "log" in said:
                name, level, text = said["log"]
                logging.getLogger(name).log(level, "%s", text)
            elif "begun" in said:
                reports[said["begun"]] = shown.enter_context(progress_of(said["begun"], said["unit"]))
            elif "done" in said:
                last = said
                reports[said["what"]](said["done"], said["of"])
        return last

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

    def _died(self, name: str, last: dict[str, Any] | None) -> ProcessDiedError:
        status = self._process.wait()
        self._listeners[0].join(SECONDS_TO_END)
        words = next((line for line in reversed(self._words) if line.strip()), "none")
        where = "before its first progress"
        if last:
            where = f"after {last['done']:,} of {last['of']:,} {last['unit']}, at {last['peak_mb']:,} MB at most"
        stage = last["what"] if last else _words_of(name)
        how, advice = _explained(status)
        msg = (
            f"{stage}: expected its process to answer, received {how} {where}. {advice} Its last words: {words}. Run "
            "again: training goes on from its last checkpoint, where there is one."
        )
        progress = {key: last[key] for key in ("done", "of", "unit", "peak_mb")} if last else None
        return ProcessDiedError(msg, status=status, progress=progress)


def _words_of(function: str) -> str:
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
