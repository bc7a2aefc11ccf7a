"""The answers of the `alerts` commands with --json."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from ctr_retrain.models.documents.document import Day, Document, ObjectName, Part
from ctr_retrain.models.incidents.incident import Handled, Incident
from ctr_retrain.models.incidents.signal import Signal, SignalLevel


class TaughtModel(Part):
    """A model that has trained on days that an incident touches."""

    version: ObjectName
    """The model."""
    champion: bool
    """True if it is in service."""
    days: tuple[Day, ...]
    """Days of these that it was trained or calibrated on, oldest first."""
    window_days: int
    """Days that it was trained or calibrated on in all."""


class AlertsAnswer(Document):
    """The answer of `alerts list`."""

    root: str
    """Address of the root."""
    open: tuple[Incident, ...]
    """Incidents that are open, the gravest first."""
    past: tuple[Incident, ...]
    """Those that are over, the newest first."""
    silenced: tuple[Handled, ...]
    """Silences that still hold."""
    taught: Mapping[str, tuple[TaughtModel, ...]] = Field({}, exclude_if=lambda taught: not taught)
    """Models that have trained on days that an open incident touches, by its id; the one in service first."""


class HandledAnswer(Document):
    """The answer of `alerts ack` and `alerts silence`."""

    handled: tuple[Handled, ...]
    """The entries that were made."""
    incidents: tuple[Incident, ...]
    """The open incidents that they are about."""


class TriedReceiver(Part):
    """A receiver that was sent a test."""

    name: str
    """Place and kind of its address, which is a secret itself."""
    level: SignalLevel
    """The mildest level that it gets."""
    taken: bool
    """True if it took the message."""
    message: str = Field(alias="words")
    """Its answer in words."""


class AlertsTestAnswer(Document):
    """The answer of `alerts test`."""

    receivers: tuple[TriedReceiver, ...]
    """All receivers, in the order of the settings."""


class WatchAnswer(Document):
    """The answer of `alerts watch`, and of the watchdog flow."""

    root: str
    """Address of the root."""
    signals: tuple[Signal, ...]
    """Everything that is amiss whether or not any run happened."""
    open: tuple[Incident, ...]
    """Incidents that are open, the gravest first."""
