"""Rules of the heartbeat: one request a good end, and whoever doesn't hear it stops nothing."""

import http.server
import threading
from contextlib import contextmanager

from pydantic import SecretStr

from ctr_retrain.tasks.nights.heartbeat import send_heartbeat


@contextmanager
def listening():
    """A server and the requests that it got: path and credentials."""
    got = []

    class Listener(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            got.append((self.path, self.headers.get("Authorization")))
            self.send_response(200 if "alive" in self.path else 500)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Listener) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server.server_port, got
        server.shutdown()


def test_the_address_hears_of_it_once_with_its_credentials(caplog):
    with listening() as (port, got):
        assert send_heartbeat(SecretStr(f"http://me:secret@127.0.0.1:{port}/alive/token"))
    assert got == [("/alive/token", "Basic bWU6c2VjcmV0")]
    assert caplog.text == ""


def test_one_that_fails_or_is_not_there_is_logged_without_its_secrets(caplog):
    with listening() as (port, _):
        assert not send_heartbeat(SecretStr(f"http://me:secret@127.0.0.1:{port}/token"))
    assert not send_heartbeat(SecretStr(f"http://me:secret@127.0.0.1:{port}/token"))
    assert not send_heartbeat(SecretStr("no address"))
    assert caplog.text.count("was not heard") == 3
    assert "secret" not in caplog.text
    assert "token" not in caplog.text


def test_without_an_address_nothing_is_sent(caplog):
    assert not send_heartbeat(SecretStr(""))
    assert caplog.text == ""
