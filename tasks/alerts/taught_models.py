"""Models that a fault has taught: those whose windows hold days that it touched, the one in service among them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING

from ctr_retrain.models.documents.ref_documents import RunsRef
from ctr_retrain.models.documents.run_documents import RunDocument
from ctr_retrain.models.incidents.alert_answers import TaughtModel
from ctr_retrain.models.incidents.follow_incidents import first_touched, touched_days
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.champion import read_champions
from ctr_retrain.tasks.store.protocol import find_document, list_day_refs, load_ref

if TYPE_CHECKING:
    from ctr_retrain.models.documents.ref_documents import Tenure
    from ctr_retrain.models.incidents.incident import Incident
    from ctr_retrain.tasks.store.protocol import Store

NONE_YET = "No model has learnt from any of these days yet."
MOST_RUNS = 60  # newest days whose runs are asked


class TaughtModels:
    """The models of a root's newest runs, and the days that each has trained on; each is read once, when it may matter.

    A model has learnt from no day after its run's, so that runs before a fault are not asked.
    """

    def __init__(self, store: Store) -> None:
        """Read nothing yet."""
        self.store = store
        self._trained: dict[str, tuple[date, ...]] = {}  # by version
        self._versions: dict[date, str | None] = {}  # by run day

    def by_days(self, touched: Collection[date]) -> tuple[TaughtModel, ...]:
        """Return the models that have trained on some of these days: the one in service first, then the newest."""
        if not touched:
            return ()
        champion = self._champion.version if self._champion else None
        found = [
            TaughtModel(version=version, champion=version == champion, days=own, window_days=len(trained))
            for version, trained in reversed(self._since(min(touched)).items())
            if (own := tuple(day for day in trained if day in touched))
        ]
        return tuple(sorted(found, key=lambda one: not one.champion))

    def by_incident(self, incident: Incident) -> tuple[TaughtModel, ...]:
        """Return the models that have trained on days that an incident touches."""
        days = {day for trained in self._since(first_touched(incident)).values() for day in trained}
        return self.by_days(set(touched_days(incident, sorted(days))))

    def _since(self, first: date) -> dict[str, tuple[date, ...]]:
        """Return the days of models that runs of a day or later made, oldest first; the one in service among them."""
        made = (self._version_of(day) for day in self._run_days if day >= first)
        versions, serves = [version for version in made if version], self._champion
        if serves and serves.run_day >= first and serves.version not in versions:
            versions.insert(0, serves.version)
        return {version: days for version in versions if (days := self._days_of(version))}

    @cached_property
    def _champion(self) -> Tenure | None:
        return read_champions(self.store).current

    @cached_property
    def _run_days(self) -> list[date]:
        return list_day_refs(self.store, layout.RUNS)[-MOST_RUNS:]

    def _version_of(self, day: date) -> str | None:
        """Return the version that the newest run of a day made."""
        if day not in self._versions:
            ref = load_ref(self.store, layout.run_ref(day), RunsRef)
            self._versions[day] = ref.content.current if ref else None
        return self._versions[day]

    def _days_of(self, version: str) -> tuple[date, ...]:
        """Return the days that a model has trained on."""
        if version not in self._trained:
            self._trained[version] = _trained_days(self.store, layout.run_object(version))
        return self._trained[version]


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
    run = find_document(store, path, layout.RUN_FILE, RunDocument)
    if run is None or run.training is None:  # `gc` removed it, or it trained nothing
        return ()
    fresh = run.fresh.days if run.fresh and run.serves.version == run.run_id else ()
    return tuple(sorted({*run.days.train, *run.days.calibrate, *fresh}))
