"""Runs where a Prefect server is named: they appear there, and are worth more than their record."""

import http.server
import json
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import contextmanager
from datetime import datetime
from threading import Event
from types import SimpleNamespace

import pytest
from prefect.settings import PREFECT_API_REQUEST_TIMEOUT, PREFECT_API_URL, temporary_settings

from ctr_retrain.models.errors import LeftOutError, StorageError
from ctr_retrain.tasks.orchestration import prefect_records, run_notes
from ctr_retrain.tasks.orchestration.prefect_records import RecordedFlow
from ctr_retrain.tasks.orchestration.prefect_server import settle_server
from ctr_retrain.tasks.orchestration.run_notes import name_run
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.support.breakable_way import breakable_way
from tests.support.counts import SOAK
from tests.support.repository import REPOSITORY
from tests.support.small_world import (
    LAST_DAY,
    NEXT_DAY,
    RUN_DAY,
    clean_environment,
    command,
    copy_days,
    write_recipe,
)


def asked(url, path, body):
    request = urllib.request.Request(f"{url}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read())


@contextmanager
def answering(status, body, kind):
    """A server that gives everybody the same answer."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - the library's name

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/api"
        server.shutdown()


@contextmanager
def silent():
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/api"


@contextmanager
def nobody():
    yield "http://127.0.0.1:9/api"


FAULTS = {
    "nobody there": (nobody, "Connection refused"),
    "silent": (silent, "no answer within 1 s"),
    "503": (lambda: answering(503, b"busy", "text/plain"), "HTTP status 503"),
    "a database that is none": (lambda: answering(500, b'{"exception_message":"Internal"}', "application/json"), "500"),
    "another page": (lambda: answering(200, b"<html>hello</html>", "text/html"), "none of Prefect's"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_a_named_server_answers_is_told_in_one_line(fault, monkeypatch):
    server, words = FAULTS[fault]
    if fault == "silent":  # the others answer, however long that takes here
        monkeypatch.setattr("ctr_retrain.tasks.orchestration.prefect_server.ANSWER_SECONDS", 1)
    with server() as url, temporary_settings({PREFECT_API_URL: url}):
        monkeypatch.setenv("PREFECT_API_URL", url)
        with pytest.raises(StorageError, match=words) as failed:
            settle_server(optional=False)
    assert str(failed.value).startswith(f"PREFECT_API_URL {url.removesuffix('/api')}: expected a Prefect server")
    assert "\n" not in str(failed.value)


def test_without_the_named_server_nothing_begins(small_landing, recipe_file, tmp_path):
    places = ("--recipe", recipe_file, "--root", tmp_path / "root", "--landing", small_landing)
    failed = command(*places, "daily", "--date", RUN_DAY, PREFECT_API_URL="http://127.0.0.1:9/api")
    assert failed.status == 4
    (line,) = [line for line in failed.stderr.splitlines() if not line.startswith("note: ")]
    assert line.startswith("StorageError: PREFECT_API_URL http://127.0.0.1:9: expected a Prefect server")
    assert not (tmp_path / "root").exists()


def test_flows_that_are_recorded_can_be_sent_to_the_processes_of_scheduled_runs_and_of_workers():
    program = (
        "import cloudpickle\nfrom ctr_retrain.flows import backfill, compare, daily, watchdog\n"
        "from ctr_retrain.tasks.orchestration import prefect_days\n"
        "for flow in (backfill.backfill, compare.compare, daily.daily, watchdog.watchdog, prefect_days.run_days):\n"
        "    sent = cloudpickle.loads(cloudpickle.dumps(flow))\n"
        "    assert (sent.name, type(sent)) == (flow.name, type(flow))\n"
    )
    named = clean_environment() | {"PREFECT_API_URL": "http://127.0.0.1:9/api"}
    subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, env=named, check=True)


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    """A recipe by which no day has enough clicks to train, which saves the time."""
    return write_recipe(tmp_path_factory.mktemp("untrained"), min_positives=1_000_000)


def test_where_the_server_is_optional_the_run_goes_on_without_it(first_run, small_landing, untrained, tmp_path):
    root = copy_days(first_run, tmp_path / "root")
    places = ("--json", "--recipe", untrained, "--root", root, "--landing", small_landing)
    without = {"PREFECT_API_URL": "http://127.0.0.1:9/api", "CTR_RETRAIN_PREFECT_SERVER": "optional"}
    done = command(*places, "daily", "--date", RUN_DAY, **without)
    assert (done.status, done.document["verdict"]["decision"]) == (0, "hold")
    assert "This run goes on and is not recorded there." in done.stderr


@pytest.fixture(scope="module")
def recorded(prefect_server, small_landing, untrained, tmp_path_factory):
    """A backfill of one day with its run, of which the server was told: the day's entry, and its root."""
    root = tmp_path_factory.mktemp("recorded") / "root"
    places = ("--json", "--recipe", untrained, "--root", root, "--landing", small_landing)
    done = command(*places, "backfill", "--start", NEXT_DAY, "--end", NEXT_DAY, PREFECT_API_URL=prefect_server)
    assert done.status == 0, done.stderr
    (entry,) = done.document["days"]
    return SimpleNamespace(run_id=entry["run_id"], root=root)


def test_a_run_and_its_stages_appear_on_the_server_that_is_named(prefect_server, recorded):
    (backfill,) = asked(prefect_server, "/flow_runs/filter", {"flows": {"name": {"any_": ["backfill"]}}})
    assert backfill["name"] == f"small backfill {NEXT_DAY} to {NEXT_DAY}: 1 hold"
    (days,) = asked(prefect_server, "/artifacts/filter", {"artifacts": {"key": {"any_": ["small-backfill"]}}})
    assert json.loads(days["data"]) == [{"day": str(NEXT_DAY), "outcome": "hold", "run or reason": recorded.run_id}]
    flows = {flow["id"]: flow["name"] for flow in asked(prefect_server, "/flows/filter", {})}
    runs = {flows[run["flow_id"]]: run["state"]["type"] for run in asked(prefect_server, "/flow_runs/filter", {})}
    assert runs == {"backfill": "COMPLETED", "daily": "COMPLETED", "days": "COMPLETED"}


def test_a_runs_name_tags_and_artifacts_say_recipe_day_and_verdict(prefect_server, recorded):
    named = {"flow_runs": {"name": {"any_": [f"small {NEXT_DAY} held"]}}}
    (run,) = asked(prefect_server, "/flow_runs/filter", named)
    assert set(run["tags"]) == {"recipe:small", f"day:{NEXT_DAY}", "verdict:hold"}
    of_run = {"artifacts": {"flow_run_id": {"any_": [run["id"]]}}}
    made = {one["key"]: one for one in asked(prefect_server, "/artifacts/filter", of_run)}
    assert made.keys() == {"small-summary", "small-report", "small-progress"}
    folder = recorded.root / "runs" / recorded.run_id
    verdict = json.loads((folder / "verdict.json").read_text(encoding="utf-8"))
    assert f"**{NEXT_DAY}: held.**" in made["small-summary"]["data"]
    assert verdict["reason"][:40] in made["small-summary"]["data"]
    assert str(folder / "report.html") in made["small-report"]["data"]
    assert made["small-progress"]["data"] == 100


def test_a_run_that_fails_says_so_in_its_name_and_in_one_sentence(prefect_server, small_landing, untrained, tmp_path):
    places = ("--json", "--recipe", untrained, "--root", tmp_path / "root", "--landing", small_landing)
    failed = command(*places, "daily", "--date", "2031-01-01", PREFECT_API_URL=prefect_server)
    assert failed.status == 3, failed.stderr
    named = {"flow_runs": {"name": {"any_": ["small 2031-01-01 data rejected"]}}}
    (run,) = asked(prefect_server, "/flow_runs/filter", named)
    assert "end:rejected" in run["tags"]
    of_run = {"artifacts": {"flow_run_id": {"any_": [run["id"]]}, "key": {"any_": ["small-summary"]}}}
    (summary,) = asked(prefect_server, "/artifacts/filter", of_run)
    sentence = failed.document["error"]["message"].splitlines()[0][:60]
    assert sentence in summary["data"]
    assert failed.stderr.count(sentence) == 1  # whose words are the command's


@pytest.mark.parametrize(
    ("error", "state", "words"),
    [
        (StorageError("disk full."), "Failed", "StorageError: disk full. Its traceback is in /"),
        (ZeroDivisionError("by a mistake"), "Failed", "ZeroDivisionError: by a mistake. Its traceback is in /"),
        (LeftOutError("It is too late."), "Left out", "It is too late."),
    ],
)
def test_the_state_of_a_flow_run_that_fails_is_one_sentence_and_its_caller_gets_the_error(
    prefect_server, monkeypatch, error, state, words
):
    def fail():
        raise error

    monkeypatch.setenv("PREFECT_API_URL", prefect_server)
    name = f"fails-{type(error).__name__}"
    with temporary_settings({PREFECT_API_URL: prefect_server}), pytest.raises(type(error)) as raised:
        RecordedFlow(fail, name=name)()
    assert raised.value is error
    (run,) = asked(prefect_server, "/flow_runs/filter", {"flows": {"name": {"any_": [name]}}})
    assert run["state"]["name"] == state
    assert run["state"]["message"].startswith(words)
    assert "\n" not in run["state"]["message"]


def test_an_answer_that_tells_of_failures_ends_its_flow_run_failed_and_reaches_the_caller(prefect_server, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", prefect_server)
    name = "tells-of-failures"
    with temporary_settings({PREFECT_API_URL: prefect_server}):
        recorded = RecordedFlow(lambda: ["a day"], lambda days: StorageError(f"{days[0]} failed."), name=name)
        assert [recorded() for _ in range(2)] == [["a day"]] * 2  # the second one is recorded as well
    runs = asked(prefect_server, "/flow_runs/filter", {"flows": {"name": {"any_": [name]}}})
    ends = [(run["state"]["type"], run["state"]["message"]) for run in runs]
    assert ends == [("FAILED", "StorageError: a day failed.")] * 2


def test_a_backfill_with_days_that_failed_is_failed_on_the_server_too(prefect_server, untrained, tmp_path):
    (tmp_path / "landing").mkdir()
    places = ("--json", "--recipe", untrained, "--root", tmp_path / "root", "--landing", tmp_path / "landing")
    days = ("--start", "2031-02-01", "--end", "2031-02-01", "--retrain", "none")
    failed = command(*places, "backfill", *days, PREFECT_API_URL=prefect_server)
    assert (failed.status, failed.document["days"][0]["outcome"]) == (3, "data rejected")
    named = {"flow_runs": {"name": {"any_": ["small backfill 2031-02-01 to 2031-02-01: 1 data rejected"]}}}
    (run,) = asked(prefect_server, "/flow_runs/filter", named)
    assert (run["state"]["type"], run["state"]["message"]) == ("FAILED", f"DataRejectedError: {MESSAGE}")
    assert failed.document["error"]["message"] == MESSAGE
    assert failed.stderr.count(MESSAGE[:60]) == 1


MOST_TRIES = 40  # to connect to a server that has gone
ENDS = ["break_off", "fall_silent"] if SOAK else ["break_off"]


def test_a_server_that_leaves_a_note_unanswered_is_asked_everything_else_once(prefect_server, monkeypatch):
    """Eight times in all, the note's retries among them; each at Prefect's usual retries made it forty."""
    monkeypatch.setattr(run_notes, "_failed", Event())
    monkeypatch.setattr(prefect_records, "_gone", Event())
    with breakable_way(prefect_server) as way:
        monkeypatch.setenv("PREFECT_API_URL", way.url)

        def fall_silent():
            way.fall_silent()
            name_run("nobody hears it")
            return "done"

        with temporary_settings({PREFECT_API_URL: way.url, PREFECT_API_REQUEST_TIMEOUT: 0.2}):
            assert RecordedFlow(fall_silent, name="asked-once")() == "done"
        assert way.tries < MOST_TRIES / 2


def recorded_by(way, *arguments):
    """Start the command line, whose run is recorded by a way to the server."""
    named = {"PREFECT_API_URL": way.url, "PREFECT_API_REQUEST_TIMEOUT": "10"}  # as where nobody sets it
    return subprocess.Popen(
        [sys.executable, "-m", "ctr_retrain.flows.cli", *map(str, arguments)],
        cwd=REPOSITORY,
        env={**clean_environment(), **named},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("end", ENDS)
def test_a_server_that_goes_away_amid_a_run_costs_neither_the_run_nor_its_verdict(
    end, prefect_server, small_landing, untrained, tmp_path
):
    root = tmp_path / "root"
    places = ("--json", "--recipe", untrained, "--root", root, "--landing", small_landing)
    with breakable_way(prefect_server) as way:
        run = recorded_by(way, *places, "daily", "--date", RUN_DAY)
        while not LocalStore(root).list_refs("days"):
            assert run.poll() is None, run.communicate()
            time.sleep(0.01)
        getattr(way, end)()
        out, err = run.communicate()
    assert run.returncode == 0, err
    assert json.loads(out)["verdict"]["decision"] == "hold"
    assert "Traceback" not in err
    assert "The run goes on without it" in err


@pytest.mark.parametrize("end", ENDS)
def test_a_server_that_goes_away_once_all_is_published_keeps_no_process_from_its_end(
    end, prefect_server, recorded, small_landing, untrained, tmp_path
):
    """Each of some twenty events would be tried eleven times; a slow machine tries less often in the same seconds."""
    root = shutil.copytree(recorded.root, tmp_path / "root")
    places = ("--json", "--recipe", untrained, "--root", root, "--landing", small_landing)
    with breakable_way(prefect_server) as way:
        run = recorded_by(way, *places, "daily", "--date", LAST_DAY)
        while not LocalStore(root).read_ref(layout.run_ref(LAST_DAY)):
            assert run.poll() is None, run.communicate()
            time.sleep(0.01)
        getattr(way, end)()
        out, err = run.communicate()
        assert way.tries < MOST_TRIES
    assert run.returncode == 0, err
    assert json.loads(out)["verdict"]["decision"] == "hold"
    assert "Traceback" not in err


# A service of Prefect's that never sends what it was given, as where its server answers nothing.
NEVER_SENT = """
import asyncio, sys
from prefect._internal.concurrency.services import QueueService
from ctr_retrain.tasks.orchestration import prefect_exit

class Service(QueueService):
    async def _handle(self, item):
        await asyncio.Event().wait()

prefect_exit.LAST_SECONDS = 0.1
prefect_exit.bound_last_sending()
for number in range(3):
    Service.instance(number).send("an event")
sys.exit(7)
"""


def test_what_prefect_never_gets_sent_keeps_no_process_from_its_end_and_its_exit_status():
    done = subprocess.run([sys.executable, "-c", NEVER_SENT], cwd=REPOSITORY, env=clean_environment(), check=False)
    assert done.returncode == 7


MESSAGE = (
    "backfill: expected 1 days of usable data, received 1 that is not: 2031-02-01. "
    "See `ctr-retrain status`; the other days are done."
)
SETTLE = """
import json, sys
from datetime import UTC, date, datetime
from prefect.client.orchestration import get_client
from prefect.states import Running
from ctr_retrain.flows.schedules.served_flows import deployments, settle_after_downtime
from ctr_retrain.flows.settings import load_settings
from ctr_retrain.tasks.nights.night_marks import begin_night, end_night

now, found = datetime(2026, 3, 12, 9, tzinfo=UTC), {}
late = {"start_time": "2026-03-10T00:00:00Z", "end_time": "2026-03-12T08:00:00Z"}
for number, case in enumerate(json.loads(sys.argv[1])):
    catch_up, created = case
    settings = load_settings(catch_up=catch_up, root=f"{sys.argv[2]}/{number}")
    attempt = begin_night(settings.store, date(2026, 3, 8), now)
    end_night(settings.store, date(2026, 3, 8), attempt, "done", now, decision="hold")
    ids = [one.apply() for one in deployments(settings)]
    with get_client(sync_client=True) as client:
        if created:
            client.request("POST", "/deployments/{id}/schedule", path_params={"id": ids[0]}, json=late)
        backfill = {"start": "2026-03-01", "end": "2026-03-01"}
        running = client.create_flow_run_from_deployment(ids[1], parameters=backfill)
        client.set_flow_run_state(running.id, Running(), force=True)
        for _ in range(2):  # a second start of `serve` changes nothing more
            settle_after_downtime(settings, ids[0], ids, now)
        ours = [run for run in client.read_flow_runs() if run.deployment_id in ids]
        found[json.dumps(case)] = [
            [run.state_name, str(run.expected_start_time), run.deployment_id == ids[0]] for run in ours
        ]
        for run in ours:
            client.delete_flow_run(run.id)
        for one in ids:
            client.delete_deployment(one)
print(json.dumps(found))
"""
OPEN = ("Scheduled", "Late")
# The policy, whether Prefect's server had runs of the three nights while `serve` was away, and those that then begin.
AFTER = [
    ("latest", True, [12]),
    ("latest", False, [12]),
    ("all", True, [10, 11, 12]),
    ("all", False, [12]),  # which makes the others first: see `due_days`
    ("none", True, []),
    ("none", False, []),
]


def test_after_a_downtime_what_begins_is_what_the_policy_makes_up_for(prefect_server, tmp_path):
    (tmp_path / "landing").mkdir()
    ours = {"CTR_RETRAIN_LANDING": str(tmp_path / "landing"), "CTR_RETRAIN_RECIPE": str(write_recipe(tmp_path))}
    cases = [[policy, created] for policy, created, _ in AFTER]
    done = subprocess.run(
        [sys.executable, "-c", SETTLE, json.dumps(cases), str(tmp_path)],
        cwd=REPOSITORY,
        env={**clean_environment(), **ours, "PREFECT_API_URL": prefect_server},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    for policy, created, begins in AFTER:
        runs = found[json.dumps([policy, created])]
        waiting = sorted(datetime.fromisoformat(due).day for state, due, nightly in runs if nightly and state in OPEN)
        assert waiting == begins, (policy, created, runs)
        left = [state for state, _, nightly in runs if nightly and state not in OPEN]
        assert left == ["Left out"] * (3 - len(begins) if created else 0)
        assert [state for state, _, nightly in runs if not nightly] == ["Crashed"]
