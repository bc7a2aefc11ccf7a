"""Nights that fail, find nothing, are killed or never come: each reaches a receiver, and its end does too.

No night trains a model, which saves the time: what becomes of a night doesn't depend on it.
"""

import os
import shutil
import signal
import time

import pytest

from ctr_retrain.models.errors import DataRejectedError
from ctr_retrain.tasks.nights.night_marks import load_nights
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.support.alert_receivers import Webhook
from tests.support.command_line import at
from tests.support.flow_answers import daily
from tests.support.small_world import LAST_DAY, NEXT_DAY, RUN_DAY, start_command, write_recipe


def news(hook, before):
    """What the receiver was told since it had so many messages: change, kind and level of each."""
    return [(one["change"], one["kind"], one["level"]) for one in hook.received[before:]]


@pytest.fixture(scope="module")
def place(small_landing, tmp_path_factory):
    """A recipe that trains nothing, a new root, and a landing zone in which two days have not landed yet."""
    folder = tmp_path_factory.mktemp("nights")
    shutil.copytree(
        small_landing, folder / "landing", ignore=shutil.ignore_patterns(f"dt={NEXT_DAY}", f"dt={LAST_DAY}")
    )
    return write_recipe(folder, min_positives=1_000_000), folder / "root", folder / "landing"


def land(small_landing, landing, day):
    for stream in ("impressions", "outcomes"):
        shutil.copytree(small_landing / stream / f"dt={day}", landing / stream / f"dt={day}", dirs_exist_ok=True)


def kill_half_way(place, day):
    """Start a run as the command line does, and kill it as soon as it has left its mark."""
    recipe, root, landing = place
    arguments = ["--recipe", recipe, "--root", root, "--landing", landing, "daily", "--date", day]
    process = start_command(*arguments)
    while not any(one.process == process.pid for one in load_nights(LocalStore(root), 1)[0].attempts):
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def test_what_becomes_of_nights_is_told_once_each_and_so_is_its_end(
    great_expectations, place, small_landing, monkeypatch
):
    recipe, root, landing = place
    run = (recipe, str(root), str(landing))
    with Webhook() as hook:
        monkeypatch.setenv("CTR_RETRAIN_WEBHOOK_URL", hook.url)
        monkeypatch.setenv("CTR_RETRAIN_HEARTBEAT_URL", "http://127.0.0.1:9/nobody")
        daily(RUN_DAY, *run)
        assert hook.received == []

        for _ in range(2):  # the second night finds the same
            with pytest.raises(DataRejectedError, match="nothing landed"):
                daily(NEXT_DAY, *run)
        assert news(hook, 0) == [("opened", "no_data", "critical")]
        assert hook.received[0]["text"].startswith("CRITICAL small, since 8 March 2026: No impressions of 2026-03-08")

        land(small_landing, landing, NEXT_DAY)
        daily(NEXT_DAY, *run)
        assert news(hook, 1) == [("resolved", "no_data", "critical")]

        land(small_landing, landing, LAST_DAY)
        for torn in (landing / "impressions" / f"dt={LAST_DAY}").iterdir():
            torn.write_bytes(torn.read_bytes()[:-100])
            break
        with pytest.raises(DataRejectedError):
            daily(LAST_DAY, *run)
        assert news(hook, 2) == [("opened", "day_rejected", "warning")]
        assert "unreadable_files" in hook.received[2]["touches"]

        land(small_landing, landing, LAST_DAY)
        kill_half_way(place, LAST_DAY)
        at(root, landing, recipe)("alerts", "watch", "--json")
        # Months have passed since: by the calendar there was silence, too.
        assert set(news(hook, 3)) == {("opened", "run_killed", "warning"), ("opened", "no_run", "critical")}
        told = len(hook.received)
        at(root, landing, recipe)("alerts", "watch", "--json")
        assert news(hook, told) == []

        daily(LAST_DAY, *run)
        assert set(news(hook, told)) == {
            ("resolved", "run_killed", "warning"),
            ("resolved", "day_rejected", "warning"),
        }


def test_backfilled_days_tell_nobody(great_expectations, place, monkeypatch):
    recipe, root, landing = place
    with Webhook() as hook:
        monkeypatch.setenv("CTR_RETRAIN_WEBHOOK_URL", hook.url)
        shutil.rmtree(landing / "impressions" / f"dt={RUN_DAY}")
        with pytest.raises(DataRejectedError):
            daily(RUN_DAY, recipe, str(root), str(landing))
        assert [one["kind"] for one in hook.received if one["kind"] != "no_run"] == []
