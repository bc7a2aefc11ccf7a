"""The production shape on one machine, started as its user does: `make test-stack`, and no part of `make test`."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.support.driven_browser import driven_browser
from tests.support.repository import REPOSITORY
from tests.support.small_world import clean_environment, write_recipe

PAST_DAY, LAST_DAY = "2026-03-06", "2026-03-07"


@pytest.fixture(scope="module")
def stack():
    """A stack that ran its day and still runs. Its folder is one that PostgreSQL's own user can reach."""
    folder = Path(tempfile.mkdtemp(prefix="ctr-stack-"))
    folder.chmod(0o711)
    recipe = write_recipe(folder)
    with recipe.open("a", encoding="utf-8") as text:
        text.write("\n[alerts]\ndata_due_hours = 1000\n")  # a scheduled run of today waits, at whatever hour tests run
    command = ["-m", "infra.stack.start_stack", "--folder", folder / "stack", "--recipe", recipe]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *map(str, command), "--days", "6", "--rows-per-day", "12000"],
            cwd=REPOSITORY,
            env=clean_environment(),
            stderr=log,
            start_new_session=True,
        )
    told = folder / "stack" / "stack.json"
    try:
        while not told.exists():
            assert process.poll() is None, (folder / "log").read_text(encoding="utf-8")
            time.sleep(0.5)
        yield SimpleNamespace(process=process, folder=folder / "stack", **json.loads(told.read_text(encoding="utf-8")))
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def asked(url, body=None, accept="application/json"):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", "Accept": accept})
    with urllib.request.urlopen(request) as answer:
        return answer.read().decode()


