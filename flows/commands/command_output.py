"""The outcome of the command line: one document for a machine or lines for a person, and an exit status.

A command returns its CommandOutput; only here is it printed, so that with --json one document is all that stdout gets.
Until here an answer is of its type; JSON is made of it where it is written.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn, TextIO, TypeVar

import typer

from ctr_retrain.models.error_origins import is_machine_fault, is_stop
from ctr_retrain.models.errors import Answer, CtrRetrainError, StorageError
from ctr_retrain.models.outside_text import json_text, shown
from ctr_retrain.tasks.execution.shown_logs import note_traceback

STOPPED = 130  # the shell's exit status of what Ctrl-C ended
AGAIN_SECONDS = 0.01  # after which a stop that Python dropped is raised again
VALUED = ("--recipe", "--root", "--landing")  # global options that take a value
VALUED_WITH_EQUALS = tuple(f"{option}=" for option in VALUED)

Shown = TypeVar("Shown", bound=Answer)


@dataclass(frozen=True)
class CommandOutput:
    """The output of a command."""

    answer: Answer  # for a machine: what --json prints
    show: Callable[[], None]  # prints the same for a person
    failure: CtrRetrainError | None = None  # raised once a person has seen the answer that tells of it

    @classmethod
    def of(cls, answer: Shown, show: Callable[[Shown], None], failure: CtrRetrainError | None = None) -> CommandOutput:
        """Put an answer together with the function that prints its kind for a person."""
        return cls(answer, partial(show, answer), failure)


class EarlyOutput(Exception):  # noqa: N818 - an ending, not an error
    """Ends the command line before it comes to a command, as --version does, which Typer handles as an option."""

    def __init__(self, output: CommandOutput) -> None:
        """Carry the output to where it is printed."""
        super().__init__()
        self.output = output


def run(app: typer.Typer, arguments: Sequence[str]) -> NoReturn:
    """Run the command line and exit; with --json, one document is all that stdout gets, whatever happens."""
    given = _globals_first(arguments)
    # Libraries print to stdout as they like. With --json that would stand amid the document, so all but the document
    # goes to stderr.
    out = sys.stdout if "--json" in given else None
    _stop_on_sigterm()
    try:
        with contextlib.redirect_stdout(sys.stderr) if out else contextlib.nullcontext():
            returned = _run_command(app, given)
            if isinstance(returned, CommandOutput):
                _tell(returned, out)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - whatever it is, one JSON document
        _end_by(error, out)
    if returned == STOPPED:  # what Typer makes of Ctrl-C
        _stop(out)
    sys.exit(returned if isinstance(returned, int) else 0)


def _end_by(error: BaseException, out: TextIO | None) -> NoReturn:
    """End the command by an error: say it in one line, and exit with its status."""
    if isinstance(error, typer.Abort) or is_stop(error):
        _stop(out)
    if isinstance(error, CtrRetrainError):
        sys.stderr.write(f"{type(error).__name__}: {shown(str(error))}{_traceback_of(error)}\n")
        _fail(error, str(error), error.exit_code, out, error.document, error.details)
    if isinstance(error, typer.TyperException):
        message = error.format_message()
        told = message if message.startswith("Usage:") else f"Error: {message.rstrip('.')}. Try --help."
        sys.stderr.write(shown(told, lines=True) + "\n")
        _fail(error, message, error.exit_code, out)
    if is_machine_fault(error):
        _fail_of_machine(error, out)
    _fail_of_bug(error, out)


def _traceback_of(error: CtrRetrainError) -> str:
    """Say where the traceback of a failed service or machine is, whose libraries know more than one sentence says."""
    # An error of use or of the data says all that there is to say, and its traceback leads nowhere but into our code.
    if error.exit_code != StorageError.exit_code or error.__cause__ is None:
        return ""
    file = note_traceback(error)
    return f" Its traceback is in {file}." if file else ""


def _fail_of_bug(error: BaseException, out: TextIO | None) -> NoReturn:
    """End by an error that nobody foresaw: one line that says where its traceback is, or else the traceback."""
    # A disk that is full, or a folder that may not be written, must not swallow the only trace of a bug.
    file = note_traceback(error)
    if file:
        first = (str(error).splitlines() or [""])[0].rstrip(".")
        told = f"{type(error).__name__}: {first}. Nobody foresaw this: please report it, with the traceback in {file}."
        sys.stderr.write(shown(told) + "\n")
    else:
        sys.stderr.write(shown(traceback.format_exc(), lines=True))
    _fail(error, str(error), 1, out)


def _stop_on_sigterm() -> None:
    """Let SIGTERM end a command as Ctrl-C does, with its processes and files aside; a second one kills it."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _raise_stop)
        sys.unraisablehook = _stop_again


