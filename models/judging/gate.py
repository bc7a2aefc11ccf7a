"""The gate: whether the challenger takes over, judged on rows that neither model was trained on.

What failed first in this order decides:

integrity   a broken artifact, or anything NaN or absent              → reject
evidence    too few rows or positives, a champion without a fair score → hold
harm        calibration, log loss or cost surely too bad: the whole    → reject
            interval is beyond the bound
unproven    the cost isn't shown to be good enough                     → hold
(nothing)                                                             → promote
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ctr_retrain.models.judging.bootstrap import gather, ratio_interval, ratio_intervals
from ctr_retrain.models.judging.changed_decisions import count_changed, find_changed_decisions, widen
from ctr_retrain.models.judging.costs import decision_costs
from ctr_retrain.models.judging.metrics import log_losses

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from ctr_retrain.models.judging.bootstrap import Cells, Interval
    from ctr_retrain.models.judging.changed_decisions import ChangedDecisions
    from ctr_retrain.models.recipe.recipe import Cost, Gate, Recipe

Decision = Literal["promote", "hold", "reject"]
Kind = Literal["integrity", "evidence", "harm", "unproven"]

# What a failed check of each kind leads to, in order of precedence.
FAILED: dict[Kind, Decision] = {"integrity": "reject", "evidence": "hold", "harm": "reject", "unproven": "hold"}
_OPENING = {"promote": "Promoted: every check passed.", "hold": "Held, not enough evidence.", "reject": "Rejected."}


@dataclass(frozen=True)
class Check:
    """One thing that a challenger had to show; `words` is a full sentence with expected and received."""

    name: str
    value: float | None
    bound: float | tuple[float, float] | None
    passed: bool
    words: str
    kind: Kind = "integrity"  # what a failure means

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values: name, value, bound, passed, words."""
        bound = list(self.bound) if isinstance(self.bound, tuple) else self.bound
        return {"name": self.name, "value": self.value, "bound": bound, "passed": self.passed, "words": self.words}


@dataclass(frozen=True)
class Verdict:
    """The decision with all that led to it."""

    decision: Decision
    bootstrap: bool  # there was no champion
    checks: tuple[Check, ...]
    reason: str

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "decision": self.decision,
            "bootstrap": self.bootstrap,
            "checks": [check.to_json() for check in self.checks],
            "reason": self.reason,
        }


@dataclass(frozen=True, eq=False)
class JudgedRows:
    """The validation days V, unweighted, as both models see them. Each array is (rows,).

    `champion` is None where there is no champion, which `constant_rate` (positive ratio of each channel on T) then
    stands in for, or where there is one that can't be scored fairly: then `constant_rate` is None too and a failed
    check says why. Raises ValueError if the arrays differ in length.
    """

    label: NDArray[Any]  # 0 or 1
    challenger: NDArray[Any]  # probability
    champion: NDArray[Any] | None  # probability
    channel: NDArray[Any]  # name
    user_bucket: NDArray[Any]  # 0..255, hash of the user, or of the event where there are no users
    campaign: NDArray[Any]  # any integer code
    day: NDArray[Any]  # any integer code
    constant_rate: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        """Refuse arrays that can't be rows of one table."""
        arrays = [self.label, self.challenger, self.channel, self.user_bucket, self.campaign, self.day]
        lengths = [len(array) for array in arrays + ([] if self.champion is None else [self.champion])]
        if len(set(lengths)) > 1:
            msg = f"judged rows: expected arrays of one length, received {lengths}"
            raise ValueError(msg)

    @property
    def bootstrap(self) -> bool:
        """Whether there is no champion at all."""
        return self.champion is None and self.constant_rate is not None

    def baseline(self) -> NDArray[np.float64]:
        """What the challenger is compared with: (rows,) probabilities; NaN where there is nothing."""
        if self.champion is not None:
            return np.asarray(self.champion, dtype=np.float64)
        result = np.full(len(self.label), np.nan)
        for name, rate in (self.constant_rate or {}).items():
            result[self.channel == name] = rate
        return result

    def where(self, keep: NDArray[np.bool_]) -> JudgedRows:
        """Only these rows."""
        return JudgedRows(
            label=self.label[keep],
            challenger=self.challenger[keep],
            champion=None if self.champion is None else self.champion[keep],
            channel=self.channel[keep],
            user_bucket=self.user_bucket[keep],
            campaign=self.campaign[keep],
            day=self.day[keep],
            constant_rate=self.constant_rate,
        )


