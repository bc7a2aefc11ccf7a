"""The simulated world: ad and push impressions whose true click probability is known.

An impression is clicked within its attribution window with probability σ(ℓ + ε).

- ℓ, the learnable part, is a function of the impression's columns alone: channel, hour, weekday, segment, category,
  device, position, campaign age, recent sends, bid floor, a quality per campaign, and a taste, the scalar product of
  a user's vector (its segment's plus a small residual) with a campaign's (its category's plus a small residual).
  `best_probability` is E[σ(ℓ + ε)] over ε: what a model with these features reaches at infinite data.
- ε ~ N(0, NOISE_SD²) is drawn anew for each impression and is in no column: **no model can learn it**. `probability`
  is σ(ℓ + ε), the one at which the click was drawn.

In practice two parts of ℓ stay out of reach besides: a user's residual (few clicks a user), and quality and residual
of campaigns that were launched after the training window.

A day follows from (world, day) alone, so any day can be had without the earlier ones. All numbers here and in
`traffic` belong to world v1 and are frozen: another world gets another name.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ctr_retrain.models.errors import UsageError
from ctr_retrain.models.serving.calibration import sigmoid
from ctr_retrain.models.simulation.scenarios import BotFlood, BrokenClickLogger, DriftingTastes, Incident, RegimeChange
from ctr_retrain.models.simulation.traffic import (
    CATEGORIES,
    HOUR_US,
    SEGMENTS,
    WEEKDAY_VOLUME,
    Campaigns,
    Stream,
    Traffic,
    Users,
    campaign_age_days,
    draw_bot_traffic,
    draw_campaigns,
    draw_traffic,
    draw_users,
    impressions_table,
    random_stream,
    timestamps,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

ATTRIBUTION_WINDOW_HOURS = {"ad": 24, "push": 72}

# The click's log-odds. Standard deviations are those of the effect over segments, categories or campaigns.
SEGMENT_SD = 0.42
CATEGORY_SD = 0.42
TASTE_SD = 0.55
TASTE_DIM = 2  # dimensions of the vectors whose scalar product is a taste
RESIDUAL_SD = 0.2  # of a user's or campaign's vector, relative to those of segments and categories
QUALITY_SD = 0.20
NOISE_SD = 0.5
DEVICE_EFFECT = np.array([0.05, 0.25, -0.35])  # android, ios, web
WEEKDAY_EFFECT = np.array([-0.05, -0.05, -0.03, 0.0, 0.03, 0.06, 0.04])  # Monday to Sunday
HOUR_EFFECT = 0.4 * np.cos(2 * np.pi * (np.arange(24) - 20) / 24)  # evenings are best
INTERCEPT_SHIFT = {"ad": 0.30, "push": 0.20}  # from the log-odds of the asked CTR to those at all effects zero

# Delays in hours: (share, scale) of two exponentials, cut off at the attribution window.
CLICK_DELAY = {"ad": ((0.8, 0.1), (0.2, 7.0)), "push": ((0.45, 1.0), (0.55, 16.0))}
CLICKS_AFTER_WINDOW = 0.005  # per click within it
CONVERSION_SHARE = 0.08  # of clicks
CONVERSION_HOURS = 2.0
DISMISS_SHARE = 0.05  # of pushes without a click
DISMISS_HOURS = 1.0


@dataclass(frozen=True)
class World:
    """The parameters of a simulated world; two equal worlds give equal days."""

    seed: int = 1  # 0 or more
    rows_per_day: int = 20_000  # impressions, the mean over the week; bots are not counted
    incidents: tuple[Incident, ...] = ()
    # Clicks per impression over all days and seeds, within a few per cent; one seed's campaigns and segments make it up
    # to a fifth more or less.
    ad_ctr: float = 0.02
    push_ctr: float = 0.015
    name: str = "v1"  # of the frozen numbers that this module and `traffic` hold

    def __post_init__(self) -> None:
        """Raise UsageError for an unknown name, a seed below 0, fewer than one row a day, and a ratio of 0 or 1."""
        if self.name != "v1":
            msg = f"simulated world: expected the name 'v1', received {self.name!r}"
            raise UsageError(msg)
        if self.seed < 0 or self.rows_per_day < 1:
            msg = (
                "simulated world: expected seed >= 0 and rows_per_day >= 1, "
                f"received {self.seed} and {self.rows_per_day}"
            )
            raise UsageError(msg)
        if not (0 < self.ad_ctr < 1 and 0 < self.push_ctr < 1):
            msg = (
                "simulated world: expected ad_ctr and push_ctr between 0 and 1, "
                f"received {self.ad_ctr} and {self.push_ctr}"
            )
            raise UsageError(msg)

    def era(self, day: date) -> int:
        """Count the regime changes that a day has behind it."""
        return sum(isinstance(incident, RegimeChange) and incident.day <= day for incident in self.incidents)


@dataclass(frozen=True)
class WorldDay:
    """One event day, clean and complete."""

    # event_id, ts (naive UTC), user_id, channel, campaign_id and features, by time
    impressions: pa.Table
    # event_id, ts, kind (click, conversion, dismiss) of these impressions, whenever they come, by time
    outcomes: pa.Table
    # event_id, probability, best_probability of a click within the attribution window, row by row as impressions
    truth: pa.Table


def simulate_day(world: World, day: date) -> WorldDay:
    """Simulate one event day: its impressions, their outcomes, and the truth about them."""
    users = draw_users(world.seed)
    campaigns = draw_campaigns(world.seed, day)
    rows = max(1, round(world.rows_per_day * WEEKDAY_VOLUME[day.weekday()]))
    traffic = draw_traffic(random_stream(world.seed, Stream.TRAFFIC, day.toordinal()), users, campaigns, rows)

    rng = random_stream(world.seed, Stream.CLICKS, day.toordinal())
    log_odds = _click_log_odds(world, day, traffic, users, campaigns)
    probability = sigmoid(log_odds + rng.normal(0.0, NOISE_SD, rows))

    impressions = impressions_table(traffic, users, campaigns, day)
    simulated = WorldDay(
        impressions=impressions,
        outcomes=_draw_outcomes(rng, impressions, traffic, probability, day),
        truth=_truth_table(impressions, probability, _mean_sigmoid(log_odds)),
    )
    for index, incident in enumerate(world.incidents):
        key = (day.toordinal(), index)
        if isinstance(incident, BrokenClickLogger) and incident.covers(day):
            rng = random_stream(world.seed, Stream.LOST_CLICKS, *key)
            simulated = replace(simulated, outcomes=incident.keep_logged(impressions, simulated.outcomes, rng))
        if isinstance(incident, BotFlood) and incident.covers(day):
            rng = random_stream(world.seed, Stream.BOTS, *key)
            bots = draw_bot_traffic(
                rng, users, campaigns, incident.rows(rows), first_serial=simulated.impressions.num_rows
            )
            simulated = _add_bots(simulated, impressions_table(bots, users, campaigns, day))
    return simulated


def _click_log_odds(world: World, day: date, traffic: Traffic, users: Users, campaigns: Campaigns) -> Floats:
    """Return ℓ, the part of the log-odds that the columns determine, shape (impressions,)."""
    ad = np.log(world.ad_ctr / (1 - world.ad_ctr)) + INTERCEPT_SHIFT["ad"]
    push = np.log(world.push_ctr / (1 - world.push_ctr)) + INTERCEPT_SHIFT["push"]
    user_campaign = _user_campaign_effect(world, day, traffic, users, campaigns)
    tiredness = 1 - np.exp(-campaign_age_days(traffic, campaigns, day) / 12)
    fatigue = 1 - np.exp(-np.maximum(traffic.recent_sends - 2, 0) / 4)
    return np.asarray(
        np.where(traffic.push, push, ad)
        + user_campaign
        + DEVICE_EFFECT[users.device[traffic.user]]
        + HOUR_EFFECT[traffic.hour]
        + WEEKDAY_EFFECT[day.weekday()]
        - 0.16 * (traffic.position - 1)
        - 1.0 * tiredness
        - 0.8 * fatigue
        + 0.12 * np.nan_to_num(np.log(traffic.bid_floor))
    )


@dataclass(frozen=True)
class Tastes:
    """Effects on the log-odds that all campaigns of an era share: of segments, categories, and of their tastes."""

    segment_effect: Floats  # (segments,)
    category_effect: Floats  # (categories,)
    segment_vector: Floats  # (segments, TASTE_DIM)
    category_vector: Floats  # (categories, TASTE_DIM)
    user_residual: Floats  # (users, TASTE_DIM), of their vector beside their segment's


# Products of two vectors with this spread in each of TASTE_DIM dimensions have a standard deviation of TASTE_SD.
TASTE_SPREAD = (TASTE_SD**2 / TASTE_DIM) ** 0.25


def draw_tastes(world: World, day: date, users: Users) -> Tastes:
    """Draw the tastes of a day's era."""
    rng = random_stream(world.seed, Stream.TASTES, world.era(day))
    return Tastes(
        segment_effect=_standardised(rng.normal(size=len(SEGMENTS)), SEGMENT_SD),
        category_effect=_standardised(rng.normal(size=len(CATEGORIES)), CATEGORY_SD),
        segment_vector=_standardised(rng.normal(size=(len(SEGMENTS), TASTE_DIM)), TASTE_SPREAD),
        category_vector=_standardised(rng.normal(size=(len(CATEGORIES), TASTE_DIM)), TASTE_SPREAD),
        user_residual=rng.normal(0.0, RESIDUAL_SD * TASTE_SPREAD, (len(users.segment), TASTE_DIM)),
    )


