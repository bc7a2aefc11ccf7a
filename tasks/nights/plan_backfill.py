"""The plan of a backfill: why each of its days would run, or that it is finished, and about how long it would take.

Nothing is read but refs, manifests and listings; a plan changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from ctr_retrain.models.data.days import plan_days
from ctr_retrain.models.documents.command_documents import BackfillReason, PlannedDay
from ctr_retrain.models.documents.ref_documents import RunsRef
from ctr_retrain.models.incidents.night_ref import NightRef
from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.tasks.ingest.ingest_day import current_day_object, ingested_by
from ctr_retrain.tasks.ingest.landed_changes import landed_anew, landed_marks
from ctr_retrain.tasks.integrity.manifest import KeptRun, MadeOfDays
from ctr_retrain.tasks.landing.landing_zone import LandingZone
from ctr_retrain.tasks.nights.night_marks import was_killed
from ctr_retrain.tasks.nights.usual_seconds import UsualSeconds, usual_seconds
from ctr_retrain.tasks.operate.registry import finished_run
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.layout import IMPRESSIONS
from ctr_retrain.tasks.store.protocol import Store, load_manifest, load_ref
from ctr_retrain.tasks.validate.validate_day import is_evaluated, load_validated_day

Why = tuple[BackfillReason, str]  # and what is to be known of it besides
FINISHED: Why = ("finished", "")


def plan_backfill(
    store: Store,
    landing: LandingZone,
    recipe: Recipe,
    days: Sequence[date],
    trains: Collection[date],
    now: datetime,
    *,
    shadow: bool,
) -> tuple[PlannedDay, ...]:
    """Say of each day why it would run, and about how long it would take.

    trains: the days that get a run of their own; of the others the data alone is looked at.
    """
    look = _Look(store, landing, recipe, now)
    usual = usual_seconds(store, landing)
    return tuple(_planned(look, usual, day, trains=day in trains, shadow=shadow) for day in days)


def _planned(look: _Look, usual: UsualSeconds, day: date, *, trains: bool, shadow: bool) -> PlannedDay:
    """Plan one day."""
    data = look.data(day)
    reason, detail = look.run(day, shadow=shadow) if trains else data
    seconds = 0.0 if reason == "finished" else usual.of(day, ingests=data[0] != "finished", trains=trains)
    return PlannedDay(date=day, reason=reason, detail=detail, trains=trains, about_seconds=seconds)


@dataclass
class _Look:
    """A look at days and their runs; each day is looked at once, however many windows it stands in."""

    store: Store
    landing: LandingZone
    recipe: Recipe
    now: datetime
    looked: dict[date, Why] = field(default_factory=dict)  # at a day's data

    def data(self, day: date) -> Why:
        """Say whether a day's data is finished, and why not."""
        if day not in self.looked:
            self.looked[day] = self._data(day)
        return self.looked[day]

    def run(self, day: date, *, shadow: bool) -> Why:
        """Say whether a day's run is finished, and why not."""
        made = finished_run(self.store, day, shadow=shadow)
        if made is None:
            return self._unfinished(day)
        for earlier in plan_days(day, self.recipe).all_days:
            reason, _ = self.data(earlier)
            # A day that was never ingested is none of the run's, unless it has landed since.
            landed_since = reason == "missing" and IMPRESSIONS in landed_marks(self.landing, self.recipe, earlier)
            if reason in ("restated", "other columns") or landed_since:
                known: BackfillReason = "restated" if landed_since else reason
                return known, "" if earlier == day else f"{earlier} of its window"
        changed = self._changed_days(made)
        return ("restated", f"{changed[0]} was ingested anew since") if changed else FINISHED

    def _data(self, day: date) -> Why:
        """Look at a day's data."""
        if current_day_object(self.store, day) is None:
            there = IMPRESSIONS in landed_marks(self.landing, self.recipe, day)
            return "missing", "" if there else "nothing landed yet"
        if not ingested_by(self.store, day, self.recipe):
            return "other columns", ""
        if landed_anew(self.store, self.landing, self.recipe, day):
            return "restated", ""
        validated = load_validated_day(self.store, day)
        if validated is None or not is_evaluated(self.store, self.recipe, day):
            return "missing", "never validated by these bounds"
        return FINISHED if validated.accepted else ("failed", f"rejected: {validated.reason}")

    def _unfinished(self, day: date) -> Why:
        """Tell a day of which no attempt came to an end from one that nobody tried."""
        if load_ref(self.store, layout.run_ref(day), RunsRef) is not None:
            return "failed", "its run was promoted and not put into service, or removed"
        ref = load_ref(self.store, layout.night_ref(day), NightRef)
        attempt = ref.content.attempts[-1] if ref and ref.content.attempts else None
        if attempt is None:
            return "missing", ""
        killed = "killed" if was_killed(attempt, self.now) else "still running"
        return "failed", attempt.error or attempt.end or killed

    def _changed_days(self, run_id: str) -> list[str]:
        """Return the landing days of which a run has read another object than the current one."""
        kept = load_manifest(self.store, layout.run_object(run_id), KeptRun)
        made = [load_manifest(self.store, path, MadeOfDays) for path in (kept.labels if kept else ())]
        read = {path for labels in made if labels for path in labels.inputs}
        changed = []
        for path in sorted(read):
            day = path.split("/")[1]
            if current_day_object(self.store, date.fromisoformat(day)) != path:
                changed.append(day)
        return changed
