"""The end of a process that told Prefect of its run: what is still to be sent gets some seconds, and no more.

Prefect sends events from a thread of its own, and a process waits at its end until all are sent. Where the server has
gone, each event is tried eleven times, with a second between two of them, or ten where nothing is answered: a run of
which all was published stayed for minutes.
"""

from __future__ import annotations

import logging
import time
from concurrent.futures import wait
from functools import cache
from typing import Any

from prefect._internal.concurrency.services import _QueueServiceBase

LAST_SECONDS = 5.0  # for all that a process still sends; to a server that answers it takes a fraction of one


def bound_last_sending() -> None:
    """Let what this process sends to Prefect from now on hold up its end for some seconds at most."""
    # Prefect has no setting for it. Each service hands this method of its to the interpreter, to be called at the end;
    # the threads that send are daemons, and what they have not sent by then ends with them.
    _QueueServiceBase._at_exit = _drain_for_seconds  # type: ignore[method-assign,assignment] # noqa: SLF001


def _drain_for_seconds(service: _QueueServiceBase[Any]) -> None:
    """Wait until a service has sent what is left, and not for ever."""
    sent = service._drain(at_exit=True)  # noqa: SLF001 - likewise
    wait([sent], timeout=max(0.0, _deadline() - time.monotonic()))
    if not sent.done():
        logging.getLogger("asyncio").disabled = True  # it would complain of each that is cut off


@cache
def _deadline() -> float:
    """Return when the last seconds are over, of which the first question is the beginning."""
    return time.monotonic() + LAST_SECONDS
