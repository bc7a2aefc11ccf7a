"""The status of a root: champion, newest runs and how they went, incidents, days that wait for somebody."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime

from ctr_retrain.models.documents.day_documents import RejectedDay
from ctr_retrain.models.documents.ref_documents import RecipeNameRef
from ctr_retrain.models.errors import StorageError
from ctr_retrain.models.incidents.history_index import IndexedNight, IndexedRun
from ctr_retrain.models.incidents.night_ref import NightAttempt
from ctr_retrain.models.incidents.status_answer import (
    AttemptState,
    LandedCounts,
    LeaseState,
    NewestYardstick,
    RunAttempt,
    RunSummary,
    StatusAnswer,
)
from ctr_retrain.tasks.alerts.incident_refs import brief_of, load_incidents
from ctr_retrain.tasks.integrity.manifest import PublishedModel
from ctr_retrain.tasks.lease.lease import PACE, read_lease
from ctr_retrain.tasks.lease.live_process import has_ended
from ctr_retrain.tasks.nights.night_marks import was_killed
from ctr_retrain.tasks.observe.find_problems import find_problems
from ctr_retrain.tasks.report.history import History, keep_index, read_newest
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.champion import read_champions
from ctr_retrain.tasks.store.protocol import Store, load_manifest, load_ref

SHOWN_DAYS = 7
MANY_READ = 30  # refs and runs after whose reading the index is worth to be mended, so that the next look is quick

log = logging.getLogger(__name__)


def describe_status(store: Store, now: datetime) -> StatusAnswer:
    """Describe a root in few requests, however long its history. Raises StorageError where it can't be read."""
    name = load_ref(store, layout.name_ref(), RecipeNameRef)
    champion = read_champions(store).current
    served = load_manifest(store, layout.model_object(champion.version), PublishedModel) if champion else None
    through = served.data_through if served else None
    # Runs and nights by the index; what is one ref each is read as it is.
    history, known = read_newest(store, SHOWN_DAYS), load_incidents(store)
    _mend_index(store, history)
    newest, runs, today = history.newest_landed, history.runs, now.astimezone(UTC).date()
    attempts = describe_attempts(history, now)
    return StatusAnswer(
        root=store.root,
        recipe=name.content.current if name else None,
        champion=champion.version if champion else None,
        champion_data_through=through,  # of what serves
        newest_day=newest,
        champion_data_age_days=(newest - through).days if newest and through else None,
        champion_calendar_age_days=(today - through).days if through else None,
        yardstick=_newest_yardstick(runs),
        incidents=tuple(map(brief_of, known.open)),  # the gravest first
        rejected_days=tuple(
            RejectedDay(date=day, reason=history.rejected[day].reason) for day in sorted(history.rejected)
        ),
        incomplete_outcomes=runs[0].incomplete_outcomes if runs else (),
        runs=tuple(_summary(store, run) for run in runs),
        landed=LandedCounts(impressions=runs[0].impressions, outcomes=runs[0].outcomes) if runs else None,
        verdicts=Counter(run.decision for run in history.index.runs if history.index.complete),
        attempts=attempts,
        lease=_lease(store),
        problems=find_problems(attempts, history.nights, known.open, history.rejected, now),
    )


def describe_attempts(history: History, now: datetime) -> tuple[RunAttempt, ...]:
    """Return the attempt that counts of each of the newest days, newest day first."""
    days = sorted(history.nights, reverse=True)[:SHOWN_DAYS]
    return tuple(_attempt(day, history.nights[day], now) for day in days if history.nights[day].attempts)


def _lease(store: Store) -> LeaseState | None:
    """Describe who has the root to himself, alive or not."""
    lease = read_lease(store)
    holder = lease.holder if lease else None
    if holder is None:
        return None
    try:
        age = store.ref_age(layout.LEASE_REF)
    except StorageError:  # a disk dates it by a folder that is made beside it, which not every reader may
        age = None
    silent = age is not None and age.total_seconds() >= PACE.dead_seconds
    return LeaseState(
        command=holder.command,
        who=holder.who,
        host=holder.host,
        process=holder.process,
        since=holder.since,
        beat_age_seconds=None if age is None else age.total_seconds(),
        alive=not silent and not has_ended(holder),
    )


def _mend_index(store: Store, history: History) -> None:
    """Store the index where much had to be read past it; whoever only looks needn't be allowed to write."""
    if history.read < MANY_READ:
        return
    try:
        keep_index(store, history)
    except StorageError as error:
        log.info("the index of the history stays behind until the next run: %s", error)


def _attempt(day: date, night: IndexedNight, now: datetime) -> RunAttempt:
    """Describe the attempt that counts: one that is at it, else the last that wasn't kept from it by another."""
    states = [(one, _state(one, now)) for one in night.attempts]
    running = [found for found in states if found[1] == "running"]
    ended = [found for found in states if found[1] != "left"]
    attempt, state = (running or ended or states)[-1]
    return RunAttempt(
        date=day,
        state=state,
        began=attempt.began,
        ended=attempt.ended,
        host=attempt.host,
        process=attempt.process,
        decision=attempt.decision,
        error=attempt.error,
        seconds=_seconds(attempt),
        stages=attempt.stages,
        log=attempt.log,
    )


def _seconds(attempt: NightAttempt) -> float | None:
    if attempt.ended is None:
        return None
    return (datetime.fromisoformat(attempt.ended) - datetime.fromisoformat(attempt.began)).total_seconds()


def _state(attempt: NightAttempt, now: datetime) -> AttemptState:
    if attempt.end is not None:
        return attempt.end
    return "killed" if was_killed(attempt, now) else "running"


def _newest_yardstick(runs: Sequence[IndexedRun]) -> NewestYardstick | None:
    """Return what the newest run that measured it says of the network's worth over simple models; runs newest first."""
    for run in runs:
        if found := run.yardstick:
            return NewestYardstick(date=run.date, worth_it=found.worth_it, message=found.message)
    return None


def _summary(store: Store, run: IndexedRun) -> RunSummary:
    """Return a run in brief."""
    return RunSummary(
        date=run.date,
        run_id=run.run_id,
        alerts=run.alerts,
        report=f"{store.root}/{run.page}",
        decision=run.decision,
        reason=run.reason,
    )