def judge(rows: JudgedRows, recipe: Recipe, *, same_recipe: bool, known: Sequence[Check] = ()) -> Verdict:
    """Judge a challenger by recipe.gate; fails closed.

    same_recipe: whether champion and challenger come from recipes of equal digest, so that not being worse is enough.
    known: checks that were made elsewhere, of kind "integrity" (serving check) or "evidence" (champion's data_through).
    Channels with gated = false are only looked at for broken predictions. Draws are seeded by recipe.training.seed.
    """
    gated = [name for name, channel in recipe.channels.items() if channel.gated]
    checks = [_finite(check) for check in known]
    unscored = rows.champion is None and rows.constant_rate is None and not all(check.passed for check in checks)
    checks.append(_predictions(rows, recipe, gated, unscored=unscored))
    rows = rows.where(np.isin(rows.channel, gated))
    if all(check.passed for check in checks):
        checks += _floors(rows, recipe.gate, gated)
    if all(check.passed for check in checks):
        checks += _comparisons(rows, recipe, gated, refresh=same_recipe and not rows.bootstrap)
    return _decide(checks, bootstrap=rows.bootstrap)


def _decide(checks: Sequence[Check], *, bootstrap: bool) -> Verdict:
    """The first failed check in order of precedence decides."""
    failed = sorted((check for check in checks if not check.passed), key=lambda check: list(FAILED).index(check.kind))
    decision = FAILED[failed[0].kind] if failed else "promote"
    telling = failed[0] if failed else checks[-1]
    return Verdict(decision, bootstrap, tuple(checks), f"{_OPENING[decision]} {telling.words}")


def _finite(check: Check) -> Check:
    """A known check as it is, or failed if its value is NaN or infinite."""
    if check.value is None or isfinite(check.value):
        return check
    words = f"{check.name}: expected a finite number, received {check.value}. {check.words}"
    return replace(check, value=None, passed=False, words=words, kind="integrity")


def _predictions(rows: JudgedRows, recipe: Recipe, gated: Sequence[str], *, unscored: bool) -> Check:
    """Labels, channels and both models' probabilities are all there and are what they should be.

    unscored: a failed check has already said why the champion has no probabilities.
    """
    baseline = rows.baseline()[np.isin(rows.channel, gated) & (not unscored)]
    broken = {
        "labels other than 0 and 1": ~np.isin(rows.label, (0, 1)),
        "rows of channels that aren't in the recipe": ~np.isin(rows.channel, list(recipe.channels)),
        "challenger's probabilities outside [0, 1] or NaN": ~_is_probability(rows.challenger),
        f"probabilities of {_opponent(rows)} outside [0, 1], NaN or absent": ~_is_probability(baseline),
    }
    counts = {what: int(bad.sum()) for what, bad in broken.items()}
    received = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count) or "none"
    words = f"Labels and predictions: expected no broken ones in {len(rows.label):,} rows, received {received}."
    total = sum(counts.values())
    return Check("predictions", total, 0, total == 0, words, "integrity")


def _floors(rows: JudgedRows, gate: Gate, gated: Sequence[str]) -> list[Check]:
    """Enough rows and positives, and rows of each gated channel, for intervals to mean something."""
    floors = [
        ("rows", "Rows on the validation days", len(rows.label), gate.min_rows),
        ("positives", "Positives on the validation days", int(rows.label.sum()), gate.min_positives),
    ]
    floors += [(f"rows.{name}", f"Rows of channel '{name}'", int((rows.channel == name).sum()), 1) for name in gated]
    return [
        Check(
            name, value, floor, value >= floor, f"{what}: expected at least {floor:,}, received {value:,}.", "evidence"
        )
        for name, what, value, floor in floors
    ]


