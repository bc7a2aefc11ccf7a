import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from datetime import date, timedelta

from ctr_retrain.models.simulation.world import World
from ctr_retrain.tasks.demo.simulate_days import simulate
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.support.repository import REPOSITORY
from tests.support.small_world import clean_environment, write_recipe

# What a shell starts in the background ignores Ctrl-C, and so do its children, unless they are told otherwise.
HEEDS_CTRL_C = ("env", "--default-signal=INT")


def asked(url, body):
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read())


def wait_for(found, process, log):
    while not (answer := found()):
        assert process.poll() is None, log.read_text(encoding="utf-8")
        time.sleep(0.3)
    return answer


def test_serve_registers_the_schedule_fires_by_itself_and_stops_with_its_server(tmp_path):
    """Cron knows no seconds: due at the next full minute, for the day before in the schedule's time zone."""
    today = date.today()  # noqa: DTZ011 - whichever day it is where the schedule lives, it is among the simulated ones
    simulate(World(seed=3, rows_per_day=3000, ad_ctr=0.06, push_ctr=0.05), today - timedelta(days=6), 8, tmp_path)
    recipe = write_recipe(tmp_path, min_positives=1_000_000)  # a verdict without training, to keep this short
    root, log = tmp_path / "root", tmp_path / "serve.log"
    command = ["--recipe", recipe, "--root", root, "--landing", tmp_path / "landing", "serve"]
    schedule = {"CTR_RETRAIN_CRON": "* * * * *", "CTR_RETRAIN_TIMEZONE": "Europe/Berlin"}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*HEEDS_CTRL_C, sys.executable, "-m", "ctr_retrain.flows.cli", *map(str, command)],
            cwd=REPOSITORY,
            env={**clean_environment(), **schedule},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        server = wait_for(
            lambda: re.search(r"Prefect server: (\S+)", log.read_text(encoding="utf-8")), process, log
        ).group(1)
        (deployment,) = wait_for(lambda: asked(f"{server}/api/deployments/filter", {}), process, log)
        (registered,) = deployment["schedules"]
        assert (deployment["name"], registered["active"]) == ("nightly", True)
        assert registered["schedule"]["cron"] == "* * * * *"
        assert registered["schedule"]["timezone"] == "Europe/Berlin"

        (day,) = wait_for(lambda: LocalStore(root).list_refs("runs"), process, log)[:1]
        run = LocalStore(root).read_ref(day).value["current"]
        document = json.loads((root / "runs" / run / "run.json").read_text(encoding="utf-8"))
        assert document["verdict"]["decision"] == "hold"
        assert abs((date.fromisoformat(document["date"]) - today).days) <= 2

        process.send_signal(signal.SIGINT)
        process.wait()
        assert not answers(server)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def answers(server):
    try:
        with urllib.request.urlopen(f"{server}/api/health"):
            return True
    except (urllib.error.URLError, ConnectionError):
        return False
