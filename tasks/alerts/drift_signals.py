"""Signals of a day's drift: what the detector alerts on, as incidents take it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from ctr_retrain.models.documents.drift_documents import Alert
from ctr_retrain.models.incidents.signal import Signal, SignalKind

DRIFT_KINDS: tuple[SignalKind, ...] = ("ratio_changed", "volume_changed")


def drift_signals(alerts: Iterable[Alert], day: date) -> tuple[Signal, ...]:
    """Return a signal for each alert of a day."""
    return tuple(_signal(alert, day) for alert in alerts)


def _signal(alert: Alert, day: date) -> Signal:
    what, _, check = alert.cause.partition(". ")
    kind: SignalKind = "volume_changed" if alert.received is None else "ratio_changed"
    return Signal(
        kind=kind,
        subject=alert.channel,
        level=alert.level,
        since=day,
        size=_size(alert),
        summary=f"{what}.",
        channel=alert.channel,
        expected=alert.expected,
        received=alert.received,
        details=(check,) if check else (),
        commands=(
            f"ctr-retrain explain {day}",
            f"ctr-retrain alerts ack {kind} {alert.channel} --reason TEXT",
        ),
    )


def _size(alert: Alert) -> float | None:
    """Return how far a figure is from the middle of its band, as a share of it."""
    if alert.received is None or alert.expected is None:
        return None
    middle = sum(alert.expected) / 2
    return abs(alert.received - middle) / middle if middle else None
