"""What goes wrong or changes in the simulated world, on order only. `models/world.py` lets it happen."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ctr_retrain.models.errors import UsageError
from ctr_retrain.models.simulation.traffic import CHANNELS

if TYPE_CHECKING:
    from numpy.typing import NDArray

WAVES = 64


@dataclass(frozen=True)
class BrokenClickLogger:
    """The clicks on one channel's impressions of these days (both included) are lost at this share."""

    channel: str
    first_day: date
    last_day: date
    lost_share: float

    def __post_init__(self) -> None:
        """Refuse a channel that doesn't exist and a share that is none."""
        if self.channel not in CHANNELS:
            msg = f"broken click logger: expected channel 'ad' or 'push', received {self.channel!r}"
            raise UsageError(msg)
        if not 0 <= self.lost_share <= 1:
            msg = f"broken click logger: expected lost_share in 0 to 1, received {self.lost_share}"
            raise UsageError(msg)

    def covers(self, day: date) -> bool:
        """Whether it happens on this day."""
        return self.first_day <= day <= self.last_day

    def spare(self, impressions: pa.Table, outcomes: pa.Table, rng: np.random.Generator) -> pa.Table:
        """The outcomes that are logged all the same."""
        ids = impressions["event_id"].filter(pc.equal(impressions["channel"], self.channel))
        clicks = pc.and_(pc.equal(outcomes["kind"], "click"), pc.is_in(outcomes["event_id"], ids))
        lost = pa.array(rng.random(outcomes.num_rows) < self.lost_share)
        return outcomes.filter(pc.invert(pc.and_(clicks, lost)))


@dataclass(frozen=True)
class BotFlood:
    """On these days (both included) bots, which never click, get this share of all impressions, besides the others."""

    first_day: date
    last_day: date
    share: float

    def __post_init__(self) -> None:
        """Refuse a share that is none, and one that leaves nothing to people."""
        if not 0 <= self.share < 1:
            msg = f"bot flood: expected share in 0 to 1, 1 excluded, received {self.share}"
            raise UsageError(msg)

    def covers(self, day: date) -> bool:
        """Whether it happens on this day."""
        return self.first_day <= day <= self.last_day

    def rows(self, others: int) -> int:
        """How many impressions go to bots where people have so many."""
        return round(others * self.share / (1 - self.share))


@dataclass(frozen=True)
class RegimeChange:
    """From this day on, segments, categories and campaigns have other effects and tastes."""

    day: date


@dataclass(frozen=True)
class DriftingTastes:
    """Each segment's liking for each category moves from day to day, on all days, besides what else there is.

    sd: of what it adds to the log-odds. Between two days it correlates by e^(−days apart / memory_days).
    """

    sd: float
    memory_days: float

    def __post_init__(self) -> None:
        """Refuse tastes that don't drift."""
        if self.sd <= 0 or self.memory_days <= 0:
            received = f"received {self.sd} and {self.memory_days}"
            msg = f"drifting tastes: expected sd and memory_days above 0, {received}"
            raise UsageError(msg)

    def log_odds(self, rng: np.random.Generator, day: date, shape: tuple[int, int]) -> NDArray[np.float64]:
        """What the day adds, (segments, categories): a sum of waves, so that each day can be had without the earlier.

        Frequencies from a Cauchy distribution make the correlation exponential (Rahimi and Recht 2007, figure 1).
        """
        frequency = rng.standard_cauchy((WAVES, *shape)) / self.memory_days
        phase = rng.uniform(0, 2 * np.pi, (WAVES, *shape))
        return np.asarray(self.sd * np.sqrt(2 / WAVES) * np.cos(frequency * day.toordinal() + phase).sum(axis=0))


Incident = BrokenClickLogger | BotFlood | RegimeChange | DriftingTastes
