"""The plan of a backfill: why each of its days would run, or that it is finished, and about how long it would take.

Nothing is read but refs, manifests, a day's summary and listings; a plan changes nothing. It asks for the same again
and again, of each window that a day stands in: give it a store that asks its bucket once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from ctr_retrain.models.data.days import plan_days
from ctr_retrain.models.documents.command_documents import BackfillReason, PlannedDay
from ctr_retrain.models.documents.ref_documents import RunsRef
from ctr_retrain.models.incidents.night_ref import NightRef
from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.tasks.backfill.planned_champions import Opponent, opponents_of
from ctr_retrain.tasks.ingest.ingest_day import current_day_object, ingested_by
from ctr_retrain.tasks.ingest.landed_changes import landed_anew, landed_marks
from ctr_retrain.tasks.integrity.manifest import KeptRun, MadeOfDays
from ctr_retrain.tasks.landing.landing_zone import LandingZone
from ctr_retrain.tasks.nights.night_marks import was_killed
from ctr_retrain.tasks.nights.usual_seconds import UsualSeconds, landed_bytes, usual_seconds
from ctr_retrain.tasks.operate.registry import finished_run, recorded_run
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.champion import read_champions
from ctr_retrain.tasks.store.layout import IMPRESSIONS
from ctr_retrain.tasks.store.protocol import Store, load_manifest, load_ref
from ctr_retrain.tasks.validate.earlier_shares import EarlierShares, read_earlier_shares
from ctr_retrain.tasks.validate.validate_day import is_evaluated, load_decision


@dataclass(frozen=True)
class LookedDays:
    """A look at the days of a backfill."""

    days: tuple[PlannedDay, ...]
    unread: Mapping[date, int]  # days of which files are to be ingested, and how many bytes these have
    usual: UsualSeconds  # the time that days take
    runs: Mapping[date, str]  # of days that are finished with a run


Why = tuple[BackfillReason, str]  # and what is to be known of it besides
FINISHED: Why = ("finished", "")


def look_at_days(
    store: Store,
    landing: LandingZone,
    recipe: Recipe,
    days: Sequence[date],
    trains: Collection[date],
    now: datetime,
    *,
    shadow: bool,
) -> LookedDays:
    """Say of each day why it would run, and about how long it would take.

    trains: the days that get a run of their own; of the others the data alone is looked at.
    """
    looked_at = {*days, *(earlier for day in trains for earlier in plan_days(day, recipe).all_days)}
    look = _Look(store, landing, recipe, now, read_earlier_shares(store, recipe, looked_at))
    usual = usual_seconds(store, landing)
    planned = [_planned(look, usual, day, trains=day in trains, shadow=shadow) for day in days]
    due = [one.date for one in planned if one.trains and one.reason != "finished"]
    opponents = opponents_of(read_champions(store), recipe, due, shadow=shadow)
    met = tuple(_with_champion(store, one, opponents.get(one.date)) for one in planned)
    unread = {day: landed_bytes(landing, day) for day in days if day in look.unread}
    return LookedDays(met, unread, usual, look.runs)


def _with_champion(store: Store, planned: PlannedDay, opponent: Opponent | None) -> PlannedDay:
    """Say whom a day's challenger would meet, or has met."""
    if opponent:
        meets = {"champion": opponent.version, "champion_may_follow": opponent.may_follow}
        return planned.model_copy(update=meets)
    run_id = recorded_run(store, planned.date) if planned.trains else None
    kept = load_manifest(store, layout.run_object(run_id), KeptRun) if run_id else None
    return planned.model_copy(update={"champion": kept.champion if kept else None})


def _planned(look: _Look, usual: UsualSeconds, day: date, *, trains: bool, shadow: bool) -> PlannedDay:
    """Plan one day."""
    data = look.data(day)
    reason, detail = look.run(day, shadow=shadow) if trains else data
    seconds = 0.0 if reason == "finished" else usual.of(day, ingests=day in look.unread, trains=trains)
    return PlannedDay(date=day, reason=reason, detail=detail, trains=trains, about_seconds=seconds)


@dataclass
class _Look:
    """A look at days and their runs; each day is looked at once, however many windows it stands in."""

    store: Store
    landing: LandingZone
    recipe: Recipe
    now: datetime
    earlier: EarlierShares
    looked: dict[date, Why] = field(default_factory=dict)  # at a day's data
    unread: set[date] = field(default_factory=set)  # days whose files are to be ingested
    runs: dict[date, str] = field(default_factory=dict)  # of days that are finished with one

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
        if changed := self._changed_days(made):
            return "restated", f"{changed[0]} was ingested anew since"
        self.runs[day] = made
        return FINISHED

    def _data(self, day: date) -> Why:
        """Look at a day's data, and note it where its files are to be ingested."""
        if found := self._unread(day):
            self.unread.add(day)
            return found
        decision = load_decision(self.store, day)
        if decision is None or not is_evaluated(self.store, self.recipe, day, self.earlier):
            return "missing", "never validated by these bounds"
        return FINISHED if decision.accepted else ("failed", f"rejected: {decision.reason}")

    def _unread(self, day: date) -> Why | None:
        """Say why a day's files are to be ingested; None where they are not."""
        if current_day_object(self.store, day) is None:
            there = IMPRESSIONS in landed_marks(self.landing, self.recipe, day)
            return "missing", "" if there else "nothing landed yet"
        if not ingested_by(self.store, day, self.recipe):
            return "other columns", ""
        if landed_anew(self.store, self.landing, self.recipe, day):
            return "restated", ""
        return None

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