def campaign_effects(world: World, day: date, tastes: Tastes, campaigns: Campaigns) -> tuple[Floats, Floats]:
    """Return each campaign's effect on the log-odds, (campaigns,), and its taste vector, (campaigns, TASTE_DIM)."""
    era, ids = world.era(day), zip(campaigns.launch.tolist(), campaigns.number.tolist(), strict=True)
    own = [_own_taste(world.seed, era, launch, number) for launch, number in ids]
    quality, residual = np.split(np.array(own), [1], axis=1)
    effect = tastes.category_effect[campaigns.category] + QUALITY_SD * quality[:, 0]
    return effect, tastes.category_vector[campaigns.category] + RESIDUAL_SD * TASTE_SPREAD * residual


@lru_cache(maxsize=4096)
def _own_taste(seed: int, era: int, launch: int, number: int) -> tuple[float, ...]:
    """Draw a campaign's quality and residual, the same on all days of an era."""
    own = random_stream(seed, Stream.CAMPAIGN_TASTES, era, launch, number).normal(size=1 + TASTE_DIM)
    return tuple(own.tolist())


def _user_campaign_effect(world: World, day: date, traffic: Traffic, users: Users, campaigns: Campaigns) -> Floats:
    """Return the addition of user and campaign to the log-odds, tastes included, shape (impressions,)."""
    tastes = draw_tastes(world, day, users)
    main_effects, campaign_vector = campaign_effects(world, day, tastes, campaigns)
    user_vector = tastes.segment_vector[users.segment] + tastes.user_residual
    segment = users.segment[traffic.user]
    taste = (user_vector[traffic.user] * campaign_vector[traffic.campaign]).sum(axis=1)
    effect = tastes.segment_effect[segment] + main_effects[traffic.campaign] + taste
    for incident in world.incidents:
        if isinstance(incident, DriftingTastes):
            rng = random_stream(world.seed, Stream.DRIFTING_TASTES)
            drifted = incident.log_odds(rng, day, (len(SEGMENTS), len(CATEGORIES)))
            effect = effect + drifted[segment, campaigns.category[traffic.campaign]]
    return np.asarray(effect)


