"""Rules of the schedule: what Prefect reads runs, and all else is refused before the first night."""

from datetime import UTC, datetime

import pytest

from ctr_retrain.flows.schedule import next_run, serve_daily
from ctr_retrain.flows.settings import load_settings
from ctr_retrain.models.errors import UsageError


def test_the_next_run_is_told_in_the_schedules_own_zone():
    due = next_run(load_settings(cron="*/15 2-5 1,15 jan-jun mon", timezone="Asia/Tokyo"))
    assert due > datetime.now(UTC)
    assert (due.hour in range(2, 6), due.minute % 15, due.utcoffset().total_seconds()) == (True, 0, 9 * 3600)


@pytest.mark.parametrize("cron", ["99 99 * * *", "0 4 * * funday", "0 4 31 2 *"])
def test_a_schedule_that_never_runs_is_refused_before_a_server_starts(cron, tmp_path):
    with pytest.raises(UsageError, match=r"CTR_RETRAIN_CRON: expected a cron expression .*, and days that there are"):
        serve_daily(load_settings(cron=cron, root=str(tmp_path / "root")))
    assert list(tmp_path.iterdir()) == []
