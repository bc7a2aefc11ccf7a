"""Rules of delivery to several receivers: mail and webhooks, by level, dead and slow ones, the spool, two at once."""

import time
from pathlib import Path

import pytest

from ctr_retrain.models.errors import StorageError
from ctr_retrain.tasks.alerts.delivery import ATTEMPTS, PATIENCE_SECONDS
from ctr_retrain.tasks.alerts.incident_refs import load_incidents
from ctr_retrain.tasks.alerts.outbox import load_outbox
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.support.alert_receivers import MailServer, Webhook
from tests.support.deliveries import delivery_to, noticed, report, webhook
from tests.support.forked import Forked
from tests.support.nights import signal

DEAD = "http://127.0.0.1:9/hook?token=s3cret"


@pytest.fixture
def mail():
    with MailServer() as server:
        yield server


@pytest.fixture
def receiver():
    with Webhook() as server:
        yield server


class UnwritableStore(LocalStore):
    """A root whose disk has failed."""

    def swap_ref(self, name, value, expected):
        msg = "the disk is full"
        raise StorageError(msg)


def test_a_mail_has_what_and_since_when_in_its_subject_and_what_to_do_in_its_text(store, mail, tmp_path):
    report(store, delivery_to(tmp_path, targets=f"warning={mail.url}"), noticed())
    (sent,) = mail.mails
    assert sent["Subject"] == "WARNING demo, ad, since 2 March 2026: The odds of a positive fell by 80 %."
    text = sent.get_content()
    for line in ("Look at the click logger first.", "Type: ctr-retrain explain 2026-03-02", "Runbook: docs/runbook.md"):
        assert line in text


def test_each_receiver_gets_the_levels_from_its_own_on(store, mail, receiver, tmp_path):
    targets = f"warning={receiver.url} critical={mail.url}"
    levels = ["notice", "warning", "critical"]
    found = [signal(subject=level, level=level) for level in levels]
    report(store, delivery_to(tmp_path, targets=targets), *found)
    assert sorted(document["level"] for document in receiver.received) == ["critical", "warning"]
    assert len(mail.mails) == 1


@pytest.mark.parametrize("kind", ["dead", "slow"])
def test_a_receiver_that_fails_delays_no_run_for_ten_seconds_and_is_told_to_the_others(
    store, mail, tmp_path, caplog, kind
):
    with Webhook(slow=True) as slow:
        url = DEAD if kind == "dead" else slow.url
        delivery = delivery_to(tmp_path, targets=f"warning={url} warning={mail.url}")
        began = time.monotonic()
        done = report(store, delivery, noticed())
        report(store, delivery, noticed(), noticed(subject="push"), hours=1)  # the same run's second report
        waited = time.monotonic() - began
        slow.answers.set()
    assert waited < 10, PATIENCE_SECONDS
    assert [incident.kind for incident in done.open] == ["ratio_changed", "receiver_failed"]
    subjects = " ".join(sent["Subject"] for sent in mail.mails)
    assert "An alert could not be delivered to receiver 1 of CTR_RETRAIN_ALERT_TARGETS (http)" in subjects
    assert len(mail.mails) == 3
    assert "s3cret" not in caplog.text + str(store.read_ref("outbox/messages")) + str(store.read_ref("incidents/all"))


def test_a_receiver_that_is_back_gets_what_it_missed_and_the_others_hear_that_it_is(store, mail, tmp_path):
    with Webhook(refusals=ATTEMPTS) as receiver:
        targets = f"warning={receiver.url} warning={mail.url}"
        report(store, delivery_to(tmp_path, targets=targets), noticed())
        done = report(store, delivery_to(tmp_path, targets=targets), noticed(), hours=1)
        assert [document["kind"] for document in receiver.received] == ["ratio_changed"]
        assert [sent["Subject"].split()[0] for sent in mail.mails] == ["WARNING", "WARNING", "OVER"]
        assert load_outbox(store).pending == ()
        assert [incident.kind for incident in done.open] == ["ratio_changed"]


