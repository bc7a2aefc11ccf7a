"""Faults planted in a part of the validation rows: how often the slices' veto rejects them, and sound models.

Rows are drawn as a night's are: users and campaigns with tastes of their own, 100,000 impressions, 2 to 4 % positives.
A sound challenger has slices that are off by as much as those of real models are, all within their bounds.
"""

from dataclasses import dataclass

import numpy as np

from ctr_retrain.models.feature_kinds.categorical import Categorical
from ctr_retrain.models.judged_slices.judge_slices import judge_slices, slice_checks
from ctr_retrain.models.judged_slices.slice_rows import family_of
from ctr_retrain.models.judging.judged_rows import JudgedRows
from ctr_retrain.models.recipe.channel_section import Channel, Cost
from ctr_retrain.models.recipe.gate_section import Gate
from ctr_retrain.models.recipe.recipe import Recipe

ROWS, CAMPAIGNS, USERS = 100_000, 60, 20_000
COST = Cost(true_positive=-0.98, false_positive=0.02)
RECIPE = Recipe(
    name="plants",
    channels={name: Channel(positive_ratio=(0, 1), cost=COST) for name in ("ad", "push")},
    features=(Categorical(name="user_id"),),
    gate=Gate(max_cost_delta_per_1000=0.5, max_channel_cost_delta_per_1000=2.0),
)


@dataclass(frozen=True)
class Plant:
    """A fault: by how much the challenger's probabilities of some rows are wrong."""

    name: str
    share: float = 0.03  # of the rows that the planted campaign has
    factor: float = 1.0  # of its probabilities
    push: float = 1.0  # of those of the channel push
    ad: float = 1.0  # of those of the channel ad
    edge: bool = False  # whether every campaign's ratio lies on a bound, as near to a veto as a sound one can

    def faulty(self):
        """True where a part is beyond its bounds."""
        return self.factor != 1 or self.push != 1 or self.ad != 1


PLANTS = (
    Plant("campaign of 3 % of rows, ×3", 0.03, 3),
    Plant("campaign of 5 % of rows, ×3", 0.05, 3),
    Plant("campaign of 5 % of rows, a third", 0.05, 1 / 3),
    Plant("push ×1.8, ad ×0.93", push=1.8, ad=0.93),
    Plant("none: campaigns off by 20 %"),
    Plant("none: each campaign on a bound", edge=True),
)


def draw(rng, plant, rate):
    """Draw a night's rows with both models' probabilities."""
    user = np.minimum((rng.pareto(1.2, ROWS) * 500).astype(int), USERS - 1)
    campaign = np.where(rng.random(ROWS) < plant.share, 0, rng.integers(1, CAMPAIGNS, ROWS))
    push = rng.random(ROWS) < 0.2
    taste = rng.normal(0, 0.4, USERS)[user] + rng.normal(0, 0.3, CAMPAIGNS)[campaign] * (campaign > 0)
    odds = np.exp(taste + rng.normal(0, 0.4, ROWS))
    probability = np.minimum(rate * odds / odds.mean(), 0.5)
    label = (rng.random(ROWS) < probability).astype(np.uint8)
    error = np.exp(rng.normal(0, 0.2, (2, ROWS)))
    champion = np.minimum(probability * error[0], 0.9)
    own = np.exp(np.clip(rng.normal(0, 0.2, CAMPAIGNS), -0.38, 0.38))
    if plant.edge:
        own = rng.choice((0.68, 1.49), CAMPAIGNS)
    if plant.faulty():
        own[0] = plant.factor
    drift = own[campaign] * np.where(push, plant.push, plant.ad)
    challenger = np.minimum(probability * error[1] / error.mean() * drift, 0.95)
    return JudgedRows(
        label=label,
        challenger=challenger,
        champion=champion,
        channel=np.where(push, "push", "ad"),
        user_bucket=user * 7919 % 256,
        campaign=campaign,
        day=np.zeros(ROWS, dtype=int),
    )


def rejected(rows):
    """True if the slices' veto rejects the challenger; the segments found are only shown."""
    families = [family_of("channel", rows.channel), family_of("campaign_id", rows.campaign)]
    part = judge_slices(rows, families, families, RECIPE)
    return not all(check.passed for check in slice_checks(part, RECIPE.gate))


def measure(plant, rate, trials):
    """The share of nights on which the veto rejects, as a row of the table."""
    count = sum(rejected(draw(np.random.default_rng([17, trial]), plant, rate)) for trial in range(trials))
    figures = {"plant": plant.name, "positive_rate": rate, "trials": trials, "rejected_share": count / trials}
    return figures | {"should_reject": plant.faulty()}


def rows_of_plants(trials):
    """A row for each plant and rate."""
    return [measure(plant, rate, trials) for plant in PLANTS for rate in (0.02, 0.04)]
