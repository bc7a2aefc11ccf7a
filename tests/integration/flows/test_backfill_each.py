"""Rules of `--retrain each`: in order, also under kills; its plan names champions, and its clock the time left.

Its days train for a minute or two together, each in processes of its own as in production: `make soak`.
"""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from datetime import timedelta
from types import SimpleNamespace

import pytest

from ctr_retrain.models.data.days import day_range
from ctr_retrain.tasks.operate.registry import recorded_run
from ctr_retrain.tasks.report.recorded_run import load_document
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.champion import read_champions
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.support.counts import SOAK
from tests.support.repository import REPOSITORY
from tests.support.small_world import FIRST_DAY, LAST_DAY, clean_environment, command

pytestmark = pytest.mark.skipif(not SOAK, reason="a dozen whole runs take minutes: make soak")
FIRST = FIRST_DAY + timedelta(days=2)  # the first that has a day to train on
KILLS = 3
UNITS = {"h": 3600, "min": 60, "s": 1}


def start(places):
    """Start a backfill, whose models have processes of their own."""
    arguments = [*places, "--json", "backfill", "--start", FIRST, "--end", LAST_DAY, "--retrain", "each"]
    return subprocess.Popen(
        [sys.executable, "-m", "ctr_retrain.flows.cli", *map(str, arguments)],
        cwd=REPOSITORY,
        env=clean_environment() | {"CTR_RETRAIN_TRAINING_PROCESS": "own"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def listened_to(process):
    """What a backfill said of the time that is left, each with the seconds since it began; and its answer."""
    began, told = time.monotonic(), []
    with process:
        for line in process.stderr:
            if found := re.match(r"backfill: .* about (.*) left", line):
                left = sum(int(count) * UNITS[unit] for count, unit in re.findall(r"(\d+) (h|min|s)", found[1]))
                told.append((time.monotonic() - began, left))
        answer = json.loads(process.stdout.read())
    assert process.returncode == 0, answer
    return SimpleNamespace(told=told, seconds=time.monotonic() - began, answer=answer)


def state(root):
    """Each day's run with its verdict and figures, and all champions, but times."""
    store, found = LocalStore(root), {}
    for day in day_range(FIRST, LAST_DAY):
        run = load_document(store, layout.run_object(recorded_run(store, day)))
        found[day] = (run.run_id, run.champion, run.verdict, run.metrics, run.evidence)
    tenures = [(one.version, one.run_day, one.data_through, one.action) for one in read_champions(store).tenures]
    nights = store.read_ref(layout.LEDGER_REF).value
    return found, tenures, [one for one in nights if one != "format"], len(nights["nights"])


@pytest.fixture(scope="module")
def undisturbed(small_landing, recipe_file, tmp_path_factory):
    root = tmp_path_factory.mktemp("undisturbed") / "root"
    places = ["--recipe", recipe_file, "--root", root, "--landing", small_landing]
    arguments = [*places, "backfill", "--start", FIRST, "--end", LAST_DAY, "--retrain", "each"]
    plan = command(*arguments, "--plan", "--json").document
    heard = listened_to(start(places))
    return SimpleNamespace(root=root, plan=plan, heard=heard, again=command(*arguments, "--plan", "--json").document)


def test_a_plan_says_which_days_train_against_whom(undisturbed):
    """On a fresh root by the days before; once all are finished, those whom they really met."""
    tenures = read_champions(LocalStore(undisturbed.root)).tenures
    assert tenures
    assert [one.run_day for one in tenures] == sorted(one.run_day for one in tenures)
    followed = [day.get("champion_may_follow") for day in undisturbed.plan["days"]]
    assert followed == [None] + [str(FIRST)] * (len(followed) - 1)
    met = {day["date"]: day["champion"] for day in undisturbed.again["days"]}
    assert {day["reason"] for day in undisturbed.again["days"]} == {"finished"}
    for day in day_range(FIRST, LAST_DAY):
        before = [one.version for one in tenures if one.run_day < day]
        assert met[str(day)] == (before[-1] if before else None)


def test_from_a_fifth_of_the_way_on_the_time_left_of_a_real_one_is_told_and_mostly_right_within_a_quarter(undisturbed):
    """Others use the machine too, more at one time than at another; simulated ones are held to the quarter itself."""
    heard = undisturbed.heard
    told = [(at, left, heard.seconds - at) for at, left in heard.told if left and at >= heard.seconds / 5]
    assert len(told) >= 3
    right = [one for one in told if abs(one[1] - one[2]) <= one[2] / 4]
    assert len(right) >= len(told) / 2, told
    assert all(true / 2 <= left <= true * 2 for _, left, true in told), told


def test_one_that_is_killed_again_and_again_ends_as_the_undisturbed_one(
    undisturbed, small_landing, recipe_file, tmp_path
):
    chance, root = random.Random(5), tmp_path / "root"  # noqa: S311 - moments, not a secret
    places = ["--recipe", recipe_file, "--root", root, "--landing", small_landing]
    killed = 0
    for _ in range(KILLS):
        runs = len(LocalStore(root).list_refs("runs")) if root.exists() else 0
        process = start(places)
        while process.poll() is None and (not root.exists() or len(LocalStore(root).list_refs("runs")) <= runs):
            time.sleep(0.05)
        time.sleep(chance.uniform(0, 12))  # anywhere amid the next run
        if process.poll() is None:  # a fast machine may have made all runs by now
            killed += 1
            os.killpg(process.pid, signal.SIGKILL)
        with process:
            process.communicate()
    assert killed
    listened_to(start(places))
    assert state(root) == state(undisturbed.root)