def _draw_outcomes(
    rng: np.random.Generator, impressions: pa.Table, traffic: Traffic, probability: Floats, day: date
) -> pa.Table:
    """Draw clicks within and after the window, conversions of clicks and dismissals of pushes, by time."""
    rows = len(probability)
    clicked = rng.random(rows) < probability
    clicked_late = ~clicked & (rng.random(rows) < CLICKS_AFTER_WINDOW * probability)
    converted = clicked & (rng.random(rows) < CONVERSION_SHARE)
    dismissed = traffic.push & ~clicked & ~clicked_late & (rng.random(rows) < DISMISS_SHARE)

    window = np.where(traffic.push, ATTRIBUTION_WINDOW_HOURS["push"], ATTRIBUTION_WINDOW_HOURS["ad"])
    hours = np.zeros(rows)
    for channel, of_channel in (("ad", ~traffic.push), ("push", traffic.push)):
        hours[clicked & of_channel] = _draw_delays(rng, channel, int((clicked & of_channel).sum()))
    hours[clicked_late] = (window * (1 + rng.exponential(0.2, rows)))[clicked_late]
    conversion_hours = hours + rng.exponential(CONVERSION_HOURS, rows)
    dismiss_hours = rng.exponential(DISMISS_HOURS, rows)

    drawn = [
        ("click", clicked | clicked_late, hours),
        ("conversion", converted, conversion_hours),
        ("dismiss", dismissed, dismiss_hours),
    ]
    tables = [
        pa.table(
            {
                "event_id": impressions["event_id"].filter(pa.array(mask)),
                "ts": timestamps(day, traffic.time_us[mask] + (delay[mask] * HOUR_US).astype(np.int64)),
                "kind": pa.repeat(kind, int(mask.sum())),
            }
        )
        for kind, mask, delay in drawn
    ]
    return pa.concat_tables(tables).sort_by([("ts", "ascending"), ("event_id", "ascending"), ("kind", "ascending")])


