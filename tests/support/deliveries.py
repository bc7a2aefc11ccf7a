"""Deliveries to receivers of a test, and reports of a night to them."""

from datetime import UTC, datetime, timedelta

from pydantic import SecretStr

from ctr_retrain.models.incidents.alerts_section import Alerts
from ctr_retrain.tasks.alerts.delivery import Delivery
from ctr_retrain.tasks.alerts.receivers import Receiver, parse_targets
from ctr_retrain.tasks.alerts.report_signals import report_signals
from tests.support.nights import KINDS, night, signal

NOW = datetime(2026, 3, 3, 4, tzinfo=UTC)


def webhook(url):
    """The receiver of the old setting, which has an address and no level."""
    return Receiver("warning", SecretStr(url), "CTR_RETRAIN_WEBHOOK_URL", own_form=True)


def delivery_to(folder, *receivers, targets="", **more):
    """A delivery to receivers, and to targets as the setting names them."""
    given = {"rules": Alerts(), "runbook": "docs/runbook.md", **more}
    return Delivery("demo", receivers=(*receivers, *parse_targets(targets)), spool=folder / "spool", **given)


def report(store, delivery, *signals, number=0, hours=0, looked_at=KINDS):
    """Report what a night noticed, some hours after its usual time."""
    now = NOW + timedelta(days=number, hours=hours)
    return report_signals(store, signals, looked_at=looked_at, day=night(number), now=now, delivery=delivery)


def noticed(number=0, **changes):
    """A signal of a night with all that one has."""
    given = {
        "size": 0.8,
        "channel": "ad",
        "expected": (0.008, 0.021),
        "received": 0.002,
        "summary": "The odds of a positive fell by 80 %.",
        "details": ("Look at the click logger first.",),
        "commands": ("ctr-retrain explain 2026-03-02",),
    }
    return signal(number=number, **{**given, **changes})