def _raise_stop(*_: object) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    raise KeyboardInterrupt


def _stop_again(ignored: sys.UnraisableHookArgs) -> None:
    """Raise a stop again that came upon a destructor or a callback of the garbage collector, where Python drops it."""
    if isinstance(ignored.exc_value, KeyboardInterrupt):
        signal.signal(signal.SIGTERM, _raise_stop)
        # A moment later, since here it would be dropped once more.
        main = threading.main_thread().ident
        threading.Timer(AGAIN_SECONDS, signal.pthread_kill, (main, signal.SIGTERM)).start()
    else:
        sys.__unraisablehook__(ignored)


def _run_command(app: typer.Typer, arguments: list[str]) -> object:
    """Return the command's output, or the exit status of what Typer did instead, such as printing help."""
    try:
        return app(arguments, prog_name="ctr-retrain", standalone_mode=False)
    except EarlyOutput as early:
        return early.output


def _tell(output: CommandOutput, out: TextIO | None) -> None:
    """Print the output for a person, or as JSON to `out`; raise its failure, which holds the answer too."""
    if out is None:
        output.show()
    if output.failure:
        raise output.failure
    if out:
        _write_json(out, output.answer.to_json())


def _globals_first(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with the global options before the command, wherever they stood."""
    # Typer takes them before the command only, where few people write them.
    first: list[str] = []
    rest: list[str] = []
    remaining = iter(arguments)
    for argument in remaining:
        if argument == "--":  # behind it all are values, whatever they look like
            rest += [argument, *remaining]
        elif argument == "--json" or argument.startswith(VALUED_WITH_EQUALS):
            first.append(argument)
        elif argument in VALUED:
            value = next(remaining, None)
            first += [argument] if value is None else [argument, value]
        else:
            rest.append(argument)
    return first + rest


def _stop(out: TextIO | None) -> NoReturn:
    # Where the stop came upon an `exec`, as dataclasses do, `python -m` would end by SIGINT whatever the exit status:
    # Python notes of each whether it was interrupted.
    exec("")  # noqa: S102
    sys.stderr.write("stopped\n")
    _fail(KeyboardInterrupt(), "stopped", STOPPED, out)


def _fail_of_machine(error: BaseException, out: TextIO | None) -> NoReturn:
    """End by an error of the machine that no stage foresaw: one line, and the exit status of storage."""
    first = (str(error).splitlines() or [""])[0]
    told = StorageError(
        f"the machine: expected room, memory and rights for all of it, received {type(error).__name__}: {first}. "
        "Nothing half-made is visible: mend it and run again."
    )
    told.__cause__ = error
    sys.stderr.write(f"{type(told).__name__}: {shown(str(told))}{_traceback_of(told)}\n")
    _fail(told, str(told), told.exit_code, out)


def _fail(
    error: BaseException,
    message: str,
    exit_code: int,
    out: TextIO | None,
    document: Answer | None = None,
    details: dict[str, Any] | None = None,
) -> NoReturn:
    if out:
        failure = {
            "type": type(error).__name__,
            "message": shown(message, lines=True),
            "exit_code": exit_code,
            **(details or {}),
        }
        _write_json(out, {**(document.to_json() if document else {}), "error": failure})
    sys.exit(exit_code)


def _write_json(out: TextIO, document: dict[str, Any]) -> None:
    out.write(json_text(document) + "\n")
    out.flush()
