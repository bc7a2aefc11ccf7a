"""Costs of each policy's champions on the same impressions, day by day, with intervals of the differences.

Cells of all days are added up by user bucket and campaign, of which alone the variance of a sum is made, so that memory
doesn't grow with the days.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.models.documents.comparison_documents import PolicyChampion, PolicyName, PolicyOutcome
from ctr_retrain.models.judging.cells import gather
from ctr_retrain.models.judging.changed_decisions import find_changed_decisions
from ctr_retrain.models.judging.costs import decision_costs
from ctr_retrain.models.judging.judged_rows import COST_DELTA, interval_part
from ctr_retrain.models.ledger.pooled_nights import Night, pool

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from numpy.typing import NDArray

    from ctr_retrain.models.documents.comparison_documents import IntervalPart
    from ctr_retrain.models.judging.judged_rows import JudgedRows
    from ctr_retrain.models.policies.policy_champions import PolicyChampions, Reign
    from ctr_retrain.models.recipe.channel_section import Cost

GATE: PolicyName = "gate"


@dataclass(frozen=True, eq=False)
class ScoredDay:
    """One event day's impressions of gated channels with mature labels, and what models say of them."""

    day: date
    rows: JudgedRows  # of the day, (rows,) each; the models in it don't matter
    probability: Mapping[str, NDArray[np.float64]]  # by version, (rows,) each


@dataclass
class ComparedPolicies:
    """Policies on the days so far."""

    costs: Mapping[str, Cost]  # of gated channels
    days: list[date] = field(default_factory=list)
    rows: int = 0
    _cost: dict[PolicyName, float] = field(default_factory=lambda: defaultdict(float))  # currency units
    _over_gate: dict[PolicyName, Night] = field(default_factory=dict)  # sums of what each costs more
    _reigns: dict[PolicyName, dict[Reign, list[date]]] = field(default_factory=dict)  # days of each reign
    # A model that serves twice, since another was rolled back, is measured by each reign's own days.
    _over_predecessor: dict[tuple[PolicyName, Reign], Night] = field(default_factory=dict)

    def add(self, scored: ScoredDay, champions: Mapping[PolicyName, PolicyChampions]) -> None:
        """Add an event day, of which the models that serve there, and their predecessors, have probabilities."""
        pairs = _Pairs(scored, self.costs)
        serving = {name: own.on(scored.day) for name, own in champions.items()}
        for name, reign in serving.items():
            self._cost[name] += float(pairs.cost(reign.version).sum())
            self._reigns.setdefault(name, {}).setdefault(reign, []).append(scored.day)
            if name != GATE:
                difference = pairs.difference(reign.version, serving[GATE].version)
                self._over_gate[name] = _added(self._over_gate.get(name), difference)
            if reign.predecessor:
                step, key = pairs.difference(reign.version, reign.predecessor), (name, reign)
                self._over_predecessor[key] = _added(self._over_predecessor.get(key), step)
        self.days.append(scored.day)
        self.rows += len(scored.rows.label)

    def outcomes(
        self, champions: Mapping[PolicyName, PolicyChampions], margin: float, confidence: float
    ) -> tuple[PolicyOutcome, ...]:
        """Return what each policy came to; there must be a day."""
        return tuple(self._outcome(name, own.promotions, margin, confidence) for name, own in champions.items())

    def _outcome(self, name: PolicyName, promotions: int, margin: float, confidence: float) -> PolicyOutcome:
        served = []
        for reign, days in self._reigns[name].items():
            over = _interval(self._over_predecessor.get((name, reign)), confidence)
            served.append(PolicyChampion(version=reign.version, since=days[0], days=len(days), over_predecessor=over))
        steps = [(one.days, one.over_predecessor) for one in served if one.over_predecessor]
        return PolicyOutcome(
            name=name,
            cost=self._cost[name],
            cost_per_1000=1000 * self._cost[name] / self.rows,
            over_gate=_interval(self._over_gate.get(name), confidence),
            promotions=promotions,
            worse_days=sum(days for days, over in steps if over.value is not None and over.value > margin),
            surely_worse_days=sum(days for days, over in steps if over.low is not None and over.low > margin),
            champions=tuple(served),
        )


class _Pairs:
    """One day's costs by model, and differences between two of them, each computed once."""

    def __init__(self, scored: ScoredDay, costs: Mapping[str, Cost]) -> None:
        self._scored, self._prices = scored, costs
        self._costs: dict[str, NDArray[np.float64]] = {}
        self._differences: dict[tuple[str, str], Night] = {}

    def cost(self, version: str) -> NDArray[np.float64]:
        """Return what a model's decision costs on each row: (rows,) currency units."""
        if version not in self._costs:
            rows, probability = self._scored.rows, self._scored.probability[version]
            self._costs[version] = decision_costs(rows.label, probability, rows.channel, self._prices, rows.value)
        return self._costs[version]

    def difference(self, ours: str, theirs: str) -> Night:
        """Return the sums of what one model costs more than another."""
        if (ours, theirs) not in self._differences:
            rows, day = self._scored.rows, self._scored.day.toordinal()
            delta = 1000 * (self.cost(ours) - self.cost(theirs))
            values = {"rows": np.ones(len(rows.label)), COST_DELTA: delta}
            # Of the ledger's sums only these two: log losses and others would be made for nothing, per pair and day.
            cells = gather(rows.user_bucket, rows.campaign, np.zeros(len(rows.label), np.int64), values)
            a, b = (self._scored.probability[version] for version in (ours, theirs))
            changed = find_changed_decisions(rows.label, a, b, rows.channel, self._prices, rows.value)
            self._differences[ours, theirs] = Night(cells, {COST_DELTA: [(day, group) for group in changed]})
        return self._differences[ours, theirs]


def _added(whole: Night | None, night: Night) -> Night:
    """Add up sums of equal users and campaigns, which leaves the variance of the whole as it is."""
    if whole is None:
        return night
    both = (whole.cells, night.cells)
    users, campaigns, days = (
        np.concatenate([getattr(each, key) for each in both]) for key in ("user_bucket", "campaign", "day")
    )
    sums = np.concatenate([each.sums for each in both])
    cells = gather(users, campaigns, days, dict(zip(whole.cells.names, sums.T, strict=True)))
    return Night(cells, {COST_DELTA: [*whole.changed[COST_DELTA], *night.changed[COST_DELTA]]})


def _interval(difference: Night | None, confidence: float) -> IntervalPart | None:
    """Return a difference per 1,000 with its interval; None where there is none."""
    return interval_part(pool([difference], COST_DELTA, confidence, None).interval(confidence)) if difference else None
