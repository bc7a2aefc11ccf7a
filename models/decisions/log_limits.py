"""Limits of a log: what its rows can't show, since a model chose them, and what propensities show all the same.

A champion is judged on rows that it sent because it thought well of them, so that its predicted to seen positives on
its own log are too many though it is calibrated on all traffic, and what it left out is in no log at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.models.decisions.inverse_propensity import weigh_by_propensity
from ctr_retrain.models.decisions.log_reach import measure_reach
from ctr_retrain.models.documents.verdict_documents import Check, LoggedChannel, LogReachPart, WeightedFigures
from ctr_retrain.models.judging.clustered_ratio import Clusters
from ctr_retrain.models.judging.costs import row_thresholds
from ctr_retrain.models.judging.judged_rows import decision_cost_deltas, interval_part
from ctr_retrain.models.number_format import fixed, number, percent, signed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ctr_retrain.models.documents.comparison_documents import IntervalPart
    from ctr_retrain.models.judging.judged_rows import JudgedRows
    from ctr_retrain.models.recipe.gate_section import Gate
    from ctr_retrain.models.recipe.recipe import Recipe

ENOUGH = 0.95  # share of rows that must have what the logger should have written
REACHES = 0.5  # of what was scored just below the threshold: a log with less was chosen by what is judged
FEWEST_POSITIVES = 50  # effective ones, by which nothing is said of weighed rows


@dataclass(frozen=True, eq=False)
class LoggedChoice:
    """The logger's words on how rows were chosen, (rows,) each, NaN where missing; None where no column is mapped."""

    propensity: NDArray[np.float64] | None = None  # chance with which the serving policy chose the row
    explored: NDArray[np.bool_] | None = None  # whether it was shown to explore
    served: NDArray[np.float64] | None = None  # probability by the model that served then


def describe_log(rows: JudgedRows, logged: LoggedChoice, recipe: Recipe) -> tuple[LogReachPart, list[Check]]:
    """Describe the log's limits, and return what the verdict says of them.

    rows: those of gated channels, with probabilities that were checked; logged: of the same rows.
    """
    channels = tuple(_channels(rows, logged, recipe))
    weighted = _weigh(rows, logged, recipe)
    told = [_weighted_words(weighted)] if weighted else []
    told += _explored_words(rows, logged, recipe)
    told += [] if weighted else _reach_words(rows, channels, logged)
    message = " ".join(told) or "Nothing tells how the rows of this log were chosen."
    explored = None if logged.explored is None else int(logged.explored.sum())
    part = LogReachPart(channels=channels, explored=explored, weighted=weighted, message=message)
    if weighted:
        return part, [_weighted_check(weighted, recipe.gate)]
    return part, _reach_check(part)


def _channels(rows: JudgedRows, logged: LoggedChoice, recipe: Recipe) -> Sequence[LoggedChannel]:
    """Measure how far each channel's log reaches below the threshold of what chose it."""
    costs = {name: channel.cost for name, channel in recipe.channels.items() if channel.gated}
    score = _score(rows, logged)
    limits = row_thresholds(rows.channel, costs, rows.value)
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.full(len(limits), np.nan) if score is None else score / limits
    found = []
    for name in costs:
        own = rows.channel == name
        if own.any():
            reach = measure_reach(relative[own])
            found.append(
                LoggedChannel(
                    channel=name, rows=int(own.sum()), below=reach.below, share=reach.share, lowest=reach.lowest
                )
            )
    return found


def _score(rows: JudgedRows, logged: LoggedChoice) -> NDArray[np.float64] | None:
    """Return the score by which rows were chosen: what served then, if the log says so, or else the champion's."""
    if logged.served is not None and np.isfinite(logged.served).mean() >= ENOUGH:
        return logged.served
    return None if rows.champion is None else np.asarray(rows.champion, dtype=np.float64)


def _weigh(rows: JudgedRows, logged: LoggedChoice, recipe: Recipe) -> WeightedFigures | None:
    """Estimate over all that could have been chosen; None where rows lack propensities or there is no opponent."""
    if logged.propensity is None or not len(rows.label) or np.isnan(rows.baseline()).any():
        return None
    weights = weigh_by_propensity(logged.propensity)
    if weights.known < ENOUGH:
        return None
    costs = {name: channel.cost for name, channel in recipe.channels.items() if channel.gated}
    clusters = Clusters(rows.user_bucket, rows.campaign, np.ones(len(rows.label)))
    confidence, positive = recipe.gate.confidence, weights.weight[rows.label == 1]
    squares = float(np.square(positive).sum())
    ratios = [
        None if p is None else interval_part(weights.ratio(p, rows.label.astype(np.float64), clusters, confidence))
        for p in (rows.challenger, rows.champion)
    ]
    assert ratios[0] is not None
    return WeightedFigures(
        known_share=weights.known,
        effective_size=weights.effective_size,
        effective_positives=float(positive.sum()) ** 2 / squares if squares else 0.0,
        bound=weights.bound,
        cut=weights.cut,
        cost_delta_per_1000=interval_part(weights.mean(1000 * decision_cost_deltas(rows, costs), clusters, confidence)),
        calibration_ratio=ratios[0],
        calibration_ratio_before=ratios[1],
    )


