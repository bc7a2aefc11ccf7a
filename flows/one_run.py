"""One run at a time: a command or a flow that publishes holds its root for as long as it works."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ctr_retrain.models.outside_text import shown
from ctr_retrain.tasks.lease.hold_root import Patience, holding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctr_retrain.flows.settings import Settings


@contextmanager
def one_run(settings: Settings, command: str, *, wait: bool = False) -> Iterator[Settings]:
    """Hold the root while this lasts, and give settings whose store publishes by that right.

    What runs inside, such as the days of a backfill, goes by the same right. wait: for another run, as long as the
    settings say. Raises BusyError where another run has the root.
    """
    patience = Patience(settings.wait_minutes if wait else 0, say)
    with holding(settings.store, command, patience) as store:
        yield settings.model_copy(update={"store": store})


def say(words: str) -> None:
    """Tell whoever looks on, past all logs: a wait may take hours, and nothing else happens meanwhile."""
    sys.stderr.write(shown(words) + "\n")
    sys.stderr.flush()
