"""The slices' veto: a challenger that is well on the whole must not be surely off, or surely dear, on a part of it.

Calibration  the whole simultaneous interval of predicted to seen positives lies beyond the slice's bounds, its shrunk
             estimate does too, and the champion is nearer to 1 there
Cost         the whole simultaneous interval of the difference lies above the slice's margin
Found        a segment of the scan, by the same rule, if the recipe lets them veto

A year has 365 nights and each many slices, of which none that lies within its bounds shall reject a good model. So the
year's error is divided by nights, by these three kinds, and by the slices of each (Bonferroni): nights that see the
same users and campaigns again are anything but independent, and no rule that takes them so would hold. Slices of one
family share what it has for calibration by their rows, since a large one that is off does more harm.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.models.documents.verdict_documents import Check, JudgedSlice, SlicesPart
from ctr_retrain.models.judged_slices.count_ratios import ratio_limits, shrink, sum_slices
from ctr_retrain.models.judged_slices.segment_scan import Scan, scan_segments
from ctr_retrain.models.judged_slices.slice_costs import cost_deltas
from ctr_retrain.models.judging.judged_rows import interval_part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ctr_retrain.models.documents.verdict_documents import SliceState
    from ctr_retrain.models.judged_slices.count_ratios import SliceSums
    from ctr_retrain.models.judged_slices.slice_rows import Family
    from ctr_retrain.models.judging.judged_rows import JudgedRows
    from ctr_retrain.models.recipe.gate_section import Gate
    from ctr_retrain.models.recipe.recipe import Recipe

NIGHTS = 365  # a year's, over which `gate.false_slice_vetoes_per_year` is divided
# Parts of the error: calibration's is the largest, since that is what a cost can't show where nothing is sent anyway.
CALIBRATION, COST, FOUND = 0.8, 0.1, 0.1


@dataclass(frozen=True, eq=False)
class _Measured:
    """A family with its sums and what is judged of it."""

    family: Family
    sums: SliceSums
    judged: tuple[int, ...]  # codes of slices with positives enough


def judge_slices(
    rows: JudgedRows, families: Sequence[Family], segments: Sequence[Family], recipe: Recipe
) -> SlicesPart:
    """Judge the listed families, and scan the values of `segments` and their pairs for the worst.

    rows: those of gated channels, with probabilities that were checked; families and segments of the same rows.
    """
    gate, whole = recipe.gate, _whole(rows)
    measured = [_measure(rows, family, gate) for family in families]
    count = sum(len(one.judged) for one in measured)
    error = gate.false_slice_vetoes_per_year / NIGHTS
    judged = [part for one in measured for part in _judge_family(rows, one, recipe, whole, error / max(count, 1))]
    scan = scan_segments(rows, segments, gate, whole)
    found = tuple(
        _found(scan, index, gate, FOUND * error / (2 * max(scan.tried, 1))) for index in range(len(scan.names))
    )
    abstained = sum(int(np.count_nonzero(one.sums.rows)) - len(one.judged) for one in measured)
    share = max((_unsaid(one) for one in measured), default=0.0)
    words = _words(judged, found, abstained, share, gate)
    return SlicesPart(
        slices=tuple(judged), found=found, scanned=scan.tried, abstained=abstained, abstained_share=share, message=words
    )


def slice_checks(part: SlicesPart, gate: Gate) -> list[Check]:
    """Return the gate's checks: of the listed slices, and of the segments found where those can veto."""
    groups = {"slices": part.slices, "found_segments": part.found if gate.found_segments_veto else ()}
    checks = []
    for name, slices in groups.items():
        vetoed = [one for one in slices if one.state == "vetoed"]
        if not vetoed and name == "found_segments":
            continue
        told = "; ".join(_sentence(one) for one in vetoed[:3]) + (f"; and {len(vetoed) - 3} more" * (len(vetoed) > 3))
        (low, high), (least, most) = gate.slice_calibration_ratio, gate.calibration_ratio
        expected = (
            f"expected none surely predicted outside {low:g} to {high:g} times what is seen "
            f"(a channel: {least:g} to {most:g}), or surely dearer by "
        )
        received = f"received {len(vetoed)}: {told}." if vetoed else f"received none. {part.message}"
        message = f"Slices of the validation rows: {expected}{gate.slice_cost_margin:+.2f} per 1,000, {received}"
        checks.append(Check(name=name, value=len(vetoed), bound=0, passed=not vetoed, message=message, kind="harm"))
    return checks


def _whole(rows: JudgedRows) -> float:
    """Return predicted to seen positives of all rows."""
    return float((rows.challenger.sum() + 0.5) / (rows.label.sum() + 0.5))


def _measure(rows: JudgedRows, family: Family, gate: Gate) -> _Measured:
    """Add up a family's slices, and choose those with positives enough."""
    sums = sum_slices(family.code, len(family.values), rows.label, rows.challenger, rows.baseline(), rows.user_bucket)
    enough = np.flatnonzero(sums.weight >= gate.slice_min_positives)
    return _Measured(family, sums, tuple(int(code) for code in enough[np.argsort(-sums.rows[enough], kind="stable")]))


