"""The rows that models are judged on, what is compared on them, and the gate's intervals for others than it judges."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ctr_retrain.models.documents.comparison_documents import IntervalPart
from ctr_retrain.models.judging.cells import gather
from ctr_retrain.models.judging.changed_decisions import find_changed_decisions
from ctr_retrain.models.judging.clustered_ratio import ratio_intervals
from ctr_retrain.models.judging.costs import decision_costs
from ctr_retrain.models.judging.metrics import log_losses

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from ctr_retrain.models.judging.cells import Cells, Interval
    from ctr_retrain.models.judging.changed_decisions import ChangedDecisions
    from ctr_retrain.models.recipe.channel_section import Cost
    from ctr_retrain.models.recipe.recipe import Recipe

COST_DELTA: Final = (
    "cost_delta_per_1000"  # among the cells' sums: what the challenger costs more, per 1,000 impressions
)


@dataclass(frozen=True, eq=False)
class JudgedRows:
    """The rows of the validation days, unweighted, as both models see them. Each array is (rows,).

    `champion` is None where there is no champion, which `constant_rate` then stands in for, or where there is one that
    can't be scored fairly: then `constant_rate` is None too and a failed check says why.
    """

    label: NDArray[Any]  # 0 or 1
    challenger: NDArray[Any]  # probability
    champion: NDArray[Any] | None  # probability
    channel: NDArray[Any]  # name
    user_bucket: NDArray[Any]  # 0..255, hash of the user, or of the event where there are no users
    campaign: NDArray[Any]  # any integer code; the ledger needs one that means the same campaign on every night
    day: NDArray[Any]  # any integer code
    constant_rate: Mapping[str, float] | None = None  # positive ratio of each channel in the training window
    sums: Mapping[str, NDArray[Any]] = field(default_factory=dict)  # more that cells add up, (rows,) each, by name
    value: NDArray[Any] | None = None  # the impression's own bid or margin, where the recipe has one
    # Earlier champions' probabilities by role, `anchor` and `predecessor`, each (rows,); those that could be scored.
    earlier: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise ValueError if the arrays differ in length."""
        arrays = [self.label, self.challenger, self.channel, self.user_bucket, self.campaign, self.day]
        arrays += [each for each in (self.champion, self.value) if each is not None]
        lengths = [len(array) for array in [*arrays, *self.earlier.values()]]
        if len(set(lengths)) > 1:
            msg = f"judged rows: expected arrays of one length, received {lengths}"
            raise ValueError(msg)

    @property
    def bootstrap(self) -> bool:
        """Return True if there is no champion at all."""
        return self.champion is None and self.constant_rate is not None

    def baseline(self) -> NDArray[np.float64]:
        """Return the probabilities that the challenger is compared with: (rows,); NaN where there are none."""
        if self.champion is not None:
            return np.asarray(self.champion, dtype=np.float64)
        result = np.full(len(self.label), np.nan)
        for name, rate in (self.constant_rate or {}).items():
            result[self.channel == name] = rate
        return result

    def where(self, keep: NDArray[np.bool_] | NDArray[np.int64]) -> JudgedRows:
        """Select rows; keep: (rows,), or the places of those to keep."""
        return JudgedRows(
            label=self.label[keep],
            challenger=self.challenger[keep],
            champion=None if self.champion is None else self.champion[keep],
            channel=self.channel[keep],
            user_bucket=self.user_bucket[keep],
            campaign=self.campaign[keep],
            day=self.day[keep],
            constant_rate=self.constant_rate,
            value=None if self.value is None else self.value[keep],
            sums={name: value[keep] for name, value in self.sums.items()},
            earlier={role: probability[keep] for role, probability in self.earlier.items()},
        )

    def of_channels(self, names: Iterable[str]) -> JudgedRows:
        """Select the rows of some channels."""
        return self.where(np.isin(self.channel, list(names)))


def changed_decisions_of(rows: JudgedRows, costs: Mapping[str, Cost]) -> list[ChangedDecisions]:
    """Count the rows on which challenger and baseline decide differently."""
    return find_changed_decisions(rows.label, rows.challenger, rows.baseline(), rows.channel, costs, rows.value)


def decision_cost_deltas(rows: JudgedRows, costs: Mapping[str, Cost]) -> NDArray[np.float64]:
    """Return the cost of the challenger's decision on each row less that of the baseline's: (rows,) currency units."""
    return _costs_of(rows, rows.challenger, costs) - _costs_of(rows, rows.baseline(), costs)


def _costs_of(rows: JudgedRows, probability: NDArray[Any], costs: Mapping[str, Cost]) -> NDArray[np.float64]:
    """Return the cost of a model's decision on each row: (rows,) currency units."""
    return decision_costs(rows.label, probability, rows.channel, costs, rows.value)


def compared_cells(rows: JudgedRows, costs: Mapping[str, Cost]) -> Cells:
    """Sum all that is compared, challenger minus baseline on identical rows, over cells.

    Of each earlier champion too what challenger and baseline cost more than it.
    """
    baseline = rows.baseline()
    cost, baseline_cost = (_costs_of(rows, p, costs) for p in (rows.challenger, baseline))
    values = {
        "rows": np.ones(len(rows.label)),
        "positives": rows.label,
        "challenger": rows.challenger,
        "log_loss_delta": log_losses(rows.label, rows.challenger) - log_losses(rows.label, baseline),
        COST_DELTA: 1000 * (cost - baseline_cost),
    }
    for role, probability in rows.earlier.items():
        earlier = _costs_of(rows, probability, costs)
        values |= {over(role): 1000 * (cost - earlier), champion_over(role): 1000 * (baseline_cost - earlier)}
    return gather(rows.user_bucket, rows.campaign, rows.day, values | dict(rows.sums))


def over(role: str) -> str:
    """Name the sum of what the challenger costs more than an earlier champion, by its role."""
    return f"{role}_{COST_DELTA}"


def champion_over(role: str) -> str:
    """Name the sum of what the champion costs more than an earlier one."""
    return f"champion_over_{role}"


def paired_with(rows: JudgedRows, other: NDArray[Any], recipe: Recipe) -> JudgedRows:
    """Return the rows of gated channels with another model, (rows,) probabilities, in the champion's place."""
    gated = [name for name, channel in recipe.channels.items() if channel.gated]
    return replace(rows, champion=other, constant_rate=None).of_channels(gated)


def paired_intervals(rows: JudgedRows, recipe: Recipe) -> tuple[Interval, Interval, list[ChangedDecisions]]:
    """Return the challenger's log loss and cost per 1,000 less the other's, and the rows that they decide differently.

    rows: those of gated channels. The cost's interval is not widened by exact counts.
    """
    costs = {name: channel.cost for name, channel in recipe.channels.items() if channel.gated}
    log_loss, cost = ratio_intervals(
        compared_cells(rows, costs),
        [("log_loss_delta", "rows"), (COST_DELTA, "rows")],
        recipe.gate.confidence,
    )
    return log_loss, cost, changed_decisions_of(rows, costs)


def interval_part(interval: Interval) -> IntervalPart:
    """Write an interval as a document has it, where what isn't finite is none."""
    value = interval.estimate if isfinite(interval.estimate) else None
    return IntervalPart(value=value, low=interval.low, high=interval.high)
