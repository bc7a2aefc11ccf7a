"""Logs whose lines are fit to be read, and the log file of this machine.

Whatever a message was put together from passes `shown` in this one place. The file has the story of each night, and the
tracebacks that people needn't see: one a month, to which every process appends; the oldest go.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctr_retrain.models.outside_text import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = "CTR_RETRAIN_LOG_FOLDER"
DEFAULT_FOLDER = "var/log"
MONTHS = 12  # that are kept
OURS = "ctr_retrain"  # the logger above all of ours
NOTED = "_traceback_noted_in"  # of an error: the file, since a flow and the command that called it both name it
FORMAT = "%(asctime)s %(process)d %(levelname)s %(message)s"


class ShownRecord(logging.LogRecord):
    """A log record whose message, and the traceback beside it, can be written as they are."""

    def __init__(self, *given: Any, **named: Any) -> None:
        """Take what logging gives every record, and write the traceback, which formatters then leave as it is."""
        super().__init__(*given, **named)
        if isinstance(self.args, tuple):  # a value that holds line ends makes no lines of its own
            self.args = tuple(shown(value) if isinstance(value, str) else value for value in self.args)
        if self.exc_info and self.exc_info[0]:
            self.exc_text = shown("".join(traceback.format_exception(*self.exc_info)).rstrip("\n"), lines=True)

    def getMessage(self) -> str:  # noqa: N802 - logging's own name
        """Return the message, shown; its lines stay, since libraries write some on purpose."""
        return shown(super().getMessage(), lines=True)


def show_logs() -> None:
    """Make every log record of this process one that can be read."""
    logging.setLogRecordFactory(ShownRecord)


def log_file(now: datetime | None = None) -> Path:
    """Return this month's file; whoever writes it makes its folder."""
    # From the environment, not the settings: what fails may be that they can't be read.
    folder = Path(os.environ.get(FOLDER) or DEFAULT_FOLDER).expanduser().absolute()
    return folder / f"ctr-retrain-{now or datetime.now(UTC):%Y-%m}.log"


def note_traceback(error: BaseException) -> Path | None:
    """Append an error's traceback to the log file, once; return its path, None where it can't be written."""
    noted: Path | None = getattr(error, NOTED, None)
    if noted:
        return noted
    lines = shown("".join(traceback.format_exception(error)), lines=True)
    command = shown(" ".join(sys.argv))
    file = log_file()
    try:
        _make_folder(file)
        with file.open("a", encoding="utf-8") as log:
            log.write(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {os.getpid()} TRACEBACK {command}\n{lines}")
    except OSError:
        return None
    setattr(error, NOTED, file)
    return file


@contextmanager
def logged_to_file() -> Iterator[None]:
    """Write what our modules log, from INFO on, to the log file too while this lasts; a full disk costs no run."""
    logger = logging.getLogger(OURS)
    try:
        file = log_file()
        _make_folder(file)
        handler = _Silent(file, encoding="utf-8")
    except OSError as error:
        logger.warning("the log file %s can't be written: %s", log_file(), error.strerror or error)
        yield
        return
    handler.setFormatter(logging.Formatter(FORMAT))
    level = logger.level
    handlers: list[logging.Handler] = [handler]
    if logging.lastResort and not logging.getLogger().handlers:
        handlers.append(logging.lastResort)  # shows warnings where nothing was set up, and only there: now something is
    for one in handlers:
        logger.addHandler(one)
    logger.setLevel(min(level or logging.INFO, logging.INFO))
    try:
        yield
    finally:
        for one in handlers:
            logger.removeHandler(one)
        logger.setLevel(level)
        handler.close()


class _Silent(logging.FileHandler):
    """A file handler that says nothing of what it can't write."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        """Leave the record out: the same stands on stderr, and a disk that is full is told by the run."""


def _make_folder(file: Path) -> None:
    """Make the folder, and remove the files of months that are long past."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        for old in sorted(file.parent.glob("ctr-retrain-*.log"))[: -(MONTHS - 1)]:
            with suppress(OSError):
                old.unlink()
