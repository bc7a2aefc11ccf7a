"""Rules of `serve`: it fires by itself, and keeps its server alive."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from datetime import date, timedelta

import psutil
import pytest

from ctr_retrain.models.errors import StorageError
from ctr_retrain.models.simulation.world import World
from ctr_retrain.tasks.demo.simulate_days import simulate
from ctr_retrain.tasks.orchestration.kept_server import DATABASE, kept_server
from ctr_retrain.tasks.orchestration.own_server import free_port
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.support.repository import REPOSITORY
from tests.support.small_world import clean_environment, write_recipe

# What a shell starts in the background ignores Ctrl-C, and so do its children, unless they are told otherwise.
HEEDS_CTRL_C = ("env", "--default-signal=INT")


def asked(url, body, method="POST"):
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}, method=method
    )
    while True:
        try:
            with urllib.request.urlopen(request) as answer:
                return json.loads(answer.read() or "null")
        except urllib.error.HTTPError as error:
            if error.code != 503:  # a machine under load answers so that its database is busy
                raise
            time.sleep(0.5)


def wait_for(found, process, log):
    while not (answer := found()):
        assert process.poll() is None, log.read_text(encoding="utf-8")
        time.sleep(0.3)
    return answer


def answers(server):
    try:
        with urllib.request.urlopen(f"{server}/api/health"):
            return True
    except (urllib.error.URLError, ConnectionError):
        return False


def ended_runs(server):
    """The runs of nights that came to a verdict, by Prefect's records."""
    runs = asked(f"{server}/api/flow_runs/filter", {"flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}})
    return [run["id"] for run in runs if run["name"].startswith("small ") and run["name"].endswith(" held")]


def name_of(server, run):
    with urllib.request.urlopen(f"{server}/api/flow_runs/{run}") as answer:
        return json.loads(answer.read())["name"]


def stop_schedule(server, deployment):
    (schedule,) = deployment["schedules"]
    asked(f"{server}/api/deployments/{deployment['id']}/schedules/{schedule['id']}", {"active": False}, "PATCH")


def kill_server(process, port):
    (server,) = (child for child in psutil.Process(process.pid).children() if str(port) in child.cmdline())
    server.kill()


def test_serve_fires_by_itself_outlives_a_broken_database_and_a_crash_of_its_server_and_stops_with_it(tmp_path):
    """Cron knows no seconds: due at the next full minute, for the day before in the schedule's time zone."""
    today = date.today()  # noqa: DTZ011 - whichever day it is where the schedule lives, it is among the simulated ones
    simulate(World(seed=3, rows_per_day=3000, ad_ctr=0.06, push_ctr=0.05), today - timedelta(days=6), 8, tmp_path)
    recipe = write_recipe(tmp_path, min_positives=1_000_000)  # a verdict without training, to keep this short
    root, log, port = tmp_path / "root", tmp_path / "serve.log", free_port()
    database = root / "prefect" / DATABASE
    database.parent.mkdir(parents=True)
    database.write_bytes(b"this is no database" * 1000)
    command = ["--recipe", recipe, "--root", root, "--landing", tmp_path / "landing", "serve"]
    schedule = {"CTR_RETRAIN_CRON": "* * * * *", "CTR_RETRAIN_TIMEZONE": "Europe/Berlin"}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*HEEDS_CTRL_C, sys.executable, "-m", "ctr_retrain.flows.cli", *map(str, command)],
            cwd=REPOSITORY,
            env={**clean_environment(), **schedule, "CTR_RETRAIN_SERVER_PORT": str(port)},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: answers(server) and asked(f"{server}/api/deployments/filter", {})[3:], process, log)
        deployments = {one["name"]: one for one in asked(f"{server}/api/deployments/filter", {})}
        assert deployments.keys() == {"nightly", "by-hand"}
        (registered,) = deployments["nightly"]["schedules"]
        assert registered["active"]
        assert registered["schedule"]["cron"] == "* * * * *"
        assert registered["schedule"]["timezone"] == "Europe/Berlin"
        (aside,) = database.parent.glob(f"{DATABASE}.[0-9]*[0-9]")
        assert aside.read_bytes().startswith(b"this is no database")
        with pytest.raises(StorageError, match=f"expected port {port} .* CTR_RETRAIN_SERVER_PORT"):
            kept_server(tmp_path / "another", port).__enter__()

        (before,) = wait_for(lambda: ended_runs(server), process, log)[:1]
        (day,) = LocalStore(root).list_refs("runs")
        run = LocalStore(root).read_ref(day).value["current"]
        document = json.loads((root / "runs" / run / "run.json").read_text(encoding="utf-8"))
        assert document["verdict"]["decision"] == "hold"
        assert abs((date.fromisoformat(document["date"]) - today).days) <= 2
        stop_schedule(server, deployments["nightly"])  # enough nights

        kill_server(process, port)
        wait_for(lambda: "it answers again" in log.read_text(encoding="utf-8"), process, log)
        assert before in ended_runs(server)  # its database is the same
        forms = asked(f"{server}/api/deployments/filter", {"flows": {"name": {"any_": ["gc"]}}})
        begun = asked(f"{server}/api/deployments/{forms[0]['id']}/create_flow_run", {"parameters": {"dry_run": True}})
        wait_for(lambda: "would remove" in name_of(server, begun["id"]), process, log)
        told = log.read_text(encoding="utf-8")
        assert "it ended, killed by SIGKILL. It is started again" in told
        assert f"small {document['date']}: held. {document['verdict']['reason']}" in told

        process.send_signal(signal.SIGINT)
        assert process.wait() == 0
        assert not answers(server)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
