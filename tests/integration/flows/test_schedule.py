"""Rules of the schedule: what Prefect reads runs, at Prefect's own times, and all else is refused at once."""

import asyncio
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ctr_retrain.flows.daily import daily
from ctr_retrain.flows.schedules.serve_nights import serve_daily
from ctr_retrain.flows.settings import load_settings
from ctr_retrain.models.errors import DataRejectedError, UsageError
from ctr_retrain.models.simulation.world import World
from ctr_retrain.tasks.demo.simulate_days import simulate
from ctr_retrain.tasks.nights.night_marks import load_nights
from ctr_retrain.tasks.nights.night_signals import newest_day
from ctr_retrain.tasks.schedule.next_run import next_run
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.support.counts import draws
from tests.support.repository import REPOSITORY
from tests.support.small_world import write_recipe

FIELDS = (
    st.sampled_from(["0", "30", "*/15", "59", "5,35"]),
    st.sampled_from(["0", "1", "2", "3", "4", "*", "*/6", "1-3", "23"]),
    st.sampled_from(["*", "1", "15", "1,15", "29", "*/2"]),
    st.sampled_from(["*", "3", "10", "jan-jun", "2"]),
    st.sampled_from(["*", "mon", "1-5", "sun", "7"]),
)
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/Santiago")
# About the hours in which summer time begins and ends in these zones, and any other time.
CHANGES = ("2026-03-08T07:00", "2026-03-29T01:00", "2026-04-04T15:00", "2026-10-25T01:00", "2026-11-01T06:00")
MOMENTS = st.builds(
    lambda start, minutes: datetime.fromisoformat(start).replace(tzinfo=UTC) + timedelta(minutes=minutes, seconds=7),
    st.sampled_from(CHANGES),
    st.integers(-3000, 3000) | st.integers(-100_000, 100_000),
)


def test_the_next_run_is_told_in_the_schedules_own_zone():
    due = next_run("*/15 2-5 1,15 jan-jun mon", "Asia/Tokyo")
    assert due > datetime.now(UTC)
    assert (due.hour in range(2, 6), due.minute % 15, due.utcoffset().total_seconds()) == (True, 0, 9 * 3600)


@settings(max_examples=draws(150, 3000))
@given(fields=st.tuples(*FIELDS), zone=st.sampled_from(ZONES), now=MOMENTS)
def test_the_next_run_is_the_one_that_prefect_would_make(fields, zone, now):
    from prefect.server.schemas.schedules import CronSchedule  # noqa: PLC0415 - seconds

    schedule = CronSchedule(cron=" ".join(fields), timezone=zone)
    expected = asyncio.run(schedule.get_dates(1, start=now))
    assume(expected[0] >= now)  # of a time that summer time skips Prefect names one that is past
    found = next_run(schedule.cron, zone, now)
    assert [found.timestamp()] == [date.timestamp() for date in expected]


@pytest.mark.parametrize("cron", ["99 99 * * *", "0 4 * * funday", "0 4 31 2 *", "R 4 * * *", "0 h * * *"])
def test_a_schedule_that_never_runs_is_refused_before_a_server_starts(cron, tmp_path):
    with pytest.raises(UsageError, match=r"CTR_RETRAIN_CRON: expected a cron expression .*, and days that there are"):
        serve_daily(load_settings(cron=cron, root=str(tmp_path / "root")))
    assert list(tmp_path.iterdir()) == []


def test_the_next_run_is_told_without_importing_prefect():
    program = (
        "import sys\nfrom ctr_retrain.tasks.schedule.next_run import next_run\n"
        "print(next_run('0 4 * * *', 'UTC'))\nassert 'prefect' not in sys.modules\n"
    )
    told = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, check=True, capture_output=True, text=True)
    assert "04:00:00+00:00" in told.stdout


def test_a_scheduled_run_makes_missed_days_first_and_one_that_fails_stops_no_other(great_expectations, tmp_path):
    newest = newest_day(datetime.now(UTC))
    days = [newest - timedelta(days=back) for back in (3, 2, 1, 0)]
    world = World(seed=3, rows_per_day=1500, ad_ctr=0.06, push_ctr=0.05)
    simulate(world, newest - timedelta(days=7), 8, tmp_path)
    shutil.rmtree(tmp_path / "landing" / "impressions" / f"dt={days[2]}")
    recipe, root = write_recipe(tmp_path, min_positives=1_000_000, min_rows=100), tmp_path / "root"
    places = (recipe, str(root), str(tmp_path / "landing"))
    daily(days[0], *places)
    with pytest.raises(DataRejectedError, match=str(newest)):  # whose validation day is the one without data
        daily(None, *places, catch_up="all")
    nights = load_nights(LocalStore(root), 9)
    ended = sorted((attempt.began, night.day, attempt.end) for night in nights for attempt in night.attempts)
    assert [one[1:] for one in ended] == list(zip(days, ("done", "done", "rejected", "rejected"), strict=True))
