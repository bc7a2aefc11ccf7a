"""Incidents of the simulated world, on order only: faults and changes, which `world` applies to a day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ctr_retrain.models.errors import UsageError
from ctr_retrain.models.simulation.traffic import CHANNELS, DEVICES

if TYPE_CHECKING:
    from numpy.typing import NDArray

WAVES = 64  # that make up a drifting taste


@dataclass(frozen=True)
class BrokenClickLogger:
    """A click logger that loses a share of the clicks on a channel's impressions of these days, or on one device's."""

    channel: str
    first_day: date
    last_day: date  # included
    lost_share: float  # 0 to 1
    device: str = ""  # of whose impressions the clicks are lost; empty: of all

    def __post_init__(self) -> None:
        """Raise UsageError for a channel or a device that doesn't exist, or a share outside 0 to 1."""
        if self.channel not in CHANNELS:
            msg = f"broken click logger: expected channel 'ad' or 'push', received {self.channel!r}"
            raise UsageError(msg)
        if self.device and self.device not in DEVICES:
            msg = f"broken click logger: expected a device among {', '.join(DEVICES)}, received {self.device!r}"
            raise UsageError(msg)
        if not 0 <= self.lost_share <= 1:
            msg = f"broken click logger: expected lost_share in 0 to 1, received {self.lost_share}"
            raise UsageError(msg)

    def covers(self, day: date) -> bool:
        """Return True if the logger is broken on this day."""
        return self.first_day <= day <= self.last_day

    def keep_logged(self, impressions: pa.Table, outcomes: pa.Table, rng: np.random.Generator) -> pa.Table:
        """Return the outcomes that are logged all the same."""
        own = pc.equal(impressions["channel"], self.channel)
        if self.device:
            own = pc.and_(own, pc.equal(impressions["device"], self.device))
        ids = impressions["event_id"].filter(own)
        clicks = pc.and_(pc.equal(outcomes["kind"], "click"), pc.is_in(outcomes["event_id"], ids))
        lost = pa.array(rng.random(outcomes.num_rows) < self.lost_share)
        return outcomes.filter(pc.invert(pc.and_(clicks, lost)))


@dataclass(frozen=True)
class BotFlood:
    """Bots, which never click, and whose impressions on these days come on top of people's."""

    first_day: date
    last_day: date  # included
    share: float  # of all impressions, the bots' own among them

    def __post_init__(self) -> None:
        """Raise UsageError for a share outside 0 to 1, or one that leaves nothing to people."""
        if not 0 <= self.share < 1:
            msg = f"bot flood: expected share in 0 to 1, 1 excluded, received {self.share}"
            raise UsageError(msg)

    def covers(self, day: date) -> bool:
        """Return True if bots are about on this day."""
        return self.first_day <= day <= self.last_day

    def rows(self, others: int) -> int:
        """Return the number of impressions that go to bots where people have so many."""
        return round(others * self.share / (1 - self.share))


@dataclass(frozen=True)
class RegimeChange:
    """A change of regime: segments, categories and campaigns get other effects and tastes, for good."""

    day: date  # the first of the new regime


@dataclass(frozen=True)
class DriftingTastes:
    """Tastes that move from day to day: each segment's liking for each category, on all days, beside fixed effects."""

    sd: float  # standard deviation of the addition to the log-odds
    memory_days: float  # two days' additions have a correlation of e^(−days apart / memory_days)

    def __post_init__(self) -> None:
        """Raise UsageError for tastes that don't drift."""
        if self.sd <= 0 or self.memory_days <= 0:
            received = f"received {self.sd} and {self.memory_days}"
            msg = f"drifting tastes: expected sd and memory_days above 0, {received}"
            raise UsageError(msg)

    def log_odds(self, rng: np.random.Generator, day: date, shape: tuple[int, int]) -> NDArray[np.float64]:
        """Return the day's addition to the log-odds, (segments, categories).

        It is a sum of waves, so that a day can be had without the earlier ones. Frequencies from a Cauchy distribution
        make the correlation exponential (Rahimi and Recht 2007, figure 1).
        """
        frequency = rng.standard_cauchy((WAVES, *shape)) / self.memory_days
        phase = rng.uniform(0, 2 * np.pi, (WAVES, *shape))
        return np.asarray(self.sd * np.sqrt(2 / WAVES) * np.cos(frequency * day.toordinal() + phase).sum(axis=0))


Incident = BrokenClickLogger | BotFlood | RegimeChange | DriftingTastes
