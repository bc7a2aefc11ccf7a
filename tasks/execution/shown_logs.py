"""Logs whose lines are fit to be read: whatever a message was put together from passes `shown` in this one place."""

from __future__ import annotations

import logging
import traceback
from typing import Any

from ctr_retrain.models.outside_text import shown


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
