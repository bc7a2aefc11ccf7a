"""The gate: the rules that decide if the challenger takes over, on rows that neither model was trained on.

The first failure in this order decides:

integrity   a broken artifact, or anything NaN or absent              → reject
leak        a feature that seems known only after the outcome,         → hold
            and that the recipe doesn't confirm
evidence    too few rows or positives, a champion without a fair score → hold
harm        calibration, log loss or cost surely too bad: the whole    → reject
            interval is beyond the bound
unproven    the cost isn't shown to be good enough                     → hold
(nothing)                                                             → promote
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from ctr_retrain.models.documents.verdict_documents import Check, Verdict
from ctr_retrain.models.gate.cost_rules import cost_checks
from ctr_retrain.models.gate.interval_words import interval_text, json_number, kind_of_failure
from ctr_retrain.models.gate.weighing import Evidence
from ctr_retrain.models.judging.changed_decisions import widen
from ctr_retrain.models.judging.clustered_ratio import POSITIVE_DENOMINATOR, ratio_intervals
from ctr_retrain.models.judging.judged_rows import COST_DELTA, changed_decisions_of, compared_cells
from ctr_retrain.models.ledger.night_of_rows import night_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ctr_retrain.models.documents.verdict_documents import Decision, EvidencePart, FailureKind
    from ctr_retrain.models.judging.cells import Interval
    from ctr_retrain.models.judging.judged_rows import JudgedRows
    from ctr_retrain.models.judging.seed_noise import SeedDeviation
    from ctr_retrain.models.ledger.pooled_nights import Night
    from ctr_retrain.models.recipe.gate_section import Gate
    from ctr_retrain.models.recipe.recipe import Recipe

# The decision that a failed check of each kind leads to, in order of precedence.
FAILED: dict[FailureKind, Decision] = {
    "integrity": "reject",
    "leak": "hold",
    "evidence": "hold",
    "harm": "reject",
    "unproven": "hold",
}
NO_EARLIER_NIGHTS = Evidence()
_OPENING = {"promote": "Promoted: every check passed.", "hold": "Held, not enough evidence.", "reject": "Rejected."}
_LEAK_OPENING = "Held, a feature may be known only afterwards."


def judge(
    rows: JudgedRows,
    recipe: Recipe,
    *,
    same_recipe: bool,
    known: Sequence[Check] = (),
    seeds: SeedDeviation | None = None,
    slices: Sequence[Check] = (),
    evidence: Evidence = NO_EARLIER_NIGHTS,
) -> Verdict:
    """Judge a challenger by recipe.gate; fails closed.

    same_recipe: whether champion and challenger were trained by the same recipe, so that not being worse is enough.
    known: checks that were made elsewhere, of kind "integrity" (serving check), "leak" (features by themselves) or
    "evidence" (champion's data_through). seeds: of a changed recipe, what other seeds do to its cost difference.
    slices: checks of parts of these rows, of kind "harm", which count where the whole has evidence enough.
    evidence: of earlier nights, by the ledger.
    Channels with gated = false are only looked at for broken predictions.
    """
    gated = [name for name, channel in recipe.channels.items() if channel.gated]
    checks, weighed = [_finite(check) for check in known], None
    unscored = rows.champion is None and rows.constant_rate is None and not all(check.passed for check in checks)
    checks.append(_predictions_check(rows, recipe, gated, unscored=unscored))
    rows = rows.of_channels(gated)
    # Each stage only after the one before: intervals of broken or of too few rows would say nothing.
    if all(check.passed for check in checks):
        checks += _floor_checks(rows, recipe, gated)
    if all(check.passed for check in checks):
        refresh = same_recipe and not rows.bootstrap
        tonight = night_of(rows, {name: recipe.channels[name].cost for name in gated})
        costs, weighed = cost_checks(rows, tonight, recipe, evidence, seeds, refresh=refresh)
        # The cost last, which a promotion is told by.
        checks += [*_vetoes(rows, tonight, recipe, gated, evidence), *slices, *costs]
    return _decide(checks, bootstrap=rows.bootstrap, evidence=weighed)


def _decide(checks: Sequence[Check], *, bootstrap: bool, evidence: EvidencePart | None) -> Verdict:
    """Decide by the first failed check in order of precedence."""
    # Money first: of several failures of one kind the cost's tells, else the one that was made first.
    order = [*FAILED]
    failed = sorted(
        (check for check in checks if not check.passed),
        key=lambda check: (order.index(check.kind), check.name != COST_DELTA),
    )
    decision = FAILED[failed[0].kind] if failed else "promote"
    telling = failed[0] if failed else checks[-1]
    opening = _LEAK_OPENING if failed and telling.kind == "leak" else _OPENING[decision]
    reason = f"{opening} {telling.message}"
    return Verdict(decision=decision, bootstrap=bootstrap, checks=tuple(checks), reason=reason, evidence=evidence)


def _finite(check: Check) -> Check:
    """Return a known check as it is, or failed if its value is NaN or infinite."""
    # Comparisons with NaN are false, so that a check that wasn't written for it may have passed.
    if check.value is None or isfinite(check.value):
        return check
    message = f"{check.name}: expected a finite number, received {check.value}. {check.message}"
    return Check(name=check.name, value=None, bound=check.bound, passed=False, message=message, kind="integrity")


def _predictions_check(rows: JudgedRows, recipe: Recipe, gated: Sequence[str], *, unscored: bool) -> Check:
    """Check that labels, channels and both models' probabilities are all there and are what they should be.

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
    message = f"Labels and predictions: expected no broken ones in {len(rows.label):,} rows, received {received}."
    total = sum(counts.values())
    return Check(name="predictions", value=total, bound=0, passed=total == 0, message=message, kind="integrity")


def _floor_checks(rows: JudgedRows, recipe: Recipe, gated: Sequence[str]) -> list[Check]:
    """Check that rows, positives and rows of each gated channel are enough for intervals to mean something."""
    gate, days = recipe.gate, f"more days (training.validation_days = {recipe.training.validation_days})"
    windows = ", ".join(f"{name} {recipe.channels[name].attribution_window_hours:g}" for name in gated)
    longer = (
        "" if recipe.inline_label else f", a longer attribution window ([channels] attribution_window_hours: {windows})"
    )
    floors = [
        ("rows", "Rows on the validation days", len(rows.label), gate.min_rows, f"{days} or a lower gate.min_rows"),
        (
            *("positives", "Positives on the validation days", int(rows.label.sum()), gate.min_positives),
            f"{days}{'' if recipe.inline_label else longer}, or a lower gate.min_positives",
        ),
    ]
    floors += [
        (
            *(f"rows.{name}", f"Rows of channel '{name}'", int((rows.channel == name).sum()), 1),
            f"{days}, or [channels.{name}] gated = false",
        )
        for name in gated
    ]
    return [
        Check(
            name=name,
            value=value,
            bound=floor,
            passed=value >= floor,
            message=f"{what}: expected at least {floor:,}, received {value:,}."
            + (f" What changes that: {keys}." if value < floor else ""),
            kind="evidence",
        )
        for name, what, value, floor, keys in floors
    ]


def _vetoes(rows: JudgedRows, tonight: Night, recipe: Recipe, gated: Sequence[str], evidence: Evidence) -> list[Check]:
    """Check what rejects whatever the cost says; a channel's interval is of its own rows and campaigns."""
    gate = recipe.gate
    costs = {name: recipe.channels[name].cost for name in gated}
    ratios = [("challenger", POSITIVE_DENOMINATOR), ("log_loss_delta", "rows")]
    calibration, log_loss = ratio_intervals(tonight.cells, ratios, gate.confidence, evidence.days)
    against = f"against {_opponent(rows)} with {100 * gate.confidence:g} % confidence"
    checks = [
        _calibration_check(calibration, gate),
        _veto("log_loss_delta", f"Log loss per row {against}", log_loss, gate.max_log_loss_delta, digits=5),
    ]
    for name in gated:
        own = rows.where(rows.channel == name)
        (delta,) = ratio_intervals(compared_cells(own, costs), [(COST_DELTA, "rows")], gate.confidence)
        # With few changed decisions the rows alone would call a positive that wasn't seen a sure gain.
        delta = widen(delta, changed_decisions_of(own, costs), len(own.label), gate.confidence)
        what = f"Cost per 1,000 impressions of channel '{name}' {against}"
        limit = gate.max_channel_cost_delta_per_1000
        checks.append(_veto(f"{COST_DELTA}.{name}", what, delta, limit, digits=2))
    return checks


def _calibration_check(ratio: Interval, gate: Gate) -> Check:
    """Check the calibration ratio; it fails only if the whole interval lies outside the bounds."""
    low, high = gate.calibration_ratio
    passed = ratio.bounded and ratio.low <= high and ratio.high >= low
    message = (
        f"Calibration ratio, predicted to seen positives, with {100 * gate.confidence:g} % confidence: "
        f"expected within {low:g} to {high:g}, received {ratio.estimate:.3f} ({ratio.low:.3f} to {ratio.high:.3f})."
    )
    return Check(
        name="calibration_ratio",
        value=json_number(ratio),
        bound=(low, high),
        tested=None if passed else ratio.low if ratio.low > high else ratio.high,
        passed=passed,
        settled=not passed or (low <= ratio.low and ratio.high <= high),
        message=message,
        kind=kind_of_failure(ratio, "harm"),
    )


def _veto(name: str, what: str, delta: Interval, limit: float, *, digits: int) -> Check:
    """Check a difference that rejects whatever the cost says: only if its whole interval is above the limit."""
    message = f"{what}: expected not wholly above {limit:+.{digits}f}, received {interval_text(delta, digits)}."
    passed = delta.bounded and delta.low <= limit
    return Check(
        name=name,
        value=json_number(delta),
        bound=limit,
        tested=delta.low,
        passed=passed,
        settled=not passed or delta.high <= limit,
        message=message,
        kind=kind_of_failure(delta, "harm"),
    )


def _opponent(rows: JudgedRows) -> str:
    """Name the challenger's opponent for a message."""
    return "the constant rate per channel" if rows.bootstrap else "the champion"


def _is_probability(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return for each value if it lies in [0, 1]; NaN doesn't."""
    return np.asarray((values >= 0) & (values <= 1))