def _weighted_words(weighted: WeightedFigures) -> str:
    """Say what the weighed rows show."""
    few = weighted.effective_positives < FEWEST_POSITIVES
    before = weighted.calibration_ratio_before
    text = (
        f"By inverse propensity, over all that could have been chosen, the cost differs by "
        f"{_written(weighted.cost_delta_per_1000, 2)} per 1,000; the new model predicts "
        f"{_written(weighted.calibration_ratio, 2)} times the positives seen"
        f"{f', the champion {_written(before, 2)}' if before else ''}. The rows are worth "
        f"{number(weighted.effective_size)} equally weighed ones, their positives "
        f"{number(weighted.effective_positives)}; no weight is above {number(weighted.bound)}, "
        f"to which {weighted.cut:,} were cut."
    )
    return f"{text} With fewer than {FEWEST_POSITIVES} such positives that proves nothing." if few else text


def _explored_words(rows: JudgedRows, logged: LoggedChoice, recipe: Recipe) -> list[str]:
    """Say what rows show that no model chose, where the log marks such rows and they hold positives enough."""
    if logged.explored is None:
        return []
    own = rows.where(logged.explored)
    count, positives = len(own.label), int(own.label.sum())
    if positives < FEWEST_POSITIVES:
        return [f"{count:,} rows were shown to explore, with {positives:,} positives: too few to judge a model by."]
    clusters = Clusters(own.user_bucket, own.campaign, np.ones(count))
    label = own.label.astype(np.float64)
    told = [
        f"{name} {_written(interval_part(clusters.ratio(p, label, recipe.gate.confidence, positive=True)), 2)}"
        for name, p in (("the new model", own.challenger), ("the champion", own.champion))
        if p is not None
    ]
    return [f"On {count:,} rows that were shown to explore, predicted to seen positives are: {', '.join(told)}."]


def _reach_words(rows: JudgedRows, channels: Sequence[LoggedChannel], logged: LoggedChoice) -> list[str]:
    """Say how far the log reaches below the threshold, and what can't be known where it doesn't."""
    if _score(rows, logged) is None:
        return []
    told = [_channel_words(channel) for channel in channels]
    if all(channel.share is not None and channel.share >= REACHES for channel in channels):
        return told
    positives = float(rows.label.sum())
    ratio = "" if rows.champion is None or not positives else f", {fixed(float(rows.champion.sum()) / positives, 2)},"
    unknown = (
        "What wasn't sent is in no log: how many such rows there are, what the new model would send of them, and how "
        "either model is calibrated there can't be known. The champion's predicted to seen positives on its own log"
        f"{ratio} are of rows that it chose by its own overestimates, and speak of no others. A small share sent at "
        "random, with its chance in landing.columns.propensity, makes it known."
    )
    return [*told, unknown]


def _channel_words(channel: LoggedChannel) -> str:
    """Say how far one channel's log reaches."""
    below = f"{channel.below:,} of {channel.rows:,} rows lie below it"
    if channel.lowest is not None:
        below += f", the lowest hundredth at {number(channel.lowest)} times the threshold or less"
    if channel.share is None:
        return f"Channel '{channel.channel}': too few rows lie near the threshold to say how far the log goes; {below}."
    return (
        f"Channel '{channel.channel}': just below the threshold the log holds {percent(channel.share)} of what those "
        f"just above let one expect; {below}."
    )


def _weighted_check(weighted: WeightedFigures, gate: Gate) -> Check:
    """Check the cost over all that could have been chosen: a veto where it is surely too high."""
    delta, limit = weighted.cost_delta_per_1000, gate.max_cost_delta_per_1000
    few = weighted.effective_positives < FEWEST_POSITIVES or delta.low is None or delta.high is None
    passed = few or not _above(delta.low, limit)
    message = (
        f"Cost per 1,000 of all that could have been chosen, by inverse propensity with {100 * gate.confidence:g} % "
        f"confidence: expected not wholly above {signed(limit, 2)}, received {_written(delta, 2)}. "
        f"{_weighted_words(weighted)}"
    )
    return Check(
        name="propensity_cost_delta_per_1000",
        value=delta.value,
        bound=limit,
        passed=passed,
        settled=not passed or not (few or _above(delta.high, limit)),
        message=message,
        kind="harm",
    )


def _reach_check(part: LogReachPart) -> list[Check]:
    """Return the check that says what can't be known; it fails nothing, since no other model would do better."""
    shares = [channel.share for channel in part.channels]
    if not shares or all(channel.lowest is None for channel in part.channels):
        return []
    known = [share for share in shares if share is not None]
    least = min(known) if known else None
    settled = least is not None and len(known) == len(shares) and least >= REACHES
    message = (
        f"Reach of the log below the threshold of what chose it: expected {percent(REACHES)} or more of what is scored "
        f"just below it, received {percent(least) if least is not None else 'too few rows to tell'}. {part.message}"
    )
    return [
        Check(
            name="log_reach",
            value=least,
            bound=REACHES,
            passed=True,
            settled=settled,
            message=message,
            kind="evidence",
        )
    ]


def _above(bound: float | None, limit: float) -> bool:
    """Return True if a bound that is there lies above a limit."""
    return bound is not None and bound > limit


def _written(part: IntervalPart, digits: int) -> str:
    """Write a figure with its interval."""
    return f"{fixed(part.value, digits)} ({fixed(part.low, digits)} to {fixed(part.high, digits)})"
