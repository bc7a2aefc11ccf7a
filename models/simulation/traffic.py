"""The simulated world's traffic: its users, its campaigns, and who is shown what, when and how.

Nothing here knows of clicks; `world` does. All of it follows from a seed and a day, through random streams that are
named after what they draw, so that one more draw in one stream doesn't move the numbers of another.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cache, lru_cache
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from datetime import date

    from numpy.typing import NDArray

SEGMENTS = tuple(f"s{i:02d}" for i in range(1, 13))
CATEGORIES = (
    "apparel", "autos", "banking", "beauty", "books", "dating", "education", "electronics", "energy", "fitness",
    "gaming", "grocery", "health", "home", "insurance", "jobs", "music", "pets", "sports", "travel",
)  # fmt: skip
DEVICES = ("android", "ios", "web")
USERS = 20_000
BOTS = 3  # users with an id like any other, whom nobody but a bot flood sends anything

CHANNELS = ("ad", "push")
AD_SHARE = 0.7  # of impressions; the others are pushes
HOURLY_VOLUME = {  # relative, of the hours 0 to 23 UTC
    "ad": 1 + 0.7 * np.cos(2 * np.pi * (np.arange(24) - 19) / 24),
    "push": np.array([1, 1, 1, 1, 1, 2, 4, 8, 10, 10, 9, 9, 10, 8, 7, 7, 8, 9, 9, 7, 5, 3, 2, 1], dtype=float),
}
WEEKDAY_VOLUME = (0.97, 0.97, 0.98, 0.99, 1.02, 1.05, 1.02)  # Monday to Sunday, mean 1
LAUNCHES_PER_DAY = 2.4  # campaigns, in the mean
LIFE_DAYS = (10, 40)  # both included; with the launches, about 60 campaigns are alive
POSITIONS = np.array([0.28, 0.22, 0.18, 0.14, 0.10, 0.08])  # share of ads at position 1, 2, …; a push is always at 1
NULL_DEVICE_SHARE = 0.01
NULL_BID_FLOOR_SHARE = 0.05
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US


class Stream(IntEnum):
    """The random streams, named after what they draw; the number is part of the stream's seed."""

    USERS = 1
    LAUNCHES = 2
    TRAFFIC = 3
    BOTS = 4
    TASTES = 5
    CAMPAIGN_TASTES = 6
    CLICKS = 7
    LOST_CLICKS = 8
    LANDING = 9
    DRIFTING_TASTES = 10


def random_stream(seed: int, stream: Stream, *key: int) -> np.random.Generator:
    """Return the generator of one stream; streams with different keys are independent."""
    return np.random.default_rng([seed, int(stream), *key])


@dataclass(frozen=True)
class Users:
    """All users, the bots last; arrays of shape (USERS + BOTS,)."""

    segment: NDArray[np.intp]  # index in SEGMENTS
    device: NDArray[np.intp]  # index in DEVICES
    activity: NDArray[np.float64]  # share of the impressions, sums to 1; 0 for bots


@lru_cache(maxsize=8)
def draw_users(seed: int) -> Users:
    """Draw the users, equal on every day; their activity follows the Zipf-Mandelbrot law, (rank + 20)^−0.8."""
    rng = random_stream(seed, Stream.USERS)
    total = USERS + BOTS
    activity = np.append((np.arange(USERS) + 21.0) ** -0.8, np.zeros(BOTS))
    return Users(
        segment=rng.integers(len(SEGMENTS), size=total),
        device=rng.choice(len(DEVICES), size=total, p=(0.55, 0.30, 0.15)),
        activity=activity / activity.sum(),
    )


@dataclass(frozen=True)
class Campaigns:
    """The campaigns alive on one day; arrays of shape (campaigns,)."""

    launch: NDArray[np.int64]  # proleptic ordinal of the launch day, which begins at age 0
    number: NDArray[np.int64]  # among those launched that day
    category: NDArray[np.int64]  # index in CATEGORIES
    budget: NDArray[np.float64]  # share of the day's impressions, sums to 1

    @property
    def names(self) -> list[str]:
        """Return the campaigns' ids, which stay the same over their lives."""
        return [f"c{launch}-{number}" for launch, number in zip(self.launch, self.number, strict=True)]


def draw_campaigns(seed: int, day: date) -> Campaigns:
    """Draw the campaigns that were launched within the longest life before `day` and have not ended."""
    plans = draw_launches(seed, day.toordinal() - LIFE_DAYS[1] + 1, day.toordinal())
    alive = [(launch, *plan) for launch, life, *plan in plans if day.toordinal() < launch + life]
    launch, number, category, budget = zip(*alive, strict=True)
    return Campaigns(np.array(launch), np.array(number), np.array(category), np.array(budget) / sum(budget))


def draw_launches(seed: int, first: int, last: int) -> list[tuple[int, int, int, int, float]]:
    """Draw (launch, life in days, number, category, budget) of each campaign launched on some days, both included."""
    return [
        (launch, life, number, category, budget)
        for launch in range(first, last + 1)
        for number, (life, category, budget) in enumerate(_launches(seed, launch))
    ]


@lru_cache(maxsize=4096)
def _launches(seed: int, launch: int) -> tuple[tuple[int, int, float], ...]:
    """Draw (life in days, category, budget) of each campaign launched on a day (its ordinal); there is at least one."""
    rng = random_stream(seed, Stream.LAUNCHES, launch)
    count = 1 + int(rng.poisson(LAUNCHES_PER_DAY - 1))
    life = rng.integers(LIFE_DAYS[0], LIFE_DAYS[1], endpoint=True, size=count)
    category = rng.integers(len(CATEGORIES), size=count)
    budget = rng.gamma(3.0, size=count)
    return tuple(zip(life.tolist(), category.tolist(), budget.tolist(), strict=True))


