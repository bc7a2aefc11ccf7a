"""Validation days of two models whose errors are exchangeable, so that neither is truly better: what a gate must bear.

A row's log-odds are the channel's level, its user's and its campaign's; each model knows them up to an error of its own
that is split over rows, users and campaigns. Costs are of one channel, 0.02 a send and 1 a click.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from ctr_retrain.models.judging.changed_decisions import widen
from ctr_retrain.models.judging.clustered_ratio import Clusters, ratio_intervals
from ctr_retrain.models.judging.day_variance import PastEstimate, estimate_day_variance
from ctr_retrain.models.judging.judged_rows import JudgedRows, changed_decisions_of, compared_cells
from ctr_retrain.models.recipe.channel_section import Cost

COSTS = {"ad": Cost(true_positive=-0.98, false_positive=0.02)}
RATIOS = [("cost_delta_per_1000", "rows"), ("log_loss_delta", "rows"), ("challenger", "positives")]
FIGURES = ("cost", "log loss", "calibration ratio")
USERS = 20_000
PAST_NIGHTS = 60  # of which each trial has seen 14
_ACTIVITY = np.cumsum((np.arange(USERS) + 21.0) ** -0.8)
_BUCKET = np.random.default_rng(0).integers(0, 256, USERS)


@dataclass(frozen=True)
class Scenario:
    """Which errors there are, and how many rows show them."""

    name: str
    campaigns: int = 60
    rows: int = 50_000
    positive_ratio: float = 0.02
    of_rows: float = 0.2  # standard deviations of each model's error, on the log-odds
    of_users: float = 0.0
    of_campaigns: float = 0.0
    of_days: float = 0.0  # by how much each model misses the whole day; 14 nights before tell

    def draw(self, rng):
        """Draw the judged rows, and each row's true probability."""
        user = np.searchsorted(_ACTIVITY, rng.random(self.rows) * _ACTIVITY[-1])
        budget = rng.gamma(3.0, size=self.campaigns)
        campaign = rng.choice(self.campaigns, size=self.rows, p=budget / budget.sum())
        spread = 0.42
        level = np.log(self.positive_ratio / (1 - self.positive_ratio)) - spread**2
        odds = level + rng.normal(0, spread, USERS)[user] + rng.normal(0, spread, self.campaigns)[campaign]
        truth = expit(odds)

        def model():
            error = rng.normal(0, self.of_rows, self.rows) + rng.normal(0, self.of_users, USERS)[user]
            error += rng.normal(0, self.of_campaigns, self.campaigns)[campaign] + rng.normal(0, self.of_days)
            return expit(odds + error - (self.of_rows**2 + self.of_users**2 + self.of_campaigns**2) / 2)

        label = (rng.random(self.rows) < truth).astype(np.uint8)
        names = np.full(self.rows, "ad")
        days = rng.integers(0, 2, self.rows)
        return JudgedRows(label, model(), model(), names, _BUCKET[user], campaign, days), truth


SCENARIOS = (
    *(Scenario(f"rows, {count} campaigns", count) for count in (3, 19, 20, 60, 200)),
    *(Scenario(f"campaigns, {count} campaigns", count, of_campaigns=0.2) for count in (3, 19, 20, 60, 200)),
    Scenario("users, 60 campaigns", of_users=0.3),
    Scenario("users and campaigns, 60 campaigns", of_users=0.2, of_campaigns=0.2),
    Scenario("50 positives", rows=25_000, positive_ratio=0.002),
    Scenario("300 positives", rows=15_000),
    Scenario("300 positives, campaigns, 20 campaigns", 20, rows=15_000, of_campaigns=0.2),
    Scenario("3,000 positives", rows=60_000, positive_ratio=0.05),
    Scenario("10,000 positives", rows=100_000, positive_ratio=0.1),
    Scenario("few changed decisions", of_rows=0.004),
    Scenario("days, 1,000 positives", of_days=0.05),
    Scenario("days, 10,000 positives", rows=100_000, positive_ratio=0.1, of_days=0.05),
)


@dataclass(frozen=True)
class Coverage:
    """What the intervals of one figure did over many trials of one scenario."""

    figure: str
    excluded_share: float  # of the intervals, those without the truth
    width_ratio: float  # median half-width to 1.96 standard deviations of the estimate's own error
    positives: float
    exact_limits_bind: float  # share of trials in which exact counts widened the interval


def past_nights(scenario, seed):
    """The figures of other days of a scenario whose days differ, by name; empty of another."""
    figures = {top: [] for top, _ in RATIOS} if scenario.of_days else {}
    for night in range(PAST_NIGHTS if figures else 0):
        rows, _ = scenario.draw(np.random.default_rng([seed, 1_000_000 + night]))
        cells = compared_cells(rows, COSTS)
        clusters, sums = Clusters.of_cells(cells), dict(zip(cells.names, cells.sums.T, strict=True))
        for top, bottom in RATIOS:
            spread = clusters.spread(sums[top], sums[bottom], positive=bottom == "positives")
            estimate = np.log(spread.ratio) if spread.logarithm else spread.ratio
            figures[top].append(PastEstimate("", estimate, spread.variance**0.5))
    return figures


def measure_coverage(scenario, trials, seed):
    """Judge the scenario's rows again and again: a Coverage a figure."""
    found, positives, bound, predicted = [], [], [], []
    past = past_nights(scenario, seed)
    for trial in range(trials):
        rng = np.random.default_rng([seed, trial])
        rows, truth = scenario.draw(rng)
        days = {top: estimate_day_variance(rng.choice(nights, 14, replace=False)) for top, nights in past.items()}
        cost, log_loss, ratio = ratio_intervals(compared_cells(rows, COSTS), RATIOS, 0.95, days)
        changed = changed_decisions_of(rows, COSTS)
        widened = widen(cost, changed, len(truth), 0.95)
        found.append([(each.estimate, each.low, each.high) for each in (widened, log_loss, ratio)])
        positives.append(int(rows.label.sum()))
        bound.append(widened != cost)
        predicted.append((rows.challenger.sum(), truth.sum()))
    expected = np.array([0.0, 0.0, np.divide(*np.mean(predicted, axis=0))])
    estimate, low, high = np.moveaxis(np.array(found), 2, 0)
    excluded = ((low > expected) | (high < expected)).mean(axis=0)
    width = np.median(high - low, axis=0) / 2 / (1.96 * (estimate - expected).std(axis=0))
    return [
        Coverage(figure, excluded[i], width[i], float(np.mean(positives)), float(np.mean(bound)) if i == 0 else 0.0)
        for i, figure in enumerate(FIGURES)
    ]
