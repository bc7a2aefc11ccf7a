"""Rules of the webhook: what it gets, once, whatever fails, and that its address is shown nowhere."""

import pytest

from ctr_retrain.tasks.alerts.delivery import ATTEMPTS
from ctr_retrain.tasks.alerts.handle_incident import silence
from ctr_retrain.tasks.alerts.outbox import load_outbox
from tests.support.alert_receivers import Webhook
from tests.support.deliveries import NOW, delivery_to, noticed, report, webhook
from tests.support.nights import night, signal


@pytest.fixture
def receiver():
    with Webhook() as server:
        yield server


def test_the_webhook_gets_recipe_date_and_alert_and_the_same_as_text(store, receiver, tmp_path):
    report(store, delivery_to(tmp_path, webhook(receiver.url)), noticed())
    (document,), (headers,) = receiver.received, receiver.headers
    assert headers["Content-Type"] == "application/json"
    assert (document["recipe"], document["date"]) == ("demo", "2026-03-02")
    assert document["alerts"] == [
        {
            "name": "positive_ratio",
            "level": "warning",
            "channel": "ad",
            "expected": [0.008, 0.021],
            "received": 0.002,
            "cause": "The odds of a positive fell by 80 %.",
        }
    ]
    first, _, rest = document["text"].partition("\n\n")
    assert first == "WARNING demo, ad, since 2 March 2026: The odds of a positive fell by 80 %."
    assert rest.splitlines() == [
        "Look at the click logger first.",
        "Type: ctr-retrain explain 2026-03-02",
        f"Report: {store.root}/index.html",
        "Runbook: docs/runbook.md#ratio-changed",
        f"Message {document['id']} of incident {document['incident']}.",
    ]
    assert headers["Idempotency-Key"] == document["id"]


def test_the_same_alert_is_sent_once_however_often_the_day_runs_and_while_it_lasts(store, receiver, tmp_path):
    for number, hours in ((0, 0), (0, 1), (1, 0), (1, 2), (2, 0)):
        report(store, delivery_to(tmp_path, webhook(receiver.url)), signal(number=number), number=number, hours=hours)
    assert len(receiver.received) == 1


def test_what_becomes_worse_what_ends_and_what_comes_back_is_told(store, receiver, tmp_path):
    nights = [[noticed()], [noticed(1, size=2)], [], [noticed(3)]]
    for number, found in enumerate(nights):
        report(store, delivery_to(tmp_path, webhook(receiver.url)), *found, number=number)
    assert [document["change"] for document in receiver.received] == ["opened", "worse", "resolved", "reopened"]
    assert len(set(receiver.ids)) == 4
    over = receiver.received[2]["text"]
    assert over.startswith("OVER demo, ad, since 2 March 2026: ")
    assert "It is over: the run for 4 March 2026 looked and found it no more." in over


def test_nothing_noticed_sends_nothing(store, receiver, tmp_path):
    assert report(store, delivery_to(tmp_path, webhook(receiver.url))).messages == ()
    assert receiver.received == []


def test_a_webhook_that_is_down_stops_nothing_is_named_without_its_token_and_is_told_by_the_next_run(
    store, receiver, tmp_path, caplog
):
    down = "http://127.0.0.1:9/hook?token=s3cret"
    done = report(store, delivery_to(tmp_path, webhook(down)), signal())
    assert [incident.kind for incident in done.open] == ["ratio_changed", "receiver_failed"]
    assert "CTR_RETRAIN_WEBHOOK_URL (http) did not take the alert: Connection refused" in caplog.text
    assert "s3cret" not in caplog.text
    assert "s3cret" not in str(store.read_ref("outbox/messages")) + str(store.read_ref("incidents/all"))
    report(store, delivery_to(tmp_path, webhook(receiver.url)), signal(), hours=1)
    assert "ratio_changed" in [document["kind"] for document in receiver.received]


def test_a_webhook_that_fails_once_is_tried_again(store, tmp_path):
    with Webhook(refusals=1) as receiver:
        done = report(store, delivery_to(tmp_path, webhook(receiver.url)), signal())
        assert len(receiver.received) == 1
        assert [incident.kind for incident in done.open] == ["ratio_changed"]


def test_a_webhook_that_refuses_is_told_by_the_next_run_under_the_same_name(store, tmp_path):
    with Webhook(refusals=ATTEMPTS) as receiver:
        delivery = delivery_to(tmp_path, webhook(receiver.url))
        assert report(store, delivery, signal()).messages
        assert receiver.received == []
        waiting = load_outbox(store).pending[0].message.id
        done = report(store, delivery_to(tmp_path, webhook(receiver.url)), signal(), hours=1)
        assert waiting in receiver.ids
        assert [incident.kind for incident in done.open] == ["ratio_changed"]


@pytest.mark.parametrize("url", ["http://user:s3cret@", "http://host:s3cret/", "http://host/s3cret path"])
def test_a_webhook_that_is_no_address_stops_nothing_is_not_repeated_and_is_told_by_a_later_run(
    store, receiver, tmp_path, caplog, url
):
    report(store, delivery_to(tmp_path, webhook(url)), signal())
    assert "CTR_RETRAIN_WEBHOOK_URL: expected an address" in caplog.text
    assert "s3cret" not in caplog.text
    report(store, delivery_to(tmp_path, webhook(receiver.url)), signal(), hours=1)
    assert receiver.received[0]["kind"] == "ratio_changed"


def test_a_webhook_s_user_and_password_are_sent_as_such_and_logged_nowhere(store, receiver, tmp_path, caplog):
    url = receiver.url.replace("http://", "http://user:s3cret@").partition("?")[0]
    report(store, delivery_to(tmp_path, webhook(url)), signal())
    assert receiver.headers[0]["Authorization"] == "Basic dXNlcjpzM2NyZXQ="
    assert "s3cret" not in caplog.text


def test_what_was_silenced_is_sent_when_the_silence_is_over(store, receiver, tmp_path):
    silence(store, "ratio_changed", None, night(3), "planned", "eva", NOW)
    for number in range(4):
        report(store, delivery_to(tmp_path, webhook(receiver.url)), signal(number=number), number=number)
    assert [document["since"] for document in receiver.received] == ["2026-03-02"]
