"""Incidents and outbox in a bucket: told once, acknowledged, verified."""

from ctr_retrain.tasks.alerts.handle_incident import acknowledge, acknowledged_incidents
from ctr_retrain.tasks.operate.verify_root import verify_root
from tests.support.alert_receivers import Webhook
from tests.support.deliveries import NOW, delivery_to, noticed, report, webhook


def test_a_root_in_a_bucket_keeps_incidents_and_tells_of_each_change_once(s3_store, tmp_path):
    with Webhook() as receiver:
        for number in range(2):
            done = report(s3_store, delivery_to(tmp_path, webhook(receiver.url)), noticed(number), number=number)
            assert done.kept
        acknowledge(s3_store, "ratio_changed", "ad", "at it", "eva", NOW)
        assert [incident.subject for incident in acknowledged_incidents(s3_store)] == ["ad"]
        report(s3_store, delivery_to(tmp_path, webhook(receiver.url)), number=2)
        assert [document["change"] for document in receiver.received] == ["opened", "resolved"]
    assert verify_root(s3_store).damaged == ()
