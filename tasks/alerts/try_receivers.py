"""Try every receiver with one message each, and say what each answered."""

from __future__ import annotations

from datetime import datetime

from ctr_retrain.models.errors import UsageError
from ctr_retrain.models.incidents.alert_answers import AlertsTestAnswer, TriedReceiver
from ctr_retrain.models.incidents.follow_incidents import digest_of_parts
from ctr_retrain.models.incidents.message import Message
from ctr_retrain.models.incidents.tell_changes import anchor_of
from ctr_retrain.tasks.alerts.delivery import Delivery, Patience, send_all
from ctr_retrain.tasks.alerts.receivers import ALERT_TARGETS, WEBHOOK, Receiver

TEST_SECONDS = 30.0  # nobody waits for a night here: a slow receiver may take its time


def try_receivers(delivery: Delivery, root: str, now: datetime) -> AlertsTestAnswer:
    """Send one message to each receiver; raises UsageError where there is none."""
    if not delivery.receivers:
        msg = f"alerts test: expected receivers in {ALERT_TARGETS} or {WEBHOOK}, received none. Set one of them."
        raise UsageError(msg)
    work = [(receiver, [_test_message(receiver, delivery, root, now)]) for receiver in delivery.receivers]
    answers = {answer.receiver.key: answer for answer in send_all(work, Patience(TEST_SECONDS), lambda _: None)}
    tried = [(receiver, answers[receiver.key].failure) for receiver in delivery.receivers]
    return AlertsTestAnswer(
        receivers=tuple(
            TriedReceiver(
                name=receiver.name,
                level=receiver.level,
                taken=not failure,
                message=failure or "took the message",
            )
            for receiver, failure in tried
        )
    )


def _test_message(receiver: Receiver, delivery: Delivery, root: str, now: datetime) -> Message:
    """Write a message that says that it is none."""
    return Message(
        kind="receiver_failed",
        subject="test",
        level=receiver.level,
        since=now.date(),
        summary="This is a test, nothing is amiss: alerts of this level arrive here.",
        commands=("ctr-retrain alerts list",),
        id=digest_of_parts("test", now.isoformat(), receiver.level),
        incident="test",
        change="opened",
        recipe=delivery.recipe,
        date=now.date(),
        report=root,
        runbook=f"{delivery.runbook}#{anchor_of('receiver_failed')}",
    )
