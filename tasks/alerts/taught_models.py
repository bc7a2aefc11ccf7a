"""Models that a fault has taught: those whose windows hold days that it touched, the one in service among them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from typing import TYPE_CHECKING

from ctr_retrain.models.documents.ref_documents import RunsRef
from ctr_retrain.models.documents.run_documents import RunDocument
from ctr_retrain.models.incidents.alert_answers import TaughtModel
from ctr_retrain.models.incidents.follow_incidents import touched_days
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.champion import read_champions
from ctr_retrain.tasks.store.protocol import has_object, list_day_refs, load_document, load_ref

if TYPE_CHECKING:
    from ctr_retrain.models.incidents.incident import Incident
    from ctr_retrain.tasks.store.protocol import Store

NONE_YET = "No model has learnt from any of these days yet."
MOST_RUNS = 60  # newest days whose runs are asked


class TaughtModels:
    """The models of a root's newest runs, and the days that each has trained on; read once, when first asked."""

    def __init__(self, store: Store) -> None:
        """Read nothing yet."""
        self.store = store
        self._trained: dict[str, tuple[date, ...]] | None = None  # by version, oldest first
        self._champion: str | None = None

    def by_days(self, touched: Collection[date]) -> tuple[TaughtModel, ...]:
        """Return the models that have trained on some of these days: the one in service first, then the newest."""
        found = [
            TaughtModel(version=version, champion=version == self._champion, days=own, window_days=len(trained))
            for version, trained in reversed(self._read().items())
            if (own := tuple(day for day in trained if day in touched))
        ]
        return tuple(sorted(found, key=lambda one: not one.champion))

    def by_incident(self, incident: Incident) -> tuple[TaughtModel, ...]:
        """Return the models that have trained on days that an incident touches."""
        days = {day for trained in self._read().values() for day in trained}
        return self.by_days(set(touched_days(incident, sorted(days))))

    def _read(self) -> dict[str, tuple[date, ...]]:
        """Read the days of the newest runs' models, and of the model in service."""
        if self._trained is None:
            serves = read_champions(self.store).current
            self._champion = serves.version if serves else None
            days = list_day_refs(self.store, layout.RUNS)[-MOST_RUNS:]
            refs = (load_ref(self.store, layout.run_ref(day), RunsRef) for day in days)
            versions = [ref.content.current for ref in refs if ref]
            if self._champion and self._champion not in versions:
                versions.insert(0, self._champion)
            paths = {version: layout.run_object(version) for version in versions}
            runs = {version: _trained_days(self.store, path) for version, path in paths.items()}
            self._trained = {version: days for version, days in runs.items() if days}
        return self._trained


def taught_sentence(models: Sequence[TaughtModel]) -> str:
    """Say which models have learnt from the days of a fault."""
    serves = [one for one in models if one.champion]
    others = [one.version for one in models if not one.champion]
    if serves:
        (own,) = serves
        said = f"The model in service, {own.version}, has learnt from {len(own.days)} of these days."
    else:
        said = "The model in service has learnt from none of these days." if others else NONE_YET
    if not others:
        return said
    have = "1 model that doesn't serve has" if len(others) == 1 else f"{len(others)} models that don't serve have"
    return f"{said} {have}, the newest {others[0]}."


def _trained_days(store: Store, path: str) -> tuple[date, ...]:
    """Return the days that a run's model has trained on or was calibrated on; none where it trained nothing."""
    if not has_object(store, path):  # `gc` removed it
        return ()
    run = load_document(store, path, layout.RUN_FILE, RunDocument)
    if run.training is None:
        return ()
    fresh = run.fresh.days if run.fresh and run.serves.version == run.run_id else ()
    return tuple(sorted({*run.days.train, *run.days.calibrate, *fresh}))
