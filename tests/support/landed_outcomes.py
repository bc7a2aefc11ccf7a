"""Counts of outcomes as they land day by day, drawn in milliseconds: two channels, slow weekends, faults on order."""

from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np

from ctr_retrain.models.data.completeness import Arrived
from ctr_retrain.models.data.slices import SliceCount

FIRST = date(2026, 1, 5)  # a Monday
PAIRS = (("ad", "click"), ("push", "click"))
SHARE = {"ad": 0.7, "push": 0.3}  # of impressions
RATIO = {"ad": 0.02, "push": 0.015}
LANDS = {"ad": (0.93, 0.07), "push": (0.74, 0.2, 0.05, 0.01)}  # share of outcomes that land at each age
DEVICES = {"android": 0.55, "ios": 0.3, "web": 0.15}


@dataclass
class Outcomes:
    """What landed: of each channel and kind its event days, and counts by device of each day itself."""

    arrivals: dict
    slices: dict
    days: tuple

    def day(self, number):
        return FIRST + timedelta(days=number)


@dataclass
class Fault:
    """From `first` to `last`: the share of outcomes lost of a device, of a channel, or of all that lands."""

    first: int
    last: int
    lost: float
    channel: str | None = None
    device: str | None = None
    landing: bool = False  # by landing day: a file that is missing; else by event day: a logger or a ratio


@dataclass
class Traffic:
    """How the days differ: all of it normal."""

    rows: int = 25_000
    weekend_delay: float = 0.0  # share of outcomes that wait a day longer on Saturdays and Sundays
    varies: float = 0.03  # standard deviation of the log-odds from day to day, of each channel
    common: float = 0.03  # the same of all channels together
    slow: float = 0.06  # of a drift that all channels share
    growth: float = 0.0015  # a day
    holidays: tuple = ()  # days with a fifth fewer outcomes and three tenths fewer impressions
    bots: tuple = field(default=())  # days on which ads have half of their impressions, of one device, from bots


def simulate(traffic, days, seed, faults=()):
    rng = np.random.default_rng(seed)
    common = rng.normal(0, traffic.common, days) + _drift(rng, days, traffic.slow)
    arrivals, slices = {pair: [] for pair in PAIRS}, {}
    for number in range(days):
        day = FIRST + timedelta(days=number)
        quiet = number in traffic.holidays
        for channel, kind in PAIRS:
            ratio = RATIO[channel] * np.exp(common[number] + rng.normal(0, traffic.varies)) * (0.8 if quiet else 1)
            total = traffic.rows * SHARE[channel] * (1 + traffic.growth) ** number * (0.7 if quiet else 1)
            rows, landed = _event_day(rng, traffic, channel, number, int(total), ratio, faults)
            arrivals[channel, kind].append(Arrived(day, sum(rows.values()), tuple(sum(landed.values()).tolist())))
            slices.setdefault(day, []).extend(
                SliceCount(channel, "device", device, rows[device], rows[device], int(landed[device][0]))
                for device in DEVICES
            )
    return Outcomes(arrivals, slices, tuple(FIRST + timedelta(days=number) for number in range(days)))


def _event_day(rng, traffic, channel, number, total, ratio, faults):
    """Impressions and outcomes by landing age, each by device."""
    lands = np.array(LANDS[channel])
    if number % 7 >= 5:
        later = lands[:-1] * traffic.weekend_delay
        lands = lands - np.append(later, 0) + np.insert(later, 0, 0)
    rows, landed = {}, {}
    for device, share in DEVICES.items():
        rows[device] = int(total * share)
        kept = np.array([_kept(faults, channel, device, number, age) for age in range(len(lands))]) if faults else 1.0
        landed[device] = rng.poisson(rows[device] * ratio * lands * kept)
        if number in traffic.bots and (channel, device) == ("ad", "web"):
            rows[device] += total
    return rows, landed


def _kept(faults, channel, device, number, age):
    kept = 1.0
    for fault in faults:
        on = number + age if fault.landing else number
        if fault.first <= on <= fault.last and fault.channel in (None, channel) and fault.device in (None, device):
            kept *= 1 - fault.lost
    return kept


def _drift(rng, days, sd):
    """A drift with a memory of twenty days."""
    kept, level, found = np.exp(-1 / 20), sd * rng.normal(), []
    for _ in range(days):
        level = kept * level + sd * np.sqrt(1 - kept**2) * rng.normal()
        found.append(level)
    return np.array(found)
