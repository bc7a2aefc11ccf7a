"""Strategies judged on the same later, unweighted rows: their metrics, and each paired difference between two of them.

Rows are those of the gated channels over all validation days. Users and campaigns are drawn jointly over all of these
days (a user who clicks on Monday and on Tuesday is one user), by the gate's own variance; the days are fixed.
Models of neighbouring run days were trained on nearly the same rows, so the intervals speak of these days' models and
not of days to come.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from ctr_retrain.models.documents.comparison_documents import CRITERIA, Criterion, TrialMetrics
from ctr_retrain.models.documents.evaluation_documents import METRICS
from ctr_retrain.models.judging.cells import Cells, gather
from ctr_retrain.models.judging.changed_decisions import exact_limits, find_changed_decisions
from ctr_retrain.models.judging.clustered_ratio import Clusters
from ctr_retrain.models.judging.costs import decision_costs
from ctr_retrain.models.judging.metrics import log_losses, measure
from ctr_retrain.models.trials.differences import Difference, paired_difference

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ctr_retrain.models.recipe.recipe import Recipe

    Scores = Mapping[str, Sequence[NDArray[np.float32]]]  # name → (rows,) of each seed


@dataclass(frozen=True, eq=False)
class TrialRows:
    """The rows by which all strategies are judged, (rows,) each."""

    label: NDArray[Any]  # 0 or 1
    channel: NDArray[Any]  # name
    user_bucket: NDArray[Any]  # 0 to 255
    campaign: NDArray[Any]  # any integer code
    day: NDArray[Any]  # any integer code
    value: NDArray[Any] | None = None  # the impression's own, where a price names it

    def where(self, keep: NDArray[np.bool_]) -> TrialRows:
        """Select rows; keep: (rows,)."""
        return TrialRows(**{name: column[keep] for name, column in vars(self).items() if column is not None})


class Trial:
    """The losses of each strategy on the rows, and their differences. Draws are seeded by recipe.training.seed."""

    def __init__(self, rows: TrialRows, scores: Scores, recipe: Recipe) -> None:
        """Take probabilities of the very rows by each strategy's name, equally many seeds of each."""
        gated = [name for name, channel in recipe.channels.items() if channel.gated]
        self._keep = np.isin(rows.channel, gated)
        self.rows, self._scores, self._recipe = rows.where(self._keep), scores, recipe
        self._costs = {name: recipe.channels[name].cost for name in gated}

    def __contains__(self, name: str) -> bool:
        """Return True if there are scores of that name."""
        return name in self._scores

    def metrics(self, name: str) -> TrialMetrics:
        """Return a strategy's metrics, each as its mean over the seeds; None where one of them has none."""
        seeds = [
            measure(self.rows.label, p, self.rows.channel, self._costs, self.rows.value)
            for p in self._probabilities(name)
        ]
        figures: dict[str, float | None] = {}
        for figure in METRICS:
            values = [getattr(block, figure) for block in seeds]
            figures[figure] = None if None in values else float(np.mean(values))
        return TrialMetrics(rows=seeds[0].rows, positives=seeds[0].positives, **figures)

    def difference(self, criterion: Criterion, one: str, other: str) -> Difference:
        """Return the loss of `one` less that of `other`, with its interval at the gate's confidence; below 0 is better.

        The error of a cost is never taken for less than exact counts of the changed decisions allow: see
        `changed_decisions`.
        """
        by_seed = self._means[criterion][one] - self._means[criterion][other]
        draws = self._draws[criterion][one] - self._draws[criterion][other]
        least = self._exact_error(one, other) if criterion == "cost_per_1000" else 0.0
        return paired_difference(by_seed, draws, self._recipe.gate.confidence, least)

    def by_day(self, criterion: Criterion, one: str, other: str) -> dict[int, float]:
        """Return the difference of two strategies' losses on each day alone, by the day's code."""
        delta = self._mean_row_losses(criterion, one) - self._mean_row_losses(criterion, other)
        return {int(day): float(delta[self.rows.day == day].mean()) for day in np.unique(self.rows.day)}

    def _probabilities(self, name: str) -> list[NDArray[np.float64]]:
        """Return each seed's probabilities of the judged rows, (rows,)."""
        return [np.asarray(p[self._keep], np.float64) for p in self._scores[name]]

    def _row_losses(self, criterion: Criterion, probability: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the loss of each row by a criterion: (rows,), nats or currency units per 1,000 impressions."""
        if criterion == "log_loss":
            return log_losses(self.rows.label, probability)
        return 1000 * decision_costs(self.rows.label, probability, self.rows.channel, self._costs, self.rows.value)

    def _mean_row_losses(self, criterion: Criterion, name: str) -> NDArray[np.float64]:
        """Return the loss of each row as a mean over the seeds: (rows,)."""
        probabilities = self._probabilities(name)
        total = np.zeros(len(self.rows.label))
        for p in probabilities:  # one at a time, since there may be millions of rows
            total += self._row_losses(criterion, p)
        return total / len(probabilities)

    @cached_property
    def _means(self) -> dict[Criterion, dict[str, NDArray[np.float64]]]:
        """Mean loss of each seed, (seeds,), by criterion and name."""
        return {
            criterion: {
                name: np.array([self._row_losses(criterion, p).mean() for p in self._probabilities(name)])
                for name in self._scores
            }
            for criterion in CRITERIA
        }

    @cached_property
    def _draws(self) -> dict[Criterion, dict[str, NDArray[np.float64]]]:
        """Draws of the mean loss, (draws,), by criterion and name; draws of all of them are joint."""
        names = [(criterion, name) for criterion in CRITERIA for name in self._scores]
        # Gathered one by one and then joined, so that the row losses of all strategies never stand side by side.
        cells = [self._gather_cells({"rows": np.ones(len(self.rows.label))})]
        cells += [self._gather_cells({name: self._mean_row_losses(criterion, name)}) for criterion, name in names]
        first = cells[0]
        losses = np.concatenate([of_name.sums for of_name in cells[1:]], axis=1)
        draws, seed = self._recipe.gate.bootstrap_draws, self._recipe.training.seed
        drawn = Clusters.of_cells(first).draw_means(losses, draws, seed)
        found: dict[Criterion, dict[str, NDArray[np.float64]]] = {criterion: {} for criterion in CRITERIA}
        for column, (criterion, name) in enumerate(names):
            found[criterion][name] = drawn[:, column]
        return found

    def _gather_cells(self, values: dict[str, NDArray[np.float64]]) -> Cells:
        """Sum values by row, (rows,) each, over cells."""
        return gather(self.rows.user_bucket, self.rows.campaign, self.rows.day, values)

    def _exact_error(self, one: str, other: str) -> float:
        """Return the standard error of a cost difference per 1,000 by exact counts, the mean over the seeds' own."""
        confidence = self._recipe.gate.confidence
        z = NormalDist().inv_cdf((1 + confidence) / 2)
        errors = []
        for p, q in zip(self._probabilities(one), self._probabilities(other), strict=True):
            changed = find_changed_decisions(self.rows.label, p, q, self.rows.channel, self._costs, self.rows.value)
            low, high = exact_limits(changed, confidence)
            estimate = sum(group.cost_delta(group.positives) for group in changed)
            errors.append(max(high - estimate, estimate - low) / z)
        return 1000 * float(np.mean(errors)) / len(self.rows.label)
