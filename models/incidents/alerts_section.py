"""The recipe's [alerts]: how grave each kind of incident is, and which ones keep the days that they touch out."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ctr_retrain.models.incidents.follow_incidents import IncidentRules
from ctr_retrain.models.incidents.incident import Incident, Look
from ctr_retrain.models.incidents.signal import SignalKind, SignalLevel
from ctr_retrain.models.section import Positive, Section


class Alerts(Section):
    """Incidents: their levels, when people are told again, and which keep the days that they touch out of training."""

    levels: dict[SignalKind, SignalLevel] = Field(default_factory=dict)
    """Kind = its level, instead of the one that it comes with: `{ slide = "critical", champion_old = "notice" }`. A
    notice is shown on pages only, of a warning people are told, for a critical one somebody is called."""
    holds_training: tuple[SignalKind | SignalLevel, ...] = ()
    """Kinds or levels of incidents that keep each day that they touch out of training, calibration and validation, from
    the first day that shows it to the one that doesn't any more: `["logger_down", "critical"]`."""
    worse_by: Positive = 0.25
    """Share by which an incident's size must grow for people to be told of it again."""
    reopen_days: Annotated[int, Field(ge=0)] = 14
    """An incident that comes back within so many days of its end is reopened; later, it is a new one."""

    data_due_hours: Positive = 12
    """Hours after a day's end by which its last file is due; one that lands later is told. A scheduled run waits
    so long for the day's first files."""
    run_due_hours: Positive = 18
    """Hours after a day's end by which its run is due; where none has begun by then, the watchdog tells."""
    champion_days: Annotated[int, Field(ge=1)] = 14
    """Age of the newest data of the model in service, by the calendar, beyond which people are told."""
    held_nights: Annotated[int, Field(ge=1)] = 28
    """Nights in a row without a promotion after which people are told; with few clicks two weeks are not unusual."""
    disk_nights: Annotated[int, Field(ge=1)] = 7
    """Nights for which the disk must have room, by what the newest one took; less is told."""

    @property
    def incident_rules(self) -> IncidentRules:
        """Return the rules that incidents follow."""
        return IncidentRules(worse_by=self.worse_by, reopen_days=self.reopen_days)

    def graded(self, look: Look) -> Look:
        """Return a look whose signals have the levels that the recipe gives their kinds."""
        levels = self.levels
        signals = [one.model_copy(update={"level": levels.get(one.kind, one.level)}) for one in look.signals]
        return look.model_copy(update={"signals": tuple(signals)})

    def holds(self, incident: Incident) -> bool:
        """Return True if an incident keeps the days that it touches out of training."""
        return incident.kind in self.holds_training or incident.level in self.holds_training