def test_a_run_without_the_settings_leaves_what_waits_for_the_next_one(store, tmp_path):
    with Webhook(refusals=ATTEMPTS) as receiver:
        report(store, delivery_to(tmp_path, webhook(receiver.url)), noticed())
        report(store, delivery_to(tmp_path), noticed(), hours=1)
        report(store, delivery_to(tmp_path, webhook(receiver.url)), noticed(), hours=2)
        assert [document["change"] for document in receiver.received] == ["opened"]


def test_where_the_root_can_not_be_written_people_are_told_once_and_the_root_knows_it_later(store, receiver, tmp_path):
    broken = UnwritableStore(Path(store.root))
    for hours in range(2):
        done = report(broken, delivery_to(tmp_path, webhook(receiver.url)), noticed(), hours=hours)
        assert not done.kept
    assert len(receiver.received) == 1
    done = report(store, delivery_to(tmp_path, webhook(receiver.url)), noticed(), hours=2)
    assert done.kept
    assert len(receiver.received) == 1
    (incident,) = load_incidents(store).open
    assert incident.id == receiver.received[0]["incident"]
    assert load_outbox(store).delivered == (receiver.ids[0],)
    assert not list((tmp_path / "spool").iterdir())


def test_what_the_spool_could_not_deliver_goes_out_once_the_root_is_back(store, tmp_path):
    with Webhook(refusals=ATTEMPTS) as receiver:
        report(UnwritableStore(Path(store.root)), delivery_to(tmp_path, webhook(receiver.url)), noticed())
        report(store, delivery_to(tmp_path, webhook(receiver.url)), noticed(), hours=1)
        assert [document["kind"] for document in receiver.received] == ["ratio_changed"]


def test_a_damaged_spool_is_put_aside_and_stops_nothing(store, receiver, tmp_path, caplog):
    report(UnwritableStore(Path(store.root)), delivery_to(tmp_path), noticed(subject="push"))
    (damaged,) = (tmp_path / "spool").rglob("refs/incidents/all.json")
    damaged.write_text("torn", encoding="utf-8")
    for hours in (1, 2):
        assert report(store, delivery_to(tmp_path, webhook(receiver.url)), noticed(), hours=hours).kept
    assert len(receiver.received) == 1
    assert "can't be read and stay in" in caplog.text
    assert [path.suffix for path in (tmp_path / "spool").iterdir()] == [".unreadable"]


def test_where_nothing_can_be_written_people_are_told_all_the_same(store, receiver, tmp_path):
    (tmp_path / "spool").write_text("no folder", encoding="utf-8")
    done = report(UnwritableStore(Path(store.root)), delivery_to(tmp_path, webhook(receiver.url)), noticed())
    assert not done.kept
    assert len(receiver.received) == 1


def test_no_address_goes_to_the_log_of_apprise_or_of_anything_else(store, tmp_path, caplog):
    caplog.set_level(1)
    with Webhook() as refusing:
        refusing.refusals = 9
        there = f"127.0.0.1:{refusing.server_port}"
        services = (
            f"json://user:s3cret@{there}/s3cret?s3cret=1",
            "json://user:s3cret@127.0.0.1:9/s3cret",
            "un://s3cret",
        )
        targets = " ".join(f"warning={url}" for url in services)
        report(store, delivery_to(tmp_path, targets=targets), noticed())
    told = caplog.text + str(store.read_ref("outbox/messages")) + str(store.read_ref("incidents/all"))
    assert "(json) did not take the alert: HTTP status 503" in told
    assert "(un) did not take the alert: " in told
    assert "s3cret" not in told


def send_it(root, spool, url):
    """What a process does that reports."""
    report(LocalStore(root), delivery_to(spool, webhook(url)), noticed())


def test_of_two_processes_that_report_the_same_one_sends_it(store, tmp_path):
    with Webhook(slow=True) as receiver:
        first = Forked(send_it, Path(store.root), tmp_path, receiver.url).go()
        receiver.arrived.wait()
        second = Forked(send_it, Path(store.root), tmp_path, receiver.url).go()
        second.answer()
        receiver.answers.set()
        first.answer()
        assert len(receiver.received) == 1