def _judge_family(rows: JudgedRows, one: _Measured, recipe: Recipe, whole: float, error: float) -> list[JudgedSlice]:
    """Judge the slices of one family that have positives enough; error: the mean chance of a false veto of each."""
    gate, sums = recipe.gate, one.sums
    low, high = ratio_limits(sums, CALIBRATION * error * _shares(one) / 2)
    shrunk, bounds = shrink(sums, whole), _bounds(one.family.name, gate)
    costs = {name: channel.cost for name, channel in recipe.channels.items()}
    deltas = cost_deltas(rows, one.family, one.judged, costs, 1 - 2 * COST * error)
    result = []
    for code, delta in zip(one.judged, deltas, strict=True):
        state = _state(sums, code, (float(low[code]), float(high[code])), float(shrunk[code]), bounds)
        if delta.low > gate.slice_cost_margin:
            state = "vetoed"
        result.append(
            _slice(one.family.shown(code), sums, code, (float(low[code]), float(high[code])), state).model_copy(
                update={"shrunk_ratio": float(shrunk[code]), "cost_delta_per_1000": interval_part(delta)}
            )
        )
    return result


def _shares(one: _Measured) -> NDArray[np.float64]:
    """Return the part of the family's error that each slice has, by its rows, with a mean of 1 over those judged."""
    shares = np.zeros(len(one.sums.rows))
    judged = list(one.judged)
    shares[judged] = one.sums.rows[judged]
    return np.asarray(shares * len(judged) / max(shares.sum(), 1.0))


def _state(
    sums: SliceSums, code: int, limits: tuple[float, float], shrunk: float, bounds: tuple[float, float]
) -> SliceState:
    """Say what follows from a slice's calibration."""
    least, most = bounds
    over, under = limits[0] > most and shrunk > most, limits[1] < least and shrunk < least
    if not (over or under):
        return "passed"
    # To keep a champion that is as far off as the challenger would spare nobody any harm.
    seen = sums.positives[code] + 0.5
    ours, theirs = (
        abs(log((each[code] + 0.5) / seen)) for each in (sums.predicted, np.nan_to_num(sums.before, nan=seen))
    )
    return "no worse than before" if theirs >= ours and np.isfinite(sums.before[code]) else "vetoed"


def _bounds(family: str, gate: Gate) -> tuple[float, float]:
    """Return the bounds of a family's ratios: a channel is large, and priced by itself, so it has the whole's."""
    return gate.calibration_ratio if family == "channel" else gate.slice_calibration_ratio


def _found(scan: Scan, index: int, gate: Gate, tail: float) -> JudgedSlice:
    """Judge a segment that the scan found."""
    low, high = ratio_limits(scan.sums, tail)
    limits = (float(low[index]), float(high[index]))
    ratio = float((scan.sums.predicted[index] + 0.5) / (scan.sums.positives[index] + 0.5))
    state = _state(scan.sums, index, limits, ratio, gate.slice_calibration_ratio)
    return _slice(scan.names[index], scan.sums, index, limits, state)


def _slice(name: str, sums: SliceSums, code: int, limits: tuple[float, float], state: SliceState) -> JudgedSlice:
    """Write a slice as documents have it, without its shrunk ratio and cost."""
    seen, before = float(sums.positives[code]), float(sums.before[code])
    return JudgedSlice(
        name=name,
        rows=int(sums.rows[code]),
        positives=int(seen),
        predicted=float(sums.predicted[code]),
        predicted_before=before if np.isfinite(before) else None,
        calibration_ratio=float(sums.predicted[code]) / seen if seen else None,
        low=limits[0],
        high=limits[1],
        shrunk_ratio=None,
        state=state,
    )


def _unsaid(one: _Measured) -> float:
    """Return the share of a family's rows in slices under the floor."""
    total = float(one.sums.rows.sum())
    return 1 - float(one.sums.rows[list(one.judged)].sum()) / total if total else 0.0


def _sentence(one: JudgedSlice) -> str:
    """Say what is wrong with a slice: its calibration, or else its cost."""
    delta = one.cost_delta_per_1000
    text = f"{one.name} with {one.rows:,} rows: {one.predicted:,.0f} positives predicted, {one.positives:,} seen"
    cost = f", cost {delta.value:+.2f} per 1,000" if delta is not None and delta.value is not None else ""
    return f"{text}{cost}"


def _words(
    judged: Sequence[JudgedSlice], found: Sequence[JudgedSlice], abstained: int, share: float, gate: Gate
) -> str:
    """Say how many slices were judged, and of how many nothing can be said."""
    floor = f"{gate.slice_min_positives} positives"
    text = f"{len(judged)} slices with {floor} or more were judged"
    if abstained:
        text += f"; of {abstained} smaller ones, with up to {100 * share:.0f} % of the rows, nothing can be said"
    before = [one.name for one in judged if one.state == "no worse than before"]
    if before:
        text += f". As far off as before, or less: {', '.join(before[:3])}"
    if found:
        text += f". Surely apart from the whole: {', '.join(one.name for one in found[:3])}"
    return f"{text}."
