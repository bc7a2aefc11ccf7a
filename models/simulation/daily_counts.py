"""Daily counts of the simulated world, campaign by campaign and device by device, without its rows.

A row's clicks depend on its campaign and device alone once the mean is taken over all else that the world draws for it:
user, hour, position, recent sends, bid floor and noise. So a day's counts are multinomial and binomial draws with the
world's own means, and a year of a million impressions a day takes a second. Positives are those whose click has landed
by the day's end. On top of the world's own days lively ones have holidays, growth, slow drift and days of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.models.serving.calibration import sigmoid
from ctr_retrain.models.simulation.traffic import (
    AD_SHARE,
    BOTS,
    DEVICES,
    HOURLY_VOLUME,
    LIFE_DAYS,
    NULL_BID_FLOOR_SHARE,
    NULL_DEVICE_SHARE,
    POSITIONS,
    SEGMENTS,
    WEEKDAY_VOLUME,
    Campaigns,
    Users,
    draw_launches,
    draw_users,
)
from ctr_retrain.models.simulation.world import (
    ATTRIBUTION_WINDOW_HOURS,
    CLICK_DELAY,
    DEVICE_EFFECT,
    HOUR_EFFECT,
    INTERCEPT_SHIFT,
    NOISE_SD,
    RESIDUAL_SD,
    TASTE_SPREAD,
    WEEKDAY_EFFECT,
    World,
    campaign_effects,
    draw_tastes,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Counts = NDArray[np.int64]

DEVICE_VALUES = (*DEVICES, "unknown")
GRID = np.linspace(-12.0, 4.0, 321)  # log-odds at which means over the rest of a row are tabulated
MOST_SENDS = 60  # recent sends: more are as rare as they are alike


@dataclass(frozen=True)
class CampaignPlan:
    """All campaigns alive on some day of a stretch."""

    campaigns: Campaigns  # budgets not yet as shares of a day
    end: Counts  # proleptic ordinal of the first day without them

    def alive(self, day: date) -> NDArray[np.bool_]:
        """Tell which are alive on a day."""
        return np.asarray((self.campaigns.launch <= day.toordinal()) & (day.toordinal() < self.end))


@dataclass(frozen=True)
class ChannelLaw:
    """One channel's days as the world means them, before chance: arrays of shape (days, campaigns, devices)."""

    channel: str
    days: tuple[date, ...]
    campaigns: tuple[str, ...]
    share: Floats  # of the channel's impressions of the day; sums to 1
    probability: Floats  # of a click that has landed by the day's end
    volume: Floats  # (days,), the channel's impressions relative to the world's a day


@dataclass(frozen=True)
class Liveliness:
    """Events of lively worlds beside the world's own law; standard deviations on a logarithmic scale."""

    day_sd: float = 0.03  # of a day's ratio, on its own
    slow_sd: float = 0.06  # of the ratio's slow drift
    slow_days: float = 20.0  # its memory
    volume_sd: float = 0.03  # of a day's volume
    growth: float = 0.0015  # of the volume, a day
    decline: float = 0.0003  # of the ratio's log-odds, a day
    holidays: tuple[int, ...] = (66, 110, 155, 200, 270, 310)  # first days, counted from the stretch's own first
    holiday_volume: float = 0.7
    holiday_ratio: float = 0.2


def plan_campaigns(seed: int, days: Sequence[date]) -> CampaignPlan:
    """Draw all campaigns that are alive on some of the days, which are in order."""
    first, last = days[0].toordinal(), days[-1].toordinal()
    plans = [plan for plan in draw_launches(seed, first - LIFE_DAYS[1] + 1, last) if plan[0] + plan[1] > first]
    launch, life, number, category, budget = (np.array(part) for part in zip(*plans, strict=True))
    return CampaignPlan(Campaigns(launch, number, category, budget), launch + life)


def channel_laws(world: World, days: Sequence[date]) -> dict[str, ChannelLaw]:
    """Return the law of each channel's counts over days in order, all of one era and without incidents."""
    users, plan = draw_users(world.seed), plan_campaigns(world.seed, days)
    groups, sends = _user_groups(world, days[0], users, plan.campaigns), _shares_of_sends(users)
    return {channel: _channel_law(world, channel, days, plan, groups, sends) for channel in ATTRIBUTION_WINDOW_HOURS}


