"""Rules of a server that is kept alive: one that hangs is told, killed and started again within its limit."""

import signal
import subprocess
import sys
import time
import urllib.request

import pytest

from ctr_retrain.tasks.orchestration import kept_server as module
from ctr_retrain.tasks.orchestration.kept_server import kept_server
from ctr_retrain.tasks.orchestration.own_server import free_port
from tests.support.counts import SOAK, draws

# In the place of Prefect's, which takes ten seconds to start: it answers whatever it is asked.
ANSWERING = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
LIMIT, ASK = draws((2.0, 0.3), (20.0, 3.0))


@pytest.fixture
def started(monkeypatch):
    """The processes of servers, as they are started."""
    processes, start = [], module.start_server

    def quick(home, port):
        return subprocess.Popen([sys.executable, "-c", ANSWERING, str(port)], stdin=subprocess.PIPE)

    def noting(home, port):
        processes.append((start if SOAK else quick)(home, port))
        return processes[-1]

    monkeypatch.setattr(module, "start_server", noting)
    monkeypatch.setattr(module, "ASK_SECONDS", ASK)
    monkeypatch.setattr(module, "HANGS_SECONDS", LIMIT)
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.1)
    return processes


def answers(url):
    with urllib.request.urlopen(f"{url}/health") as answer:
        return answer.status == 200


def test_a_server_that_hangs_is_noticed_within_its_limit_and_started_again(started, tmp_path, caplog):
    with kept_server(tmp_path, free_port()) as url:
        began = time.monotonic()
        started[0].send_signal(signal.SIGSTOP)
        assert started[0].wait() == -signal.SIGKILL
        noticed = time.monotonic() - began
        while "it answers again" not in caplog.text:
            time.sleep(0.05)
        assert answers(url)
        assert len(started) == 2
    assert LIMIT <= noticed < LIMIT + 60  # a loaded machine is late; without a limit it would wait for ever
    assert f"it has not answered for {LIMIT:.0f} s. It is started again; runs under way go on." in caplog.text
    assert started[1].poll() is not None


def test_a_server_that_answers_late_but_in_time_is_left_alone(started, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(module, "HANGS_SECONDS", 600)
    with kept_server(tmp_path, free_port()) as url:
        started[0].send_signal(signal.SIGSTOP)
        time.sleep(4 * ASK)  # some questions long, as on a machine under load
        started[0].send_signal(signal.SIGCONT)
        assert answers(url)
        time.sleep(2 * ASK)
        assert len(started) == 1
    assert "started again" not in caplog.text
