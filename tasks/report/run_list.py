"""The list page over all runs of a root, newest first, with the days that were rejected and so have no run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import get_args

from ctr_retrain.models.charts.charts import trend_chart
from ctr_retrain.models.documents.ref_documents import RecipeNameRef
from ctr_retrain.models.documents.verdict_documents import Decision
from ctr_retrain.models.incidents.history_index import IndexedRun
from ctr_retrain.models.incidents.incident import Incident
from ctr_retrain.tasks.alerts.incident_refs import load_incidents
from ctr_retrain.tasks.pages.render_page import render_page
from ctr_retrain.tasks.report.history import UnreadableRun, keep_index, read_history
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.protocol import Store, load_ref

PAST_INCIDENTS = 20  # that the page shows


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
    runs: tuple[IndexedRun, ...]  # newest day first
    unreadable: tuple[UnreadableRun, ...]
    rejected: list[RejectedData]
    decisions: Mapping[Decision, int]  # number of runs by their verdict
    with_alerts: int  # number of runs
    chart: str | None  # SVG; None where no run has a cost


def write_run_list(store: Store, champion: str | None) -> None:
    """Write the list page over all runs into the root; readers see the old page or the new one.

    A run whose document can't be read is named with the reason, and the others are shown. Raises StorageError where the
    disk is full or can't be written.
    """
    name, history = load_ref(store, layout.name_ref(), RecipeNameRef), read_history(store)
    keep_index(store, history)
    runs = history.runs
    decisions: tuple[Decision, ...] = get_args(Decision)
    page = RunListPage(
        recipe_name=name.content.current if name else None,
        champion=champion,
        incidents=_incidents(store),
        runs=runs,
        unreadable=history.unreadable,
        rejected=[RejectedData(day, found.reason, found.docs) for day, found in history.rejected.items()],
        decisions={one: sum(run.decision == one for run in runs) for one in decisions},
        with_alerts=sum(bool(run.alerts) for run in runs),
        chart=_trend(runs[::-1]),
    )
    store.write_page(layout.RUN_LIST_PAGE, render_page("runs.html.j2", **vars(page)))


def _incidents(store: Store) -> list[Incident]:
    """Return the open incidents, the gravest first, and the newest of the past."""
    known = load_incidents(store)
    past = [incident for incident in known.incidents if not incident.is_open]
    past.sort(key=lambda incident: (incident.resolved or incident.last_seen, incident.id), reverse=True)
    return [*known.open, *past[:PAST_INCIDENTS]]


def _trend(runs: Sequence[IndexedRun]) -> str | None:
    """Draw the costs of the runs, oldest first; None where none is known."""
    challengers = [run.challenger_cost for run in runs]
    champions = [run.champion_cost for run in runs]
    if all(cost is None for cost in challengers):
        return None
    return trend_chart([run.date for run in runs], {"challenger": challengers, "champion": champions})
