"""Arguments that several commands take, and what they are checked for."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from ctr_retrain.models.errors import UsageError

YEARS = range(1900, 3000)  # so that the calendar has every day that a run counts back or ahead to
DayOption = Annotated[
    str, typer.Option("--date", metavar="YYYY-MM-DD", help="The day; a run is for a day, never for today.")
]
WaitOption = Annotated[
    bool, typer.Option("--wait", help="Wait for another run that has the root, CTR_RETRAIN_WAIT_MINUTES at most.")
]
ReasonOption = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept in the history.")]


def parse_day(text: str, option: str = "--date") -> date:
    """Read a day as it was typed; raises UsageError, which names the option."""
    # A text that is no day and a day that no calendar of ours holds are one mistake, with one message.
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = date.min
    if day.year not in YEARS:
        msg = f"{option}: expected a day such as 2026-03-01, received {text!r}"
        raise UsageError(msg)
    return day


def require_file(path: Path, option: str) -> None:
    """Raise UsageError, which names the option, where there is no such file."""
    if not path.is_file():
        received = "a folder" if path.is_dir() else "none"
        msg = f"{option}: expected a file, received {received} at {path}. Check the path."
        raise UsageError(msg)


def require_words(reason: str) -> str:
    """Return the reason, which must say something: it is all that the history keeps of why. Raises UsageError."""
    if not reason.strip():
        msg = f"--reason: expected some words for the history, received {reason!r}"
        raise UsageError(msg)
    return reason
