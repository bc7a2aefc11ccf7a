"""What a command answers: a document for a machine or words for a person, and an exit status; also where it fails."""

from __future__ import annotations

import contextlib
import json
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TextIO

import typer

from ctr_retrain.models.errors import CtrRetrainError

STOPPED = 130  # the shell's exit status of what Ctrl-C ended
VALUED = ("--recipe", "--root", "--landing")  # global options that take a value
VALUED_WITH_EQUALS = tuple(f"{option}=" for option in VALUED)


class _Answer:
    """Of the command that runs: whether its document was asked for, and the document."""

    as_json: bool = False
    document: dict[str, Any] | None = None


def answer(
    document: dict[str, Any], show: Callable[[dict[str, Any]], None], failure: CtrRetrainError | None = None
) -> None:
    """Keep the document for --json, or show it to a person; then fail where what it says is a failure."""
    _Answer.document = document
    if not _Answer.as_json:
        show(document)
    if failure:
        raise failure


def run(app: typer.Typer, arguments: Sequence[str]) -> NoReturn:
    """Run the command line and exit; with --json, one document is all that stdout gets, whatever happens."""
    given = _globals_first(arguments)
    _Answer.as_json, _Answer.document = "--json" in given, None
    out = sys.stdout if _Answer.as_json else None
    try:
        with contextlib.redirect_stdout(sys.stderr) if out else contextlib.nullcontext():
            status = app(given, prog_name="ctr-retrain", standalone_mode=False) or 0
    except CtrRetrainError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        details = dict(error.details)
        _fail(error, str(error), error.exit_code, out, details.pop("document", {}), details)
    except typer.TyperException as error:
        message = error.format_message()
        sys.stderr.write(
            message + "\n" if message.startswith("Usage:") else f"Error: {message.rstrip('.')}. Try --help.\n"
        )
        _fail(error, message, error.exit_code, out)
    except (typer.Abort, KeyboardInterrupt) as error:
        _stop(error, out)
    except Exception as error:  # noqa: BLE001 - a bug: shown whole, and still one JSON document
        traceback.print_exc()
        _fail(error, str(error), 1, out)
    if status == STOPPED:  # what Typer makes of Ctrl-C
        _stop(KeyboardInterrupt(), out)
    if out and _Answer.document is not None:
        _write_json(out, _Answer.document)
    sys.exit(status)


def _globals_first(arguments: Sequence[str]) -> list[str]:
    """The arguments with the global options before the command, wherever they stood."""
    first: list[str] = []
    rest: list[str] = []
    remaining = iter(arguments)
    for argument in remaining:
        if argument == "--":
            rest += [argument, *remaining]
        elif argument == "--json" or argument.startswith(VALUED_WITH_EQUALS):
            first.append(argument)
        elif argument in VALUED:
            value = next(remaining, None)
            first += [argument] if value is None else [argument, value]
        else:
            rest.append(argument)
    return first + rest


def _stop(error: BaseException, out: TextIO | None) -> NoReturn:
    sys.stderr.write("stopped\n")
    _fail(error, "stopped", STOPPED, out)


def _fail(
    error: BaseException,
    message: str,
    exit_code: int,
    out: TextIO | None,
    document: dict[str, Any] | None = None,
    details: dict[str, Any] | None = None,
) -> NoReturn:
    if out:
        failure = {"type": type(error).__name__, "message": message, "exit_code": exit_code, **(details or {})}
        _write_json(out, {**(document or {}), "error": failure})
    sys.exit(exit_code)


def _write_json(out: TextIO, document: dict[str, Any]) -> None:
    out.write(json.dumps(document, indent=1, default=str) + "\n")
    out.flush()
