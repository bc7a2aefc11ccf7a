"""Rules of scheduled nights: the days of a run that was due, what a downtime left, and how long data is waited for."""

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctr_retrain.models.errors import StorageError
from ctr_retrain.models.incidents.alerts_section import Alerts
from ctr_retrain.tasks.nights.night_marks import begin_night, end_night
from ctr_retrain.tasks.nights.night_signals import newest_day
from ctr_retrain.tasks.schedule.next_run import Schedule, last_run, next_run
from ctr_retrain.tasks.schedule.scheduled_nights import due_days, missed_run, wait_for_data
from tests.support.counts import draws

NIGHTLY = "0 4 * * *"
DUE = datetime(2026, 3, 11, 4, tzinfo=UTC)  # for the tenth


def of(number):
    return date(2026, 3, number)


def schedule(catch_up="latest", cron=NIGHTLY, zone="UTC"):
    return Schedule(cron, zone, catch_up)


@pytest.fixture
def ended(store, now):
    """Note that the run of a day came to an end."""

    def note(day, end="done"):
        attempt = begin_night(store, day, now)
        if end:
            end_night(store, day, attempt, end, now)

    return note


@pytest.mark.parametrize("catch_up", ["latest", "all", "none"])
def test_a_run_in_time_makes_its_own_day_alone(store, ended, catch_up):
    ended(of(9))
    assert due_days(store, schedule(catch_up), DUE, DUE + timedelta(minutes=1)) == (of(10),)


@pytest.mark.parametrize(("catch_up", "days"), [("latest", ()), ("none", ()), ("all", (of(8), of(9), of(10)))])
def test_a_run_that_begins_when_a_newer_one_is_due_is_left_out_unless_all_are_made_up_for(store, ended, catch_up, days):
    ended(of(7))
    assert due_days(store, schedule(catch_up), DUE, DUE + timedelta(days=1)) == days


@pytest.mark.parametrize(("catch_up", "days"), [("latest", (of(10),)), ("none", ()), ("all", (of(10),))])
def test_a_run_that_begins_hours_late_is_left_out_only_where_nothing_is_made_up_for(store, ended, catch_up, days):
    ended(of(9))
    assert due_days(store, schedule(catch_up), DUE, DUE + timedelta(hours=23)) == days


@pytest.mark.parametrize(
    ("end", "days"),
    [("failed", (of(9), of(10))), (None, (of(9), of(10))), ("rejected", (of(10),)), ("done", (of(10),))],
)
def test_a_day_whose_run_failed_or_was_killed_is_made_up_for_and_a_rejected_one_is_not(store, ended, end, days):
    ended(of(8))
    ended(of(9), end)
    assert due_days(store, schedule("all"), DUE, DUE) == days


@pytest.mark.parametrize("newest", [None, DUE.date() - timedelta(days=60), DUE.date() + timedelta(days=2)])
def test_where_no_night_was_or_the_newest_is_of_another_time_nothing_is_made_up_for(store, ended, newest):
    if newest:
        ended(newest)
    assert due_days(store, schedule("all"), DUE, DUE) == (of(10),)


@settings(max_examples=draws(2, 200))
@given(
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago"]),
    hour=st.integers(0, 23),
    minute=st.sampled_from([0, 30, 59]),
)
def test_each_event_day_of_a_year_is_made_once_or_found_again_whatever_summer_time_does(zone, hour, minute):
    daily = schedule(cron=f"{minute} {hour} * * *", zone=zone)
    due, made = datetime(2026, 1, 2, tzinfo=UTC), []
    for _ in range(366):
        due = next_run(daily.cron, zone, due)
        made += due_days(None, daily, due.astimezone(UTC), due)
    days = sorted(set(made))
    assert days == [days[0] + timedelta(days=number) for number in range(len(days))]  # none is missing
    assert len(made) - len(days) <= 1  # one twice, where summer time begins
    assert made == sorted(made)


@given(
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"]),
    cron=st.builds("{} {} * * {}".format, st.integers(0, 59), st.integers(0, 23), st.sampled_from(["*", "mon", "1-5"])),
    now=st.builds(lambda seconds: DUE + timedelta(seconds=seconds), st.integers(0, 365 * 86_400)),
)
def test_between_the_last_run_and_now_none_was_due(zone, cron, now):
    last = last_run(cron, zone, now)
    assert last <= now < next_run(cron, zone, last)


def test_a_schedule_anywhere_runs_for_the_newest_utc_day_that_is_over():
    tokyo, berlin = ZoneInfo("Asia/Tokyo"), ZoneInfo("Europe/Berlin")
    assert newest_day(datetime(2026, 3, 25, 4, tzinfo=tokyo)) == of(23)  # 19:00 of the 24th in UTC
    assert newest_day(datetime(2026, 3, 25, 10, tzinfo=tokyo)) == of(24)
    assert newest_day(datetime(2026, 3, 25, 0, 30, tzinfo=berlin)) == of(23)


@pytest.mark.parametrize(
    ("catch_up", "newest", "end", "missed"),
    [
        ("latest", of(8), "done", True),
        ("all", of(8), "done", True),
        ("none", of(8), "done", False),
        ("latest", of(10), "done", False),  # it happened, whoever made it
        ("latest", of(10), "failed", False),  # of a root in which nothing came to an end nothing was missed
        ("latest", None, "", False),  # a new root
    ],
)
def test_a_night_that_was_due_while_nobody_was_there_is_missed(store, ended, catch_up, newest, end, missed):
    if newest:
        ended(newest, end)
    now = DUE + timedelta(hours=5)
    assert missed_run(store, schedule(catch_up), now) == (DUE if missed else None)


class Landing:
    """A landing zone in which a stream lands at the n-th look; looks at it are counted."""

    def __init__(self, **looks):
        self.looks, self.seen = looks, 0

    def landed_at(self, stream, _):
        if stream == "impressions":
            self.seen += 1
        at = self.looks.get(stream)
        if at == "down":
            raise StorageError("no answer")
        return DUE if at is not None and self.seen >= at else None


def recipe(hours, *, inline=False):
    return SimpleNamespace(alerts=Alerts(data_due_hours=hours), inline_label=inline)


FAR = 24 * 365 * 100  # hours, so that the data of a past day is not due yet


def test_a_run_waits_until_both_streams_have_landed_and_says_for_which():
    said = []
    landing = Landing(impressions=2, outcomes=4)
    assert wait_for_data(landing, recipe(FAR), of(10), said.append, 0)
    assert landing.seen == 4
    assert [words.split(" of ")[0] for words in said] == [
        "Waiting for impressions and outcomes",
        "Waiting for outcomes",
    ]
    assert "(alerts.data_due_hours)" in said[0]


def test_a_recipe_whose_labels_are_inline_waits_for_impressions_alone():
    assert wait_for_data(Landing(impressions=1), recipe(FAR, inline=True), of(10), list, 0)


def test_once_the_data_is_due_a_run_begins_with_what_there_is():
    assert not wait_for_data(Landing(), recipe(12), of(10), list, 0)


def test_a_landing_zone_that_cannot_be_seen_is_looked_at_again_until_the_data_is_due():
    said = []
    landing = Landing(impressions="down")
    assert not wait_for_data(
        landing, recipe((datetime.now(UTC) - DUE) / timedelta(hours=1) + 4 + 1e-4), of(10), said.append, 0
    )
    assert landing.seen > 1
    assert "no answer" in said[0]
