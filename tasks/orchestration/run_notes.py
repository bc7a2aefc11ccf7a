"""Notes on a run, for whoever looks at it on Prefect's pages: its name, tags, words, tables, links, and how far it is.

Where no server is named, or no flow runs, they are left out. One that fails costs no run, and no further one is tried;
one that the server leaves unanswered is a sign that it hangs, and then Prefect asks it everything else once only.
"""

from __future__ import annotations

import functools
import logging
import re
from threading import Event
from typing import TYPE_CHECKING, ParamSpec
from uuid import UUID

from ctr_retrain.tasks.orchestration.prefect_server import named_server

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

log = logging.getLogger(__name__)

Parameters = ParamSpec("Parameters")

MOST_RETRIES = 2  # of a note's request; Prefect's usual 5, each of which waits for the time-out, are for states of runs

_failed = Event()  # for the rest of this process: a server that is gone would cost each note its time-out


def _note(function: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """Make a function of Prefect's a note: it does nothing where nobody would see it, and never fails."""

    @functools.wraps(function)
    def note(*given: Parameters.args, **named: Parameters.kwargs) -> None:
        if named_server() is None or _failed.is_set():
            return
        from httpx import TimeoutException  # noqa: PLC0415 - two seconds with Prefect, where a server is named
        from prefect.context import FlowRunContext  # noqa: PLC0415
        from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, get_current_settings, temporary_settings  # noqa: PLC0415

        if FlowRunContext.get() is None:
            return
        try:
            with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: MOST_RETRIES}):
                function(*given, **named)
        except Exception as error:  # noqa: BLE001 - whatever Prefect and its client raise
            _failed.set()
            if isinstance(error, TimeoutException):
                get_current_settings().client.max_retries = 0
            log.warning("Prefect server: a note on this run could not be made (%s); the run goes on.", error)

    return note


@_note
def name_run(name: str, **tags: object) -> None:
    """Name the flow run, and add tags such as recipe:demo to those that it has."""
    from prefect.client.orchestration import get_client  # noqa: PLC0415
    from prefect.context import FlowRunContext  # noqa: PLC0415

    context = FlowRunContext.get()
    run = context.flow_run if context else None
    if run is None:
        return
    run.tags = sorted({*run.tags, *(f"{kind}:{value}" for kind, value in tags.items())})
    with get_client(sync_client=True) as client:
        client.update_flow_run(run.id, name=name, tags=run.tags).raise_for_status()


@_note
def note_words(key: str, words: str, about: str) -> None:
    """Add words, in Markdown, to the flow run's artifacts."""
    from prefect.artifacts import create_markdown_artifact  # noqa: PLC0415

    create_markdown_artifact(words, key=_key(key), description=about)


@_note
def note_table(key: str, rows: Sequence[Mapping[str, str]], about: str) -> None:
    """Add a table to the flow run's artifacts: a mapping a row, whose keys are the columns."""
    from prefect.artifacts import create_table_artifact  # noqa: PLC0415

    create_table_artifact([dict(row) for row in rows], key=_key(key), description=about)


@_note
def note_link(key: str, address: str, about: str) -> None:
    """Add a link to the flow run's artifacts; a path on this machine is shown as it is, since no browser follows it."""
    from prefect.artifacts import create_link_artifact, create_markdown_artifact  # noqa: PLC0415

    if re.match(r"https?://", address):
        create_link_artifact(address, link_text=about, key=_key(key), description=about)
    else:
        create_markdown_artifact(f"{about}: `{address}`", key=_key(key), description=about)


class RunProgress:
    """Progress of a flow run, as an artifact that is changed with each stage that ends."""

    def __init__(self, key: str, about: str) -> None:
        """Begin at nothing."""
        self._id: UUID | None = None
        self._begin(key, about)

    @_note
    def _begin(self, key: str, about: str) -> None:
        from prefect.artifacts import create_progress_artifact  # noqa: PLC0415

        made = create_progress_artifact(0.0, key=_key(key), description=about)
        self._id = made if isinstance(made, UUID) else None

    @_note
    def tell(self, share: float, words: str) -> None:
        """Say how much of the run is done, from 0 to 1, and what was done last."""
        from prefect.artifacts import update_progress_artifact  # noqa: PLC0415

        if self._id:
            update_progress_artifact(self._id, round(100 * share, 1), description=words)


def _key(name: str) -> str:
    """Return a key as Prefect takes it: lower-case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
