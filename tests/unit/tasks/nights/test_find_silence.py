"""Rules of silence: that no run happened is noticed, and a run that is at it is no silence."""

from datetime import UTC, date, datetime, timedelta

import pytest

from ctr_retrain.models.incidents.alerts_section import Alerts
from ctr_retrain.tasks.landing.landing_zone import LocalLandingZone
from ctr_retrain.tasks.nights.find_silence import find_silence
from ctr_retrain.tasks.nights.night_marks import begin_night, end_night
from ctr_retrain.tasks.store import layout

DAY = date(2026, 3, 2)
DUE = datetime(2026, 3, 3, 12, tzinfo=UTC)  # twelve hours after the day's end


@pytest.fixture
def silence(store, landing):
    """The signals at a time: kind → signal."""

    def at(now):
        found = find_silence(store, LocalLandingZone(landing), Alerts(run_due_hours=12), now)
        return {signal.kind: signal for signal in found}

    return at


def spend(store, day, end="done"):
    now = datetime.combine(day, datetime.min.time(), UTC) + timedelta(hours=28)
    end_night(store, day, begin_night(store, day, now), end, now)


def kill(store, day):
    """Leave the mark of a process that is no more."""
    begin_night(store, day, DUE)
    ref = store.read_ref(layout.night_ref(day))
    ref.value["attempts"][-1]["started"] = "0"
    store.swap_ref(layout.night_ref(day), ref.value, ref)


def test_a_root_in_which_no_run_ever_began_is_silent_by_right(silence):
    assert silence(DUE + timedelta(days=30)) == {}


@pytest.mark.parametrize("end", ["done", "rejected", "failed"])
def test_a_run_that_ended_is_no_silence_however_it_ended(store, silence, end):
    spend(store, DAY, end)
    assert silence(DUE + timedelta(hours=1)) == {}


@pytest.mark.parametrize(("hours", "missing"), [(23, 0), (25, 1), (24 * 7 + 1, 7)])
def test_nights_without_a_run_are_counted_from_the_hour_at_which_the_first_is_due(store, silence, hours, missing):
    spend(store, DAY)
    found = silence(DUE + timedelta(hours=hours))
    assert ("no_run" in found) == bool(missing)
    if missing:
        assert (found["no_run"].received, found["no_run"].since) == (missing, DAY + timedelta(days=1))
        assert found["no_run"].level == "critical"
        assert f"ctr-retrain daily --date {DAY + timedelta(days=missing)}" in found["no_run"].commands


def test_a_run_under_way_is_no_silence_and_one_that_was_killed_is(store, silence):
    spend(store, DAY)
    begin_night(store, DAY + timedelta(days=1), DUE + timedelta(days=1))
    assert silence(DUE + timedelta(days=1, hours=1)) == {}
    kill(store, DAY + timedelta(days=2))
    assert silence(DUE + timedelta(days=2, hours=1)).keys() == {"no_run", "run_killed"}


def test_a_day_made_up_for_ends_the_silence(store, silence):
    spend(store, DAY)
    assert "no_run" in silence(DUE + timedelta(days=3))
    spend(store, DAY + timedelta(days=3))
    assert silence(DUE + timedelta(days=3)) == {}
