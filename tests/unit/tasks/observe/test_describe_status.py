"""Rules of a root's status: how the newest runs went, and what somebody has to see to, with the command to type."""

import itertools
import os
from datetime import UTC, datetime, timedelta

import pytest

from ctr_retrain.models.incidents.alerts_section import Alerts
from ctr_retrain.models.incidents.night_ref import NightEnd
from ctr_retrain.tasks.alerts.incident_refs import note_look
from ctr_retrain.tasks.lease.lease import try_lease
from ctr_retrain.tasks.lease.live_process import this_holder
from ctr_retrain.tasks.nights.night_marks import begin_night, end_night
from ctr_retrain.tasks.observe.describe_status import describe_status
from ctr_retrain.tasks.report.run_list import write_run_list
from ctr_retrain.tasks.store import layout
from tests.support.long_history import FIRST, decision_ref, put_all, put_days
from tests.support.nights import look, signal

DAYS = 10
NEWEST = FIRST + timedelta(days=DAYS - 1)
NIGHT = FIRST + timedelta(days=DAYS)  # the one after them
MORNING = datetime.combine(NIGHT + timedelta(days=1), datetime.min.time(), UTC) + timedelta(hours=6)


@pytest.fixture
def store(store):
    put_days(store, DAYS)
    return store


@pytest.fixture
def spend(store):
    """Let a night's run begin, and end as it is told."""

    minutes = itertools.count()  # two attempts of one process are told apart by when they began

    def of(end: NightEnd | None = None, day=NIGHT, **told):
        attempt = begin_night(store, day, MORNING - timedelta(hours=2) + timedelta(minutes=next(minutes)))
        if end:
            end_night(store, day, attempt, end, MORNING - timedelta(hours=1), **told)

    return of


def kill(store, day=NIGHT):
    """Make the mark of the last attempt that of a process which is no more."""
    ref = store.read_ref(layout.night_ref(day))
    ref.value["attempts"][-1]["started"] = "0"
    store.swap_ref(layout.night_ref(day), ref.value, ref)


def problems(store, now=MORNING):
    return [(one.message, one.command) for one in describe_status(store, now).problems]


def test_a_root_that_is_well_has_no_problems_and_shows_a_week(store, spend):
    spend("done", decision="hold", stages={"ingest_day": 1.25, "train_challenger": 60.0})
    assert describe_status(store, MORNING).verdicts == {}  # nobody reads all runs for a look
    write_run_list(store, None)
    status = describe_status(store, MORNING)
    assert status.problems == ()
    assert [one.date for one in status.attempts] == [NIGHT - timedelta(days=age) for age in range(7)]
    assert [one.date for one in status.runs] == [NEWEST - timedelta(days=age) for age in range(7)]
    assert status.attempts[0].seconds == 3600
    assert status.attempts[0].stages == {"ingest_day": 1.25, "train_challenger": 60}
    assert status.verdicts == {"hold": DAYS}
    assert (status.newest_day, status.champion_data_through) == (NEWEST, FIRST)
    assert (status.champion_data_age_days, status.champion_calendar_age_days) == (DAYS - 1, DAYS + 1)


def test_a_run_that_failed_is_told_with_its_error_and_the_command_that_makes_it(store, spend):
    spend("failed", error="StorageError: no room on /data")
    ((message, command),) = problems(store)
    assert message == f"The run for {NIGHT} failed: StorageError: no room on /data"
    assert command == f"ctr-retrain daily --date {NIGHT}"


def test_a_run_that_is_at_it_is_no_problem_and_one_that_was_killed_is(store, spend):
    spend()
    assert describe_status(store, MORNING).attempts[0].state == "running"
    assert problems(store) == []
    kill(store)
    assert describe_status(store, MORNING).attempts[0].state == "killed"
    ((message, command),) = problems(store)
    assert f"The run for {NIGHT} was killed" in message
    assert command == f"ctr-retrain daily --date {NIGHT}"


def test_of_a_days_attempts_the_running_one_counts_and_then_the_last_that_was_not_kept_from_it(store, spend):
    spend("failed", error="E: first")
    spend("left", error="BusyError: somebody")
    assert describe_status(store, MORNING).attempts[0].error == "E: first"
    spend()
    spend("left", error="BusyError: somebody")
    assert describe_status(store, MORNING).attempts[0].state == "running"


def test_a_rejected_day_is_told_once_and_older_ones_together(store, spend):
    put_all(store, decision_ref(NIGHT, accepted=False))
    spend("rejected", error="DataRejectedError: rows")
    assert [command for _, command in problems(store)] == [f"ctr-retrain validate --date {NIGHT}"]
    put_all(store, decision_ref(FIRST, accepted=False) | decision_ref(NEWEST, accepted=False))
    (_, (message, command)) = problems(store)
    assert message.startswith(f"The data of 2 days, the newest {NEWEST}, were rejected")
    assert command == f"ctr-retrain validate --date {NEWEST}"
    assert [day.date for day in describe_status(store, MORNING).rejected_days] == [FIRST, NEWEST, NIGHT]


def test_silence_is_told_where_nights_are_expected(store, spend):
    spend("done", decision="hold")
    (problem,) = problems(store, MORNING + timedelta(days=4))
    assert problem[0].startswith("No run happened for 3 days")
    assert problem[1] == f"ctr-retrain daily --date {NIGHT + timedelta(days=3)}"
    assert problems(store, MORNING + timedelta(days=300)) == []  # a root of simulated or restored days


def test_open_incidents_are_problems_from_a_warning_on_with_their_own_command(store, spend):
    spend("done", decision="hold")
    found = (
        signal("disk_low", "", commands=("ctr-retrain gc --dry-run",)),
        signal("data_late", "", level="notice"),
    )
    note_look(store, look(0, *found), Alerts())
    assert problems(store) == [(found[0].summary, "ctr-retrain gc --dry-run")]
    assert [one.kind for one in describe_status(store, MORNING).incidents] == ["disk_low", "data_late"]


def test_who_has_the_root_is_shown_until_the_lease_is_given_back_or_its_holder_is_dead(store, spend):
    assert describe_status(store, MORNING).lease is None
    try_lease(store, this_holder("backfill --start 2026-03-01"))
    shown = describe_status(store, MORNING).lease
    assert (shown.command, shown.process, shown.alive) == ("backfill --start 2026-03-01", os.getpid(), True)
    assert 0 <= shown.beat_age_seconds < 60
    ref = store.read_ref(layout.LEASE_REF)
    ref.value["holder"]["started"] = "0"  # no process of this number began then
    store.swap_ref(layout.LEASE_REF, ref.value, ref)
    assert not describe_status(store, MORNING).lease.alive
    ref = store.read_ref(layout.LEASE_REF)
    store.swap_ref(layout.LEASE_REF, {**ref.value, "holder": None}, ref)
    assert describe_status(store, MORNING).lease is None