def _comparisons(rows: JudgedRows, recipe: Recipe, gated: Sequence[str], *, refresh: bool) -> list[Check]:
    """Vetoes and the cost, each with its interval; the channels' figures come from their own rows and campaigns."""
    gate, seed = recipe.gate, recipe.training.seed
    costs = {name: recipe.channels[name].cost for name in gated}
    ratios = [("challenger", "positives"), ("log_loss_delta", "rows"), ("cost_delta_per_1000", "rows")]
    calibration, log_loss, cost = ratio_intervals(
        _cells(rows, costs), ratios, draws=gate.bootstrap_draws, confidence=gate.confidence, seed=seed
    )
    against = f"against {_opponent(rows)} with {100 * gate.confidence:g} % confidence"
    checks = [
        _calibration_check(calibration, gate),
        _veto("log_loss_delta", f"Log loss per row {against}", log_loss, gate.max_log_loss_delta, digits=5),
    ]
    for name in gated:
        own = rows.where(rows.channel == name)
        delta = ratio_interval(
            _cells(own, costs), *ratios[-1], draws=gate.bootstrap_draws, confidence=gate.confidence, seed=seed
        )
        delta = widen(delta, _changed_decisions(own, costs), len(own.label), gate.confidence)
        what = f"Cost per 1,000 impressions of channel '{name}' {against}"
        limit = gate.max_channel_cost_delta_per_1000
        checks.append(_veto(f"cost_delta_per_1000.{name}", what, delta, limit, digits=2))
    changed = _changed_decisions(rows, costs)
    cost = widen(cost, changed, len(rows.label), gate.confidence)
    extent = "Decisions differ on {:,} rows with {:,} positives.".format(*count_changed(changed))
    return [*checks, _cost_check(cost, gate, against, extent, refresh=refresh)]


def _changed_decisions(rows: JudgedRows, costs: Mapping[str, Cost]) -> list[ChangedDecisions]:
    return find_changed_decisions(rows.label, rows.challenger, rows.baseline(), rows.channel, costs)


def _cells(rows: JudgedRows, costs: Mapping[str, Cost]) -> Cells:
    """All that is compared, challenger minus baseline on identical rows, summed over cells."""
    baseline = rows.baseline()
    cost_delta = decision_costs(rows.label, rows.challenger, rows.channel, costs) - decision_costs(
        rows.label, baseline, rows.channel, costs
    )
    values = {
        "rows": np.ones(len(rows.label)),
        "positives": rows.label,
        "challenger": rows.challenger,
        "log_loss_delta": log_losses(rows.label, rows.challenger) - log_losses(rows.label, baseline),
        "cost_delta_per_1000": 1000 * cost_delta,
    }
    return gather(rows.user_bucket, rows.campaign, rows.day, values)


def _calibration_check(ratio: Interval, gate: Gate) -> Check:
    """A veto only if the whole interval lies outside the bounds."""
    low, high = gate.calibration_ratio
    passed = ratio.bounded and ratio.low <= high and ratio.high >= low
    words = (
        f"Calibration ratio, predicted to seen positives, with {100 * gate.confidence:g} % confidence: "
        f"expected within {low:g} to {high:g}, received {ratio.estimate:.3f} ({ratio.low:.3f} to {ratio.high:.3f})."
    )
    return Check("calibration_ratio", _number(ratio), (low, high), passed, words, _kind(ratio, "harm"))


def _veto(name: str, what: str, delta: Interval, limit: float, *, digits: int) -> Check:
    """Fails only if the whole interval lies above the limit."""
    words = f"{what}: expected not wholly above {limit:+.{digits}f}, received {_shown(delta, digits)}."
    return Check(name, _number(delta), limit, delta.bounded and delta.low <= limit, words, _kind(delta, "harm"))


def _cost_check(delta: Interval, gate: Gate, against: str, changed: str, *, refresh: bool) -> Check:
    """A refresh of the champion's recipe must be non-inferior by the margin, anything else superior."""
    limit = gate.max_cost_delta_per_1000 if refresh else 0.0
    passed = delta.bounded and (delta.high <= limit if refresh else delta.high < limit)
    expected = f"at most {limit:+.2f}" if refresh else "below 0"
    words = f"Cost per 1,000 impressions: expected {expected} {against}, received {_shown(delta, 2)}. {changed}"
    kind = _kind(delta, "harm" if delta.low > limit else "unproven")
    return Check("cost_delta_per_1000", _number(delta), limit, passed, words, kind)


def _kind(interval: Interval, failed: Kind) -> Kind:
    """What a failure means: a figure that is no number is broken, one without finite bounds proves nothing."""
    if not isfinite(interval.estimate):
        return "integrity"
    return failed if interval.bounded else "evidence"


def _number(interval: Interval) -> float | None:
    """The figure for JSON, which has no NaN."""
    return interval.estimate if isfinite(interval.estimate) else None


def _shown(delta: Interval, digits: int) -> str:
    """A difference with its interval, as in +0.12 (-0.40 to +0.63)."""
    return f"{delta.estimate:+.{digits}f} ({delta.low:+.{digits}f} to {delta.high:+.{digits}f})"


def _opponent(rows: JudgedRows) -> str:
    return "the constant rate per channel" if rows.bootstrap else "the champion"


def _is_probability(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether each value lies in [0, 1]; NaN doesn't."""
    return np.asarray((values >= 0) & (values <= 1))