def command(stack, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", "ctr_retrain.flows.cli", *arguments, "--json"],
        cwd=REPOSITORY,
        env={**clean_environment(), **stack.environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, json.loads(done.stdout)


def test_the_worker_ran_the_day_and_the_servers_records_lie_in_postgresql(stack):
    assert (stack.run["state"], stack.run["day"]) == ("Completed", LAST_DAY)
    secret = (stack.folder / "postgres" / "password").read_text(encoding="utf-8")
    port = (stack.folder / "postgres" / "data" / "postmaster.pid").read_text(encoding="utf-8").splitlines()[3]
    question = "select id, state_type from flow_run"
    psql = ["/usr/bin/psql", "-h", "127.0.0.1", "-p", port, "-U", "prefect", "-d", "prefect", "-Atc", question]
    found = subprocess.run(psql, env={**os.environ, "PGPASSWORD": secret}, capture_output=True, text=True, check=True)
    assert f"{stack.run['id']}|COMPLETED" in found.stdout.splitlines()


def test_every_page_that_is_named_answers(stack):
    for page in stack.pages.values():
        assert Path(page).exists() or "<html" in asked(page, accept="text/html"), page
    runs = stack.pages["all runs and reports"]
    listed = asked(runs)
    assert LAST_DAY in listed
    (report,) = re.findall(r'href="(runs/[^"]+/report\.html)"', listed)
    assert LAST_DAY in asked(runs.replace("index.html", report))


def test_prefect_knows_the_deployment_its_schedule_and_a_worker_that_lives(stack):
    api = f"{stack.addresses['prefect']}/api"
    (nightly,) = [one for one in json.loads(asked(f"{api}/deployments/filter", {})) if one["name"] == "nightly"]
    assert nightly["work_pool_name"] == "ctr-retrain"
    assert nightly["schedules"][0]["schedule"]["cron"] == "0 4 * * *"
    (worker,) = json.loads(asked(f"{api}/work_pools/ctr-retrain/workers/filter", {}))
    assert (worker["name"], worker["status"]) == ("worker-1", "ONLINE")


def test_the_bucket_has_the_run_with_a_model_that_was_judged(stack):
    status, document = command(stack, "explain", LAST_DAY)
    assert status == 0
    assert document["date"] == LAST_DAY
    assert document["metrics"]["challenger"]["rows"] > 1000, document["verdict"]  # it trained, and was judged


def test_prefects_pages_say_of_the_run_its_recipe_day_and_verdict_with_words_figures_and_report(stack):
    api = f"{stack.addresses['prefect']}/api"
    status, document = command(stack, "explain", LAST_DAY)
    decided = {"promote": "promoted", "hold": "held", "reject": "rejected"}[document["verdict"]["decision"]]
    run = json.loads(asked(f"{api}/flow_runs/{stack.run['id']}"))
    assert (status, run["name"]) == (0, f"small {LAST_DAY} {decided}")
    tags = {"recipe:small", f"day:{LAST_DAY}", f"verdict:{document['verdict']['decision']}", "ctr-retrain"}
    assert set(run["tags"]) == tags
    of_run = {"artifacts": {"flow_run_id": {"any_": [run["id"]]}}}
    made = {one["key"]: one["data"] for one in json.loads(asked(f"{api}/artifacts/filter", of_run))}
    assert made.keys() == {"small-summary", "small-metrics", "small-report", "small-progress"}
    auc = next(row for row in json.loads(made["small-metrics"]) if row["metric"] == "AUC")
    assert auc["challenger"] == f"{document['metrics']['challenger']['auc']:.4f}"
    assert document["report"] in made["small-report"]
    logs = {"logs": {"flow_run_id": {"any_": [run["id"]]}}, "limit": 200}
    story = [line["message"] for line in json.loads(asked(f"{api}/logs/filter", logs))]
    assert any("impressions and" in line for line in story)
    assert any(document["verdict"]["reason"] in line for line in story)


def names_of_backfills(address):
    runs = json.loads(asked(f"{address}/api/flow_runs/filter", {"flows": {"name": {"any_": ["backfill"]}}}))
    return "\n".join(run["name"] for run in runs)


def test_the_form_in_a_browser_says_what_fields_mean_refuses_what_is_wrong_and_starts_a_backfill(stack, tmp_path):
    address = stack.addresses["prefect"]
    (backfill,) = json.loads(asked(f"{address}/api/deployments/filter", {"flows": {"name": {"any_": ["backfill"]}}}))
    with driven_browser(tmp_path / "profile") as page:
        page.open(f"{address}/deployments/deployment/{backfill['id']}/run")
        fields = backfill["parameter_openapi_schema"]["properties"].values()
        page.wait_for(lambda words: all(field["description"] in words for field in fields))
        page.click("Submit")
        page.wait_for(lambda words: "'start' is a required property" in words)
        page.click("int")
        while "0 is not valid" not in page.words():  # the form can lose what is put into a field that it just made
            page.fill("days_at_once (Optional)", "0")
            page.click("Submit")
            time.sleep(0.5)
        page.fill("start", PAST_DAY)
        page.fill("end", PAST_DAY)
        page.fill("days_at_once (Optional)", "1")
        page.click("Submit")
        while "tab=Runs" not in page.run("location.href"):  # where Prefect's pages lead once the run is made
            time.sleep(0.5)
        while not (ended := re.findall(f"small backfill {PAST_DAY} to {PAST_DAY}: .+", names_of_backfills(address))):
            time.sleep(1)
        page.open(f"{address}/deployments/deployment/{backfill['id']}?tab=Runs")
        page.wait_for(lambda words: ended[0] in words)
    status, document = command(stack, "explain", PAST_DAY)
    assert (status, document["date"]) == (0, PAST_DAY)
    assert ended == [f"small backfill {PAST_DAY} to {PAST_DAY}: 1 {document['verdict']['decision']}"]


def test_a_message_reaches_the_receiver(stack):
    status, _ = command(stack, "alerts", "test")
    assert status == 0
    messages = (stack.folder / "messages.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(messages[-1])["recipe"] == "small"


def test_the_watchdog_runs_beside_nightly_runs_that_wait_for_their_data(stack):
    api = f"{stack.addresses['prefect']}/api"
    flow = {one["id"]: one["name"] for one in json.loads(asked(f"{api}/flows/filter", {}))}
    deployments = {
        f"{flow[one['flow_id']]}/{one['name']}": one["id"] for one in json.loads(asked(f"{api}/deployments/filter", {}))
    }

    def start(deployment):
        state = {"state": {"type": "SCHEDULED"}}
        return json.loads(asked(f"{api}/deployments/{deployments[deployment]}/create_flow_run", state))["id"]

    def run(which):
        return json.loads(asked(f"{api}/flow_runs/{which}"))

    waiting = [start("daily/nightly"), start("daily/nightly")]
    while not all(run(one)["name"].endswith("waits for data") for one in waiting):
        time.sleep(0.5)
    watchdog = start("watchdog/hourly")
    while run(watchdog)["state_type"] not in ("COMPLETED", "FAILED", "CRASHED"):
        time.sleep(0.5)
    assert run(watchdog)["state_type"] == "COMPLETED"
    assert [run(one)["state_type"] for one in waiting] == ["RUNNING", "RUNNING"]


def processes_of(folder):
    """The processes whose environment or arguments name a folder, other than this one."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # one that ends while it is looked at
            told = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
            if bytes(folder) in told:
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


def test_what_stops_the_stack_stops_all_of_it(stack):
    """Last, since nothing is left afterwards; two nightly runs still wait for their data."""
    stack.process.send_signal(signal.SIGTERM)
    assert stack.process.wait() == 0
    for address in stack.addresses.values():
        with pytest.raises((urllib.error.URLError, ConnectionError)):
            asked(address)
    assert not (stack.folder / "postgres" / "data" / "postmaster.pid").exists()
    assert not processes_of(stack.folder)
