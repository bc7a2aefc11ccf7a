"""Runs where a Prefect server is named: they appear there, and are worth more than their record."""

import http.server
import json
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import contextmanager

import psutil
import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from ctr_retrain.models.errors import StorageError
from ctr_retrain.tasks.orchestration.own_server import own_server
from ctr_retrain.tasks.orchestration.prefect_server import settle_server
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.support.counts import SOAK
from tests.support.repository import REPOSITORY
from tests.support.small_world import NEXT_DAY, RUN_DAY, clean_environment, command, write_recipe


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
        threading.Thread(target=server.serve_forever, daemon=True).start()
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
    "silent": (silent, "no answer within 10 s"),
    "503": (lambda: answering(503, b"busy", "text/plain"), "HTTP status 503"),
    "a database that is none": (lambda: answering(500, b'{"exception_message":"Internal"}', "application/json"), "500"),
    "another page": (lambda: answering(200, b"<html>hello</html>", "text/html"), "none of Prefect's"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_a_named_server_answers_is_told_in_one_line(fault, monkeypatch):
    server, words = FAULTS[fault]
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


def test_where_the_server_is_optional_the_run_goes_on_without_it(small_landing, untrained, tmp_path):
    places = ("--json", "--recipe", untrained, "--root", tmp_path / "root", "--landing", small_landing)
    without = {"PREFECT_API_URL": "http://127.0.0.1:9/api", "CTR_RETRAIN_PREFECT_SERVER": "optional"}
    done = command(*places, "daily", "--date", RUN_DAY, **without)
    assert (done.status, done.document["verdict"]["decision"]) == (0, "hold")
    assert "This run goes on and is not recorded there." in done.stderr


def test_a_run_and_its_stages_appear_on_the_server_that_is_named(prefect_server, small_landing, untrained, tmp_path):
    places = ("--json", "--recipe", untrained, "--root", tmp_path / "root", "--landing", small_landing)
    done = command(*places, "backfill", "--start", NEXT_DAY, "--end", NEXT_DAY, PREFECT_API_URL=prefect_server)
    assert done.status == 0, done.stderr
    flows = {flow["id"]: flow["name"] for flow in asked(prefect_server, "/flows/filter", {})}
    runs = {flows[run["flow_id"]]: run["state"]["type"] for run in asked(prefect_server, "/flow_runs/filter", {})}
    assert runs == {"backfill": "COMPLETED", "daily": "COMPLETED", "days": "COMPLETED"}


@pytest.mark.parametrize("end", ["kill", "suspend"] if SOAK else ["kill"])
def test_a_server_that_goes_away_amid_a_run_costs_neither_the_run_nor_its_verdict(
    end, small_landing, untrained, tmp_path
):
    root = tmp_path / "root"
    places = ("--json", "--recipe", untrained, "--root", root, "--landing", small_landing)
    arguments = (*places, "daily", "--date", RUN_DAY)
    with own_server(tmp_path / "home") as url:
        run = subprocess.Popen(
            [sys.executable, "-m", "ctr_retrain.flows.cli", *map(str, arguments)],
            cwd=REPOSITORY,
            env={**clean_environment(), "PREFECT_API_URL": url},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        while not LocalStore(root).list_refs("days"):
            assert run.poll() is None, run.communicate()
            time.sleep(0.01)
        port = url.split(":")[2].split("/")[0]
        (server,) = (child for child in psutil.Process().children() if port in child.cmdline())
        getattr(server, end)()
        out, err = run.communicate()
        server.kill()
    assert run.returncode == 0, err
    assert json.loads(out)["verdict"]["decision"] == "hold"
    assert "Traceback" not in err
    assert "The run goes on without it" in err
