"""Prefect's records of a run: its flows and tasks on the server that is named.

A record is never worth the run. What was done counts, whether or not Prefect could note it; and once the server is
gone, the rest is done without it.
"""

from __future__ import annotations

import functools
import logging
from contextvars import ContextVar
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

from prefect import Flow, task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger
from prefect.states import Completed, Failed

from ctr_retrain.models.errors import CtrRetrainError, LeftOutError
from ctr_retrain.models.outside_text import shown
from ctr_retrain.tasks.execution.shown_logs import note_traceback

if TYPE_CHECKING:
    from collections.abc import Callable

    from prefect.client.schemas.objects import State


log = logging.getLogger(__name__)

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


@dataclass
class _Ending(Generic[Result]):
    """The outcome of a function that Prefect called, whatever became of Prefect."""

    result: Result | None = None  # what it returned
    error: BaseException | None = None  # what it raised
    began: bool = False  # was it called at all
    fails: bool = False  # is what it returned a failure, by which its flow run ends


_ending: ContextVar[_Ending[Any] | None] = ContextVar("ending", default=None)
_gone = Event()  # the server, for the rest of this process


class RecordedFlow(Flow[Parameters, Result]):
    """A flow of Prefect's whose call ends as its function did, and whose failure is one sentence on Prefect's pages.

    failure: of an answer that tells of failures, the error by which the flow run ends; its caller gets the answer.
    """

    def __init__(
        self,
        fn: Callable[Parameters, Result],
        failure: Callable[[Any], CtrRetrainError | None] | None = None,
        **options: Any,
    ) -> None:
        """Take what Prefect's own flow takes, too."""
        super().__init__(fn, **options)
        self.plain = fn
        self.fn = _ended_in_words(noted(fn), failure)

    def __call__(self, *given: Parameters.args, **named: Parameters.kwargs) -> Result:  # type: ignore[override]
        """Call the function as a flow run, or as it is once the server is gone."""
        return followed(super().__call__, self.plain)(*given, **named)


def _ended_in_words(
    function: Callable[Parameters, Result], failure: Callable[[Any], CtrRetrainError | None] | None
) -> Callable[Parameters, Result]:
    """Let a flow run that fails end in a state whose words say why; Prefect would log a traceback and say less."""

    @functools.wraps(function)
    def call(*given: Parameters.args, **named: Parameters.kwargs) -> Result:
        try:
            result = function(*given, **named)
            error = failure(result) if failure else None
            return _told_failure(error) if error else result  # type: ignore[return-value] # Prefect takes states
        except LeftOutError as error:
            return Completed(name="Left out", message=str(error))  # type: ignore[return-value] # Prefect takes states
        except Exception as error:
            if (words := _words_of(error)) is None:
                raise
            return _failed(words)  # type: ignore[return-value]

    return call


def _told_failure(error: CtrRetrainError) -> State[Any]:
    """End a flow run by a failure that its answer tells of."""
    if ending := _ending.get():
        ending.fails = True
    return _failed(shown(f"{type(error).__name__}: {error}"))


def _failed(words: str) -> State[Any]:
    """End a flow run by a failure, in words that stand in its log too."""
    # By the run's own logger, which the command line silences: there the command says it.
    get_run_logger().error("%s", words)
    return Failed(message=words)


def _words_of(error: Exception) -> str | None:
    """Say in a sentence what failed and where its traceback is; None where the traceback could not be written."""
    file = note_traceback(error)
    if file is None and not isinstance(error, CtrRetrainError):
        return None
    where = f" Its traceback is in {file}." if file else ""
    sentence = " ".join(str(error).split()).rstrip(".")
    return f"{type(error).__name__}: {shown(sentence)}.{where}"


def recorded_task(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Make a function a task of Prefect's whose call ends as the function did."""
    # Stages find by digests of their inputs what was made before. Prefect's cache would know a store by its pickle
    # only, and keep results that `gc` has removed from it.
    return followed(task(cache_policy=NO_CACHE)(noted(function)), function)


def noted(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Note what becomes of the function for the call that waits behind Prefect."""

    # Prefect pickles functions by value for other processes: these hold nothing but names of this module.
    @functools.wraps(function)
    def call(*given: Parameters.args, **named: Parameters.kwargs) -> Result:
        return _note(function, *given, **named)

    return call


def _note(function: Callable[Parameters, Result], *given: Parameters.args, **named: Parameters.kwargs) -> Result:
    ending = _ending.get() or _Ending[Result]()
    ending.began = True
    try:
        ending.result = function(*given, **named)
    except BaseException as error:
        ending.error = error
        raise
    return ending.result


def followed(
    recorded: Callable[Parameters, Result], plain: Callable[Parameters, Result]
) -> Callable[Parameters, Result]:
    """Return a function that calls by Prefect and ends as the plain function did."""

    @functools.wraps(plain)
    def call(*given: Parameters.args, **named: Parameters.kwargs) -> Result:
        return _follow(recorded, plain, *given, **named)

    return call


def _follow(
    recorded: Callable[Parameters, Result],
    plain: Callable[Parameters, Result],
    *given: Parameters.args,
    **named: Parameters.kwargs,
) -> Result:
    if _gone.is_set():
        return plain(*given, **named)
    ending = _Ending[Result]()
    token = _ending.set(ending)
    result, failure = None, None
    try:
        result = recorded(*given, **named)
    except CtrRetrainError:
        raise
    except Exception as error:  # noqa: BLE001 - the function's own, or whatever Prefect and its client raise
        failure = error
    finally:
        _ending.reset(token)
    # Outside the handler: an error of ours keeps the cause and the context that it came with.
    if ending.error is not None:
        raise ending.error
    if failure is None or ending.fails:
        return ending.result if ending.fails else result  # type: ignore[return-value]
    _say_gone(failure)
    return ending.result if ending.began else plain(*given, **named)  # type: ignore[return-value]


def _say_gone(error: Exception) -> None:
    if not _gone.is_set():
        _gone.set()
        log.warning(
            "Prefect server: expected it to record this run to its end, received %s. The run goes on without it.",
            type(error).__name__,
        )
