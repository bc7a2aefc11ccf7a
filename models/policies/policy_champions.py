"""The champions of one policy: which model serves on which event day, and whose place it took."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date


@dataclass(frozen=True)
class Reign:
    """A model in service from the day after a night on."""

    version: str
    night: date | None  # the run day that put it there; None: it was there before all nights
    predecessor: str | None  # None for the first
    promoted: bool  # False for the first, and for one that came back by a rollback


class PolicyChampions:
    """The reigns of one policy, oldest first."""

    def __init__(self, first: str) -> None:
        """Begin with the model that is in service under every policy."""
        self._reigns = [Reign(first, None, None, promoted=False)]

    @property
    def current(self) -> str:
        """Return the model in service after all nights so far."""
        return self._reigns[-1].version

    @property
    def promotions(self) -> int:
        """Return how many challengers were put into service."""
        return sum(reign.promoted for reign in self._reigns)

    def put_into_service(self, version: str, night: date, *, promoted: bool = True) -> None:
        """Let a model serve from the day after a night on; nothing changes where it serves already."""
        if version != self.current:
            self._reigns.append(Reign(version, night, self.current, promoted=promoted))

    def on(self, event_day: date) -> Reign:
        """Return who serves on an event day: a night decides after its day is over, so from the next day on."""
        return [reign for reign in self._reigns if reign.night is None or reign.night < event_day][-1]
