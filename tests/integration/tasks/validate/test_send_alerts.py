import json
import threading
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pydantic import SecretStr

from ctr_retrain.models.documents.drift_documents import Alert
from ctr_retrain.tasks.store.local_store import LocalStore
from ctr_retrain.tasks.validate.send_alerts import send_alerts

DAY = date(2026, 3, 10)
ALERT = Alert(
    name="positive_ratio",
    level="critical",
    channel="push",
    expected=(0.008, 0.021),
    received=0.002,
    cause="The odds of a positive fell by 80 %.",
)


class Receiver(ThreadingHTTPServer):
    """A webhook's other end: keeps what it is sent, and first refuses `refusals` times."""

    def __init__(self, refusals=0):
        self.received, self.authorizations, self.refusals = [], [], refusals
        super().__init__(("127.0.0.1", 0), _Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/hook?token=s3cret"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        refused = self.server.refusals > 0
        self.server.refusals -= refused
        if not refused:
            self.server.authorizations.append(self.headers["Authorization"])
            self.server.received.append((self.headers["Content-Type"], json.loads(body)))
        self.send_response(503 if refused else 204)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def receiver():
    with Receiver() as server:
        yield server
        server.shutdown()


@pytest.fixture
def events(monkeypatch):
    """What would go to the Prefect server; a flow's test sees the event arrive at a real one."""
    emitted = []
    monkeypatch.setattr(
        "ctr_retrain.tasks.validate.send_alerts.emit_event", lambda *args, **kwargs: emitted.append((args, kwargs))
    )
    return emitted


@pytest.fixture
def store(tmp_path):
    return LocalStore(tmp_path / "root")


def test_the_webhook_gets_channel_expected_and_received(store, receiver, events):
    assert send_alerts(store, [ALERT], "demo", DAY, SecretStr(receiver.url))
    ((content_type, document),) = receiver.received
    assert content_type == "application/json"
    assert document == {"recipe": "demo", "date": "2026-03-10", "alerts": [ALERT.to_json()]}
    assert document["alerts"][0]["channel"] == "push"
    assert document["alerts"][0]["expected"] == [0.008, 0.021]
    assert document["alerts"][0]["received"] == 0.002


def test_the_same_alert_is_sent_once_a_day(store, receiver, events):
    assert send_alerts(store, [ALERT], "demo", DAY, SecretStr(receiver.url))
    assert not send_alerts(store, [ALERT], "demo", DAY, SecretStr(receiver.url))
    assert len(receiver.received) == len(events) == 1


def test_no_alert_sends_nothing(store, receiver, events):
    assert not send_alerts(store, [], "demo", DAY, SecretStr(receiver.url))
    assert receiver.received == events == []


def test_each_alert_is_an_event_of_its_channel(store, events):
    send_alerts(store, [ALERT], "demo", DAY, SecretStr(""))
    ((arguments, options),) = events
    assert arguments == ("ctr-retrain.alert", {"prefect.resource.id": "ctr-retrain.demo.push"})
    assert options["payload"]["received"] == 0.002


def test_a_webhook_that_fails_once_is_tried_again(store, events):
    with Receiver(refusals=1) as receiver:
        assert send_alerts(store, [ALERT], "demo", DAY, SecretStr(receiver.url))
        assert len(receiver.received) == 1
        receiver.shutdown()


def test_a_webhook_that_is_down_stops_nothing_is_named_without_its_token_and_is_told_by_the_next_run(
    store, receiver, events, caplog
):
    down = "http://127.0.0.1:9/hook?token=s3cret"
    assert not send_alerts(store, [ALERT], "demo", DAY, SecretStr(down))
    assert "webhook" in caplog.text
    assert "s3cret" not in caplog.text
    assert send_alerts(store, [ALERT], "demo", DAY, SecretStr(receiver.url))
    assert len(receiver.received) == 1
    assert len(events) == 1  # the event had gone out the first time


@pytest.mark.parametrize(
    "url", ["hook/s3cret", "http://user:s3cret@", "http://host:s3cret/", "http://host/s3cret path"]
)
def test_a_webhook_that_is_no_address_stops_nothing_is_not_repeated_and_is_told_by_a_later_run(
    store, receiver, events, caplog, url
):
    assert not send_alerts(store, [ALERT], "demo", DAY, SecretStr(url))
    assert "CTR_RETRAIN_WEBHOOK_URL: expected an address" in caplog.text
    assert "s3cret" not in caplog.text
    assert send_alerts(store, [ALERT], "demo", DAY, SecretStr(receiver.url))


def test_a_webhook_s_user_and_password_are_sent_as_such_and_logged_nowhere(store, receiver, events, caplog):
    url = receiver.url.replace("http://", "http://user:s3cret@").partition("?")[0]
    assert send_alerts(store, [ALERT], "demo", DAY, SecretStr(url))
    assert receiver.authorizations == ["Basic dXNlcjpzM2NyZXQ="]
    assert "s3cret" not in caplog.text