def _draw_delays(rng: np.random.Generator, channel: str, rows: int) -> Floats:
    """Draw the hours from impression to click, shape (rows,): exponentials cut off at the window, by inversion."""
    (quick_share, quick_hours), (_, slow_hours) = CLICK_DELAY[channel]
    scale = np.where(rng.random(rows) < quick_share, quick_hours, slow_hours)
    within = -np.expm1(-ATTRIBUTION_WINDOW_HOURS[channel] / scale)
    return np.asarray(-scale * np.log1p(-rng.random(rows) * within))


def _add_bots(simulated: WorldDay, bots: pa.Table) -> WorldDay:
    """Add the bots' impressions, which are never clicked, to a day."""
    never = np.zeros(bots.num_rows)
    impressions = pa.concat_tables([simulated.impressions, bots])
    by_time = pc.sort_indices(impressions, [("ts", "ascending"), ("event_id", "ascending")])
    truth = pa.concat_tables([simulated.truth, _truth_table(bots, never, never)])
    return replace(simulated, impressions=impressions.take(by_time), truth=truth.take(by_time))


def _truth_table(impressions: pa.Table, probability: Floats, best_probability: Floats) -> pa.Table:
    """Build the table of true probabilities, row by row as the impressions."""
    columns = {"event_id": impressions["event_id"], "probability": probability, "best_probability": best_probability}
    return pa.table(columns)


def _standardised(values: Floats, sd: float) -> Floats:
    """Give values mean 0 and standard deviation `sd` along the first axis, whatever the seed drew."""
    return np.asarray(sd * (values - values.mean(axis=0)) / values.std(axis=0))


def _mean_sigmoid(log_odds: Floats) -> Floats:
    """Compute E[σ(ℓ + ε)], ε ~ N(0, NOISE_SD²), by Gauss-Hermite quadrature, 9 nodes (Abramowitz, Stegun 25.4.46)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(9)
    mean = np.zeros_like(log_odds)
    for node, weight in zip(nodes, weights / weights.sum(), strict=True):
        mean += weight * sigmoid(log_odds + NOISE_SD * node)
    return mean
