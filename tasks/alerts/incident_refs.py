"""The incidents of a root: read, changed by compare-and-swap, and asked which days they keep out of training."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable
from datetime import date
from typing import TYPE_CHECKING

from ctr_retrain.models.documents.command_documents import OpenIncident
from ctr_retrain.models.documents.document import Stored
from ctr_retrain.models.errors import BusyError
from ctr_retrain.models.incidents.alerts_section import Alerts
from ctr_retrain.models.incidents.follow_incidents import add_look, touched_days
from ctr_retrain.models.incidents.incident import Incident, IncidentsRef, Look
from ctr_retrain.models.incidents.said_normal import normal_days, said_to_be_normal
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.protocol import Store, TypedRef, load_ref, replace_ref

if TYPE_CHECKING:
    from ctr_retrain.models.recipe.recipe import Recipe

SWAPS = 20  # that a racer loses before it gives up
LONGEST_PAUSE = 0.2  # seconds between two swaps, of random length so that racers part


def load_incidents(store: Store) -> IncidentsRef:
    """Read the incidents of a root; none in a root that an older version wrote. Raises StorageError."""
    ref = load_ref(store, layout.INCIDENTS_REF, IncidentsRef)
    return ref.content if ref else IncidentsRef(incidents=())


def note_look(store: Store, look: Look, rules: Alerts) -> IncidentsRef:
    """Note a look, of the levels that the recipe gives, and return all incidents after it.

    Raises StorageError, or BusyError where others change the incidents all the time.
    """
    return change_incidents(store, lambda known: add_look(known, rules.graded(look), rules.incident_rules))


def change_incidents(store: Store, change: Callable[[IncidentsRef], IncidentsRef]) -> IncidentsRef:
    """Change the incidents by compare-and-swap; what changes nothing writes nothing."""
    return swap_until_done(store, layout.INCIDENTS_REF, IncidentsRef, IncidentsRef(incidents=()), change)


def swap_until_done(
    store: Store, name: str, kind: type[Stored], empty: Stored, change: Callable[[Stored], Stored]
) -> Stored:
    """Read a ref, change its content and swap it; where another was faster, begin again. Raises BusyError at last."""
    for left in reversed(range(SWAPS)):
        ref: TypedRef[Stored] | None = load_ref(store, name, kind)
        before = ref.content if ref else empty
        after = change(before)
        if after == before:
            return before
        try:
            replace_ref(store, name, after, ref)
        except BusyError:
            if not left:
                raise
            time.sleep(random.uniform(0, LONGEST_PAUSE))  # noqa: S311 - chance is no secret
        else:
            return after
    raise AssertionError  # the last turn returns or raises


def held_days(store: Store, recipe: Recipe, days: Iterable[date]) -> dict[str, str]:
    """Return those of some days that incidents keep out of training by the recipe, each with the reason.

    Days of what somebody said is the normal state train again once its incident is over.
    """
    if not recipe.alerts.holds_training:
        return {}
    days, known = tuple(days), load_incidents(store)
    said = said_to_be_normal(known.handled)
    return {
        str(touched): f"kept out by alerts.holds_training: {incident.summary}"
        for incident in known.incidents
        if recipe.alerts.holds(incident)
        for touched in sorted(set(touched_days(incident, days)) - normal_days(said, incident, days))
    }


def brief_of(incident: Incident) -> OpenIncident:
    """Return an incident in brief."""
    return OpenIncident(
        kind=incident.kind,
        subject=incident.subject,
        level=incident.level,
        since=incident.since,
        message=incident.summary,
    )
