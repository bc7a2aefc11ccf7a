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
from ctr_retrain.models.judging.changed_decisions import count_changed, widen
from ctr_retrain.models.judging.clustered_ratio import ratio_intervals
from ctr_retrain.models.judging.judged_rows import changed_decisions_of, compared_cells
from ctr_retrain.models.judging.seed_noise import seed_words, with_seed_noise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ctr_retrain.models.documents.verdict_documents import Decision, FailureKind
    from ctr_retrain.models.judging.cells import Interval
    from ctr_retrain.models.judging.judged_rows import JudgedRows
    from ctr_retrain.models.judging.seed_noise import SeedDeviation
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
) -> Verdict:
    """Judge a challenger by recipe.gate; fails closed.

    same_recipe: whether champion and challenger were trained by the same recipe, so that not being worse is enough.
    known: checks that were made elsewhere, of kind "integrity" (serving check), "leak" (features by themselves) or
    "evidence" (champion's data_through). seeds: of a changed recipe, what other seeds do to its cost difference.
    slices: checks of parts of these rows, of kind "harm", which count where the whole has evidence enough.
    Channels with gated = false are only looked at for broken predictions.
    """
    gated = [name for name, channel in recipe.channels.items() if channel.gated]
    checks = [_finite(check) for check in known]
    unscored = rows.champion is None and rows.constant_rate is None and not all(check.passed for check in checks)
    checks.append(_predictions_check(rows, recipe, gated, unscored=unscored))
    rows = rows.where(np.isin(rows.channel, gated))
    # Each stage only after the one before: intervals of broken or of too few rows would say nothing.
    if all(check.passed for check in checks):
        checks += _floor_checks(rows, recipe, gated)
    if all(check.passed for check in checks):
        compared = _comparison_checks(rows, recipe, gated, seeds, refresh=same_recipe and not rows.bootstrap)
        checks += [*compared[:-1], *slices, compared[-1]]  # the cost last, which a promotion is told by
    return _decide(checks, bootstrap=rows.bootstrap)


def _decide(checks: Sequence[Check], *, bootstrap: bool) -> Verdict:
    """Decide by the first failed check in order of precedence."""
    failed = sorted((check for check in checks if not check.passed), key=lambda check: list(FAILED).index(check.kind))
    decision = FAILED[failed[0].kind] if failed else "promote"
    telling = failed[0] if failed else checks[-1]
    opening = _LEAK_OPENING if failed and telling.kind == "leak" else _OPENING[decision]
    reason = f"{opening} {telling.message}"
    return Verdict(decision=decision, bootstrap=bootstrap, checks=tuple(checks), reason=reason)


def _finite(check: Check) -> Check:
    """Return a known check as it is, or failed if its value is NaN or infinite."""
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


def _comparison_checks(
    rows: JudgedRows, recipe: Recipe, gated: Sequence[str], seeds: SeedDeviation | None, *, refresh: bool
) -> list[Check]:
    """Check vetoes and the cost, each with its interval; a channel's come from its own rows and campaigns."""
    gate = recipe.gate
    costs = {name: recipe.channels[name].cost for name in gated}
    ratios = [("challenger", "positives"), ("log_loss_delta", "rows"), ("cost_delta_per_1000", "rows")]
    calibration, log_loss, cost = ratio_intervals(compared_cells(rows, costs), ratios, gate.confidence)
    against = f"against {_opponent(rows)} with {100 * gate.confidence:g} % confidence"
    checks = [
        _calibration_check(calibration, gate),
        _veto("log_loss_delta", f"Log loss per row {against}", log_loss, gate.max_log_loss_delta, digits=5),
    ]
    for name in gated:
        own = rows.where(rows.channel == name)
        (delta,) = ratio_intervals(compared_cells(own, costs), ratios[-1:], gate.confidence)
        # With few changed decisions the rows alone would call a positive that wasn't seen a sure gain.
        delta = widen(delta, changed_decisions_of(own, costs), len(own.label), gate.confidence)
        what = f"Cost per 1,000 impressions of channel '{name}' {against}"
        limit = gate.max_channel_cost_delta_per_1000
        checks.append(_veto(f"cost_delta_per_1000.{name}", what, delta, limit, digits=2))
    changed = changed_decisions_of(rows, costs)
    cost = widen(cost, changed, len(rows.label), gate.confidence)
    extent = "Decisions differ on {:,} rows with {:,} positives.".format(*count_changed(changed))
    if seeds:
        cost = with_seed_noise(cost, seeds, gate.confidence)
        extent = f"{extent} {seed_words(seeds, gate.confidence)}"
    return [*checks, _cost_check(cost, gate, against, extent, refresh=refresh)]


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
        value=_json_number(ratio),
        bound=(low, high),
        passed=passed,
        settled=not passed or (low <= ratio.low and ratio.high <= high),
        message=message,
        kind=_kind(ratio, "harm"),
    )