@dataclass(frozen=True)
class Traffic:
    """One day's impressions in the order of their times, as arrays of shape (impressions,)."""

    serial: NDArray[np.int64]  # with the day, the event's id
    time_us: NDArray[np.int64]  # microseconds since the day began
    push: NDArray[np.bool_]  # else an ad
    user: NDArray[np.int64]  # index in Users
    campaign: NDArray[np.int64]  # index in Campaigns
    position: NDArray[np.int64]  # from 1
    recent_sends: NDArray[np.int64]  # how many impressions the user had lately
    bid_floor: NDArray[np.float64]  # NaN: none was set
    device_known: NDArray[np.bool_]

    @property
    def hour(self) -> NDArray[np.int64]:
        """Return the hour of the day, 0 to 23."""
        return self.time_us // HOUR_US


def draw_traffic(rng: np.random.Generator, users: Users, campaigns: Campaigns, rows: int) -> Traffic:
    """Draw `rows` impressions of one day."""
    push = rng.random(rows) >= AD_SHARE
    time_us = np.where(push, _draw_times(rng, "push", rows), _draw_times(rng, "ad", rows))
    order = np.argsort(time_us)
    user = _draw_weighted(rng, users.activity, rows)
    sends_per_user = 1 + 6 * (users.activity / users.activity.max()) ** 0.4
    return Traffic(
        serial=np.arange(rows),
        time_us=time_us[order],
        push=push[order],
        user=user,
        campaign=_draw_weighted(rng, campaigns.budget, rows),
        position=np.where(push[order], 1, 1 + _draw_weighted(rng, POSITIONS, rows)),
        recent_sends=rng.poisson(sends_per_user[user] * rng.exponential(size=rows)),
        bid_floor=np.where(rng.random(rows) < NULL_BID_FLOOR_SHARE, np.nan, np.exp(rng.normal(0.0, 0.6, rows))),
        device_known=rng.random(rows) >= NULL_DEVICE_SHARE,
    )


def draw_bot_traffic(
    rng: np.random.Generator, users: Users, campaigns: Campaigns, rows: int, *, first_serial: int
) -> Traffic:
    """Draw `rows` ads of one day, shown to the bots by the campaign with the largest budget."""
    return replace(
        draw_traffic(rng, users, campaigns, rows),
        serial=first_serial + np.arange(rows),
        push=np.zeros(rows, dtype=bool),
        user=USERS + rng.integers(BOTS, size=rows),
        campaign=np.full(rows, campaigns.budget.argmax()),
    )


@cache
def _user_names(count: int) -> pa.Array:
    """Return the names of so many users: to write them anew would take a sixth of a small day's time."""
    return pa.array([f"u{number:05d}" for number in range(count)])


def impressions_table(traffic: Traffic, users: Users, campaigns: Campaigns, day: date) -> pa.Table:
    """Build the table of impressions as they are logged, every column a feature or a key."""
    return pa.table(
        {
            "event_id": event_ids(day, traffic.serial),
            "ts": timestamps(day, traffic.time_us),
            "user_id": _user_names(len(users.segment)).take(pa.array(traffic.user)),
            "channel": pc.if_else(pa.array(traffic.push), "push", "ad"),
            "campaign_id": pa.array(campaigns.names).take(pa.array(traffic.campaign)),
            "segment": pa.array(SEGMENTS).take(pa.array(users.segment[traffic.user])),
            "category": pa.array(CATEGORIES).take(pa.array(campaigns.category[traffic.campaign])),
            "device": pa.array(DEVICES).take(pa.array(users.device[traffic.user], mask=~traffic.device_known)),
            "position": pa.array(traffic.position),
            "campaign_age_days": pa.array(campaign_age_days(traffic, campaigns, day)),
            "recent_sends": pa.array(traffic.recent_sends),
            "bid_floor": pa.array(traffic.bid_floor, from_pandas=True),
        }
    )


def campaign_age_days(traffic: Traffic, campaigns: Campaigns, day: date) -> NDArray[np.float64]:
    """Return the days, with fractions, since the launch of each impression's campaign."""
    return np.asarray(day.toordinal() - campaigns.launch[traffic.campaign] + traffic.time_us / DAY_US)


def event_ids(day: date, serial: NDArray[np.int64]) -> pa.Array:
    """Write ids such as `20260301-0000042`, shape (n,)."""
    digits = pc.utf8_lpad(pc.cast(pa.array(serial), pa.string()), 7, "0")
    return pc.binary_join_element_wise(f"{day:%Y%m%d}", digits, "-")


def timestamps(day: date, time_us: NDArray[np.int64]) -> pa.Array:
    """Make naive UTC timestamps from microseconds since the day began, shape (n,)."""
    midnight = np.datetime64(day, "us")
    return pa.array(midnight + time_us.astype("timedelta64[us]"))


def _draw_times(rng: np.random.Generator, channel: str, rows: int) -> NDArray[np.int64]:
    """Draw microseconds since the day began by the channel's hourly volume, even within the hour."""
    hour = _draw_weighted(rng, HOURLY_VOLUME[channel], rows)
    return hour * HOUR_US + rng.integers(HOUR_US, size=rows)


def _draw_weighted(rng: np.random.Generator, weight: NDArray[np.float64], rows: int) -> NDArray[np.int64]:
    """Draw indices with probability in proportion to `weight`, by inversion of the distribution function."""
    cumulative = np.cumsum(weight)
    return np.asarray(np.searchsorted(cumulative, rng.random(rows) * cumulative[-1], side="right"), np.int64)
