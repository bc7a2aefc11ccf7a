"""The process in which models are trained and scored: one of its own, which alone imports TensorFlow, or the flow's.

The own process starts when a run begins, so that TensorFlow is imported while other stages work, and ends with the
run: its memory is given back. What kills it doesn't kill the flow, which gets a ProcessDiedError instead. It ends as
soon as the flow's process does. Functions, arguments and results go through pickled files, logs and progress through a
pipe. A function is pickled by its name: its module is imported in both processes, so it imports TensorFlow in its body.
"""

from __future__ import annotations

import contextlib
import pickle
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Concatenate, Literal, ParamSpec, Protocol, TypeVar

from ctr_retrain.tasks.execution.fresh_interpreter import module_command, module_environment
from ctr_retrain.tasks.execution.import_tensorflow import import_tensorflow
from ctr_retrain.tasks.execution.progress import Report, progress_of
from ctr_retrain.tasks.execution.worker_process import WorkerProcess, words_of

# Imported while the flow's other stages work: TensorFlow, Keras and all of ours that needs them, a third of the time.
PRELOADED = ("ctr_retrain.tasks.train.fit_challenger",)

ProgressOf = Callable[[str, str], contextlib.AbstractContextManager[Report]]  # what and unit, as `progress_of` has them
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Compute:
    """On what to train, in which process, where fits under way keep their checkpoints, and on which machines."""

    device: Literal["auto", "cpu", "gpu"]
    process: Literal["own", "flow"]
    checkpoints: Path
    workers: tuple[str, ...] = ()  # HOST:PORT of each machine that trains, this one first; empty: this one alone
    worker_command: str = ""  # starts a command on another of them; {host} stands for its name


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
        import_tensorflow()  # only now: a run that trains nothing does without
        return work(progress_of, *arguments, **named)


class _OwnProcess:
    """The flow's side of the pipe."""

    def __init__(self, compute: Compute, folder: Path, preload: tuple[str, ...]) -> None:
        self.compute = compute
        self._folder = folder
        command = module_command("ctr_retrain.tasks.execution.model_worker", str(folder), *preload)
        # TensorFlow leaves code that it generates among temporary files.
        self._worker = WorkerProcess(command, {**module_environment(), "TMPDIR": str(folder)})

    def call(
        self,
        work: Callable[Concatenate[ProgressOf, Parameters], Result],
        *arguments: Parameters.args,
        **named: Parameters.kwargs,
    ) -> Result:
        request, answer = self._folder / "request", self._folder / "answer"
        request.write_bytes(pickle.dumps((work, arguments, named)))
        self._worker.ask(f"{request}\t{answer}", words_of(work.__name__))
        failed, content = pickle.loads(answer.read_bytes())  # noqa: S301 - written by our own process
        answer.unlink()
        if failed:
            raise content
        result: Result = content
        return result

    def end(self) -> None:
        """Let it end: nothing of it outlives the run."""
        self._worker.end()