def _veto(name: str, what: str, delta: Interval, limit: float, *, digits: int) -> Check:
    """Check a difference that rejects whatever the cost says: only if its whole interval is above the limit."""
    message = f"{what}: expected not wholly above {limit:+.{digits}f}, received {_interval_text(delta, digits)}."
    passed = delta.bounded and delta.low <= limit
    return Check(
        name=name,
        value=_json_number(delta),
        bound=limit,
        passed=passed,
        settled=not passed or delta.high <= limit,
        message=message,
        kind=_kind(delta, "harm"),
    )


def _cost_check(delta: Interval, gate: Gate, against: str, changed: str, *, refresh: bool) -> Check:
    """Check the cost: a refresh of the champion's recipe must be non-inferior by the margin, anything else superior."""
    limit = gate.max_cost_delta_per_1000 if refresh else 0.0
    passed = delta.bounded and (delta.high <= limit if refresh else delta.high < limit)
    expected = f"at most {limit:+.2f}" if refresh else "below 0"
    received = _interval_text(delta, 2)
    message = f"Cost per 1,000 impressions: expected {expected} {against}, received {received}. {changed}"
    if delta.bounded and delta.low < delta.high:
        message = f"{_worth(delta, limit, passed=passed)} {message}"
    kind = _kind(delta, "harm" if delta.low > limit else "unproven")
    return Check(
        name="cost_delta_per_1000", value=_json_number(delta), bound=limit, passed=passed, message=message, kind=kind
    )


def _worth(delta: Interval, limit: float, *, passed: bool) -> str:
    """Say what the new model earns, for the person who pays: gains are positive, and what is sure is told apart."""
    gain, least, most = -delta.estimate, -delta.high, -delta.low
    sure = "" if least > 0 or most < 0 else "probably "
    earns = f"The new model {sure}earns {abs(gain):.2f} {'more' if gain >= 0 else 'less'} per 1,000 impressions"
    allowed = f"a loss beyond the allowed {limit:.2f}" if limit else "that it earns nothing more"
    if passed:
        told = f"{allowed} is excluded"
    elif delta.low > limit:
        told = f"{'a loss beyond the allowed ' + format(limit, '.2f') if limit else 'a loss'} is sure"
    else:
        told = f"{allowed} can't be excluded yet"
    return f"{earns} (between {least:+.2f} and {most:+.2f}); {told}."


def _kind(interval: Interval, failed: FailureKind) -> FailureKind:
    """Return the kind of a failure: an estimate of NaN is broken, one without finite bounds proves nothing."""
    if not isfinite(interval.estimate):
        return "integrity"
    return failed if interval.bounded else "evidence"


def _json_number(interval: Interval) -> float | None:
    """Return the estimate, or None where it isn't finite: JSON has no NaN."""
    return interval.estimate if isfinite(interval.estimate) else None


def _interval_text(delta: Interval, digits: int) -> str:
    """Write a difference with its interval, as in +0.12 (-0.40 to +0.63)."""
    return f"{delta.estimate:+.{digits}f} ({delta.low:+.{digits}f} to {delta.high:+.{digits}f})"


def _opponent(rows: JudgedRows) -> str:
    """Name the challenger's opponent for a message."""
    return "the constant rate per channel" if rows.bootstrap else "the champion"


def _is_probability(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return for each value if it lies in [0, 1]; NaN doesn't."""
    return np.asarray((values >= 0) & (values <= 1))