def draw_counts(
    law: ChannelLaw, rows_per_day: int, lively: Liveliness | None, rng: np.random.Generator
) -> tuple[Counts, Counts]:
    """Draw a channel's rows and positives, (days, campaigns, devices) each; lively: None for the world's own days."""
    days = len(law.days)
    extra_odds, extra_volume = _liveliness(lively, days, rng) if lively else (np.zeros(days), np.ones(days))
    rows = np.zeros(law.share.shape, np.int64)
    positives = np.zeros_like(rows)
    for index in range(days):
        cells = np.flatnonzero(law.share[index])
        total = rng.poisson(rows_per_day * law.volume[index] * extra_volume[index])
        share = law.share[index].ravel()[cells]
        drawn = rng.multinomial(total, share / share.sum())
        odds = law.probability[index].ravel()[cells]
        chance = sigmoid(np.log(odds / (1 - odds)) + extra_odds[index])
        rows[index].ravel()[cells] = drawn
        positives[index].ravel()[cells] = rng.binomial(drawn, chance)
    return rows, positives


def _liveliness(lively: Liveliness, days: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Draw each day's addition to the log-odds and factor of the volume."""
    kept = np.exp(-1 / lively.slow_days)
    slow = np.zeros(days)
    slow[0] = lively.slow_sd * rng.normal()
    for index in range(1, days):
        slow[index] = kept * slow[index - 1] + lively.slow_sd * np.sqrt(1 - kept**2) * rng.normal()
    holiday = np.zeros(days, bool)
    for first in lively.holidays:
        holiday[first : first + rng.integers(1, 4)] = True
    ages = np.arange(days)
    odds = slow + rng.normal(0, lively.day_sd, days) - lively.decline * ages + lively.holiday_ratio * holiday
    volume = (1 + lively.growth) ** ages * np.exp(rng.normal(0, lively.volume_sd, days))
    return np.asarray(odds), np.asarray(volume * np.where(holiday, lively.holiday_volume, 1.0))


@dataclass(frozen=True)
class _UserGroups:
    """Users by segment and device: their share of the impressions, and each campaign's effect on their log-odds."""

    share: Floats  # (segments, devices)
    effect: Floats  # (campaigns, segments, devices)


def _user_groups(world: World, day: date, users: Users, campaigns: Campaigns) -> _UserGroups:
    """Take means over the users of a group, weighted by their impressions."""
    tastes = draw_tastes(world, day, users)
    main, vector = campaign_effects(world, day, tastes, campaigns)
    shape = (len(SEGMENTS), len(DEVICES))
    group = users.segment * len(DEVICES) + users.device
    weight = np.bincount(group, users.activity, minlength=shape[0] * shape[1])
    residual = np.stack(
        [np.bincount(group, users.activity * part, minlength=len(weight)) / weight for part in tastes.user_residual.T],
        axis=1,
    )
    group_vector = np.repeat(tastes.segment_vector, len(DEVICES), axis=0) + residual
    # Users differ within their group by their residual: half its variance is what that adds to the mean of small odds.
    within = 0.5 * (RESIDUAL_SD * TASTE_SPREAD) ** 2 * (vector**2).sum(axis=1)
    effect = vector @ group_vector.T + np.repeat(tastes.segment_effect, len(DEVICES)) + (main + within)[:, None]
    return _UserGroups(np.asarray(weight, float).reshape(shape), effect.reshape(-1, *shape))


def _channel_law(
    world: World, channel: str, days: Sequence[date], plan: CampaignPlan, groups: _UserGroups, sends: Floats
) -> ChannelLaw:
    """Put together the shares and means of one channel's days."""
    mean_of_rest, level = _mean_over_rest(channel, sends), _intercept(world, channel)
    campaigns, devices = len(plan.end), len(DEVICE_VALUES)
    share, probability = np.zeros((2, len(days), campaigns, devices))
    by_device = groups.share.sum(axis=0)
    of_device = np.append(by_device * (1 - NULL_DEVICE_SHARE), NULL_DEVICE_SHARE)
    # Tiredness grows within the day; a day's impressions are as old as their mean hour.
    midday = np.exp(-_mean_time_of_day(channel) / 12)
    for index, day in enumerate(days):
        alive = np.flatnonzero(plan.alive(day))
        budget = plan.campaigns.budget[alive]
        age = day.toordinal() - plan.campaigns.launch[alive]
        tiredness = 1 - np.exp(-age / 12) * midday
        odds = groups.effect[alive] + DEVICE_EFFECT - tiredness[:, None, None]
        chance = np.interp(odds + level + WEEKDAY_EFFECT[day.weekday()], GRID, mean_of_rest)
        clicks = (chance * groups.share).sum(axis=1) / by_device  # (alive campaigns, devices), mean over segments
        share[index, alive] = np.outer(budget / budget.sum(), of_device)
        probability[index, alive] = np.column_stack([clicks, clicks @ by_device])
    part = AD_SHARE if channel == "ad" else 1 - AD_SHARE
    volume = part * np.array([WEEKDAY_VOLUME[day.weekday()] for day in days])
    return ChannelLaw(channel, tuple(days), tuple(plan.campaigns.names), share, probability, volume)


def _intercept(world: World, channel: str) -> float:
    """Return the log-odds at which all effects are zero."""
    ctr = world.ad_ctr if channel == "ad" else world.push_ctr
    return float(np.log(ctr / (1 - ctr))) + INTERCEPT_SHIFT[channel]


def _mean_time_of_day(channel: str) -> float:
    """Return the mean time of a channel's impressions, in days."""
    volume = HOURLY_VOLUME[channel]
    return float(volume @ (np.arange(24) + 0.5) / volume.sum() / 24)


def _mean_over_rest(channel: str, of_sends: Floats) -> Floats:
    """Tabulate the mean click probability by the day's end over all that a row has beside user group and campaign."""
    volume = HOURLY_VOLUME[channel] / HOURLY_VOLUME[channel].sum()
    landed = volume * _landed_by_the_end(channel)
    effects, weights = HOUR_EFFECT, landed
    if channel == "ad":
        effects, weights = _sum_of(effects, weights, np.asarray(-0.16 * np.arange(len(POSITIONS))), POSITIONS)
    of_tiredness = np.asarray(-0.8 * (1 - np.exp(-np.maximum(np.arange(MOST_SENDS) - 2, 0) / 4)), float)
    effects, weights = _sum_of(effects, weights, of_tiredness, of_sends)
    # Noise and bid floor are normal, but for the few rows without a floor.
    deviation = sqrt(NOISE_SD**2 + (1 - NULL_BID_FLOOR_SHARE) * (0.12 * 0.6) ** 2)
    nodes, of_nodes = np.polynomial.hermite_e.hermegauss(9)
    effects, weights = _sum_of(effects, weights, deviation * np.array(nodes, np.float64), of_nodes / of_nodes.sum())
    return np.array([float(weights @ sigmoid(point + effects)) for point in GRID])


def _sum_of(effects: Floats, weights: Floats, more: Floats, of_more: Floats) -> tuple[Floats, Floats]:
    """Return the distribution of the sum of two independent effects; equal sums are put together, to three digits."""
    sums = np.round(effects[:, None] + more[None, :], 3).ravel()
    values, place = np.unique(sums, return_inverse=True)
    return values, np.asarray(np.bincount(place, np.outer(weights, of_more).ravel()), float)


def _shares_of_sends(users: Users) -> Floats:
    """Return the shares of impressions whose user had so many recent ones: Poisson of an exponential is geometric."""
    activity = users.activity[:-BOTS]
    mean = 1 + 6 * (activity / activity.max()) ** 0.4
    part, more, shares = activity / (1 + mean), mean / (1 + mean), np.empty(MOST_SENDS)
    for sends in range(MOST_SENDS):
        shares[sends] = part.sum()
        part *= more
    return np.asarray(shares / shares.sum())


def _landed_by_the_end(channel: str) -> Floats:
    """Return the share of a click's delays that end within its day, by the impression's hour, (24,)."""
    window = ATTRIBUTION_WINDOW_HOURS[channel]
    left = 24 - np.arange(24)[:, None] - (np.arange(10) + 0.5) / 10  # hours, at ten times within each hour
    within = sum(
        share * (1 - np.exp(-left / scale)) / (1 - np.exp(-window / scale)) for share, scale in CLICK_DELAY[channel]
    )
    return np.asarray(np.mean(within, axis=1))


def stretch(first: date, days: int) -> tuple[date, ...]:
    """Return days in a row."""
    return tuple(first + timedelta(days=index) for index in range(days))
