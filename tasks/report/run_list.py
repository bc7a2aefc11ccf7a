"""The list page over all runs of a root, newest first, with the days that were rejected and so have no run."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from typing import get_args

from ctr_retrain.models.charts.charts import trend_chart
from ctr_retrain.models.documents.document import parse_document
from ctr_retrain.models.documents.evaluation_documents import Figures
from ctr_retrain.models.documents.ref_documents import AcceptedRef, RecipeNameRef, RunsRef
from ctr_retrain.models.documents.run_documents import RunDocument
from ctr_retrain.models.documents.verdict_documents import Check, Decision
from ctr_retrain.models.errors import StorageError
from ctr_retrain.models.incidents.incident import Incident
from ctr_retrain.tasks.alerts.incident_refs import load_incidents
from ctr_retrain.tasks.pages.render_page import link_from_root, render_page
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.layout import DATA_DOCS, REPORT_FILE, RUN_FILE
from ctr_retrain.tasks.store.protocol import Store, load_day_refs, load_ref

PAST_INCIDENTS = 20  # that the page shows
READERS = 16  # runs read at once, each of which a bucket answers in its own time


@dataclass(frozen=True)
class ListedRun:
    """A run and its page."""

    run: RunDocument
    page: str  # link from the root

    @property
    def cost_delta(self) -> Check | None:
        """Return the check of its cost against the model that it met; None where nothing was scored."""
        return next((check for check in self.run.verdict.checks if check.name == "cost_delta_per_1000"), None)


@dataclass(frozen=True)
class UnreadableRun:
    """A run whose document this version can't read: damaged, or written by a newer one."""

    name: str
    reason: str  # a sentence
    page: str  # link from the root


@dataclass(frozen=True)
class RejectedData:
    """A day whose data was rejected and that nobody accepted: it has no run."""

    date: date
    reason: str
    docs: str  # link to its data docs


@dataclass(frozen=True)
class RunListPage:
    """All that runs.html.j2 shows, under the names by which it reads it."""

    recipe_name: str | None  # None in a new root
    champion: str | None  # the version in service
    incidents: list[Incident]  # open ones, the gravest first, then the newest of the past
    runs: list[ListedRun]  # newest day first
    unreadable: list[UnreadableRun]
    rejected: list[RejectedData]
    decisions: Mapping[Decision, int]  # number of runs by their verdict
    with_alerts: int  # number of runs
    chart: str | None  # SVG; None where no run has a cost


def write_run_list(store: Store, champion: str | None) -> None:
    """Write the list page over all runs into the root; readers see the old page or the new one.

    A run whose document can't be read is named with the reason, and the others are shown. Raises StorageError where the
    disk is full or can't be written.
    """
    name = load_ref(store, layout.name_ref(), RecipeNameRef)
    runs, unreadable = list_runs(store)
    decisions: tuple[Decision, ...] = get_args(Decision)
    page = RunListPage(
        recipe_name=name.content.current if name else None,
        champion=champion,
        incidents=_incidents(store),
        runs=runs,
        unreadable=unreadable,
        rejected=_rejected_days(store),
        decisions={one: sum(listed.run.verdict.decision == one for listed in runs) for one in decisions},
        with_alerts=sum(bool(listed.run.alerts) for listed in runs),
        chart=_trend([listed.run for listed in reversed(runs)]),
    )
    store.write_page(layout.RUN_LIST_PAGE, render_page("runs.html.j2", **vars(page)))


def list_runs(store: Store) -> tuple[list[ListedRun], list[UnreadableRun]]:
    """Return all runs, newest day first, of one day's the newest first; and those that can't be read, by name."""
    # The id of a run holds its day and no time: the day's history knows which run came later.
    order = {}
    for _, ref in load_day_refs(store, layout.RUNS, RunsRef):
        order.update({run_id: place for place, run_id in enumerate(ref.history)})
    with ThreadPoolExecutor(READERS) as pool:
        found = list(pool.map(lambda path: _read_run(store, path), store.list_objects(layout.RUNS)))
    runs = [listed for listed in found if isinstance(listed, ListedRun)]
    runs.sort(key=lambda listed: (listed.run.date, order.get(listed.run.run_id, -1)), reverse=True)
    return runs, [listed for listed in found if isinstance(listed, UnreadableRun)]


def _read_run(store: Store, path: str) -> ListedRun | UnreadableRun:
    """Read a run's document. One night's must not cost the page of all others; a store that fails does raise."""
    page = link_from_root(store, path, REPORT_FILE)
    file = store.file(path, RUN_FILE)
    text = file.read_bytes() if file else b""
    try:
        return ListedRun(parse_document(RunDocument, text, f"{path}/{RUN_FILE}"), page)
    except StorageError as error:
        return UnreadableRun(path.rsplit("/", maxsplit=1)[-1], str(error), page)


def _incidents(store: Store) -> list[Incident]:
    """Return the open incidents, the gravest first, and the newest of the past."""
    known = load_incidents(store)
    past = [incident for incident in known.incidents if not incident.is_open]
    past.sort(key=lambda incident: (incident.resolved or incident.last_seen, incident.id), reverse=True)
    return [*known.open, *past[:PAST_INCIDENTS]]


def _rejected_days(store: Store) -> list[RejectedData]:
    """List the days whose data was rejected and that nobody accepted, newest first."""
    found = []
    for day, decision in load_day_refs(store, layout.ACCEPTED_REFS, AcceptedRef):
        if not decision.accepted:
            docs = link_from_root(store, decision.validation, DATA_DOCS)
            found.append(RejectedData(day, decision.reason, docs))
    return found[::-1]


def _trend(runs: list[RunDocument]) -> str | None:
    """Draw the costs of the runs, oldest first; None where none is known."""
    challengers = [_cost(run.metrics.challenger) for run in runs]
    champions = [_cost(run.metrics.champion) for run in runs]
    if all(cost is None for cost in challengers):
        return None
    return trend_chart([run.date for run in runs], {"challenger": challengers, "champion": champions})


def _cost(figures: Figures | None) -> float | None:
    """Return a model's cost; None where it was not scored."""
    return figures.cost_per_1000 if figures else None
