"""Rules of the commands on alerts: a test message to each real receiver, and what each answered."""

import pytest

from ctr_retrain.tasks.operate.registry import claim_root
from tests.support.alert_receivers import MailServer, Webhook
from tests.support.command_line import run


@pytest.fixture
def there(store, tmp_path, monkeypatch):
    """The command line over a root that nothing was published under but its recipe's name."""
    claim_root(store, "demo")
    monkeypatch.chdir(tmp_path)
    return lambda *typed: run(*typed, "--root", store.root, "--recipe", "demo")


def test_a_test_reaches_every_receiver_and_says_so(there, monkeypatch):
    with Webhook() as webhook, MailServer() as mail:
        monkeypatch.setenv("CTR_RETRAIN_WEBHOOK_URL", webhook.url)
        monkeypatch.setenv("CTR_RETRAIN_ALERT_TARGETS", f"critical={mail.url}")
        answer = there("alerts", "test", "--json")
        assert answer.status == 0, answer.stderr
        assert [(one["level"], one["taken"]) for one in answer.document["receivers"]] == [
            *[("warning", True), ("critical", True)],
        ]
        assert webhook.received[0]["text"].startswith("WARNING demo, test, since ")
        assert mail.mails[0]["Subject"].startswith("CRITICAL demo, test, since ")


def test_a_receiver_that_does_not_take_it_is_named_without_its_address(there, monkeypatch):
    with Webhook(refusals=9) as webhook:
        monkeypatch.setenv("CTR_RETRAIN_WEBHOOK_URL", webhook.url)
        answer = there("alerts", "test")
    assert answer.status == 4
    assert "✗ CTR_RETRAIN_WEBHOOK_URL (http), warning: HTTP status 503" in answer.stdout
    assert "received 1 that did not: CTR_RETRAIN_WEBHOOK_URL (http): HTTP status 503. Mend" in answer.stderr
    assert "s3cret" not in answer.stdout + answer.stderr


def test_without_receivers_there_is_nothing_to_test(there):
    answer = there("alerts", "test", "--json")
    assert answer.status == 2
    assert (
        "expected receivers in CTR_RETRAIN_ALERT_TARGETS or CTR_RETRAIN_WEBHOOK_URL"
        in answer.document["error"]["message"]
    )


def test_the_doctor_says_where_alerts_go_and_refuses_what_nobody_knows(there, monkeypatch):
    def told():
        checks = there("doctor", "--json").document["checks"]
        return next(check for check in checks if check["name"] == "webhook")

    monkeypatch.setenv(
        "CTR_RETRAIN_ALERT_TARGETS", "warning=mailto://eva:s3cret@x.example critical=http://x.example/s3cret"
    )
    assert told()["passed"]
    assert "receiver 1 of CTR_RETRAIN_ALERT_TARGETS (mailto) by Apprise, http://x.example;" in told()["words"]
    monkeypatch.setenv("CTR_RETRAIN_ALERT_TARGETS", "warning=nosuch://s3cret")
    assert not told()["passed"]
    assert "receiver 1 of CTR_RETRAIN_ALERT_TARGETS: expected an address of http or https, or one" in told()["words"]
    assert "s3cret" not in told()["words"]
