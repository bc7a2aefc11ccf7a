"""Prefect's runner, which starts what is due, and which outlives a server that is away for a while."""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, Any, Self

import httpx
from prefect.runner import Runner

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)
# It tells by tracebacks that it asks for cancelled runs in another way while the server is away.
logging.getLogger("prefect.FlowRunCancellingObserver").setLevel(logging.CRITICAL)


class PatientRunner(Runner):
    """A runner that asks a server which doesn't answer again, for as long as it takes.

    Prefect's own gives up after three questions, half a minute, and ends the runs under way with it.
    """

    async def __aenter__(self) -> Self:
        """Start the runner."""
        await super().__aenter__()
        poller: Any = self._scheduled_run_poller  # a part of its own, which nobody outside is given
        poller._get_and_submit_flow_runs = _patient(poller._get_and_submit_flow_runs)  # noqa: SLF001
        return self


def _patient(ask: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """Make a question to the server one that may go without an answer; the next one comes in some seconds."""

    @functools.wraps(ask)
    async def look(*given: Any, **named: Any) -> None:
        try:
            await ask(*given, **named)
        except httpx.HTTPError as error:
            log.info("Prefect server: no answer to what is due: %s", error or type(error).__name__)

    return look
