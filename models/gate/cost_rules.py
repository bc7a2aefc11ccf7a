"""The rules of the cost: what a challenger must not lose, or must be shown to gain, by tonight's and earlier evidence.

first    no champion: surely cheaper than the constant rate, on tonight's rows
refresh  trained as the champion was: within the margin of the anchor, the last champion that was shown to be better, by
         an interval over all nights since the champion came into service that may be looked at every night; and of the
         champion, where that is another, by tonight's rows or by all nights. After `gate.stale_days` without a
         promotion one look's limit is enough against the anchor, and the estimate against the champion
change   trained otherwise: better, by an e-value over all nights since the change, as high as its share of the year's
         error asks for
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite, sqrt
from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.models.documents.verdict_documents import Check, EvidencePart, NightsNeeded, Question
from ctr_retrain.models.gate.interval_words import interval_text, json_number, kind_of_failure, worth
from ctr_retrain.models.judging.changed_decisions import count_changed
from ctr_retrain.models.judging.costs import decision_costs
from ctr_retrain.models.judging.day_variance import DayVariance
from ctr_retrain.models.judging.judged_rows import COST_DELTA, champion_over, interval_part, over
from ctr_retrain.models.judging.seed_noise import seed_words
from ctr_retrain.models.ledger.nights_needed import nights_to_change, nights_to_refresh, smallest_difference
from ctr_retrain.models.ledger.pooled_nights import Nights, each_day_once

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ctr_retrain.models.documents.comparison_documents import IntervalPart
    from ctr_retrain.models.judging.cells import Interval
    from ctr_retrain.models.judging.judged_rows import JudgedRows
    from ctr_retrain.models.judging.seed_noise import SeedDeviation
    from ctr_retrain.models.ledger.pooled_nights import Night, Pooled
    from ctr_retrain.models.recipe.gate_section import Gate
    from ctr_retrain.models.recipe.recipe import Recipe

ANCHOR = "anchor"  # the role among the earlier champions of judged rows that a refresh is held to
# After how many nights evidence grows fastest. A change of 3 % takes some two weeks to show at 50,000 rows a night; a
# refresh is to pass within three nights.
CHANGE_NIGHTS = 4.0
REFRESH_NIGHTS = 0.5
SHOWN_DIFFERENCES = (0.01, 0.03, 0.1)  # of the champion's cost, of which a verdict says how many nights they need


@dataclass(frozen=True, eq=False)
class Evidence:
    """The evidence of earlier nights, as a verdict needs it."""

    nights: Sequence[Night] = ()  # that asked the same question, oldest first
    error: float = 0.025  # chance that a change may take over without being better: its share of the year's
    change: int = 1  # which change of the recipe within a year it is
    days: Mapping[str, DayVariance] = field(default_factory=dict)  # by figure, how nights differ
    champion: str | None = None  # its version
    champion_days: int = 0  # since the champion's run
    earlier: Mapping[str, str] = field(default_factory=dict)  # versions of the earlier champions, by role
    message: str = ""  # what is to be said of the anchor
    dominant_campaign: str | None = None  # what is to be said of one with nearly all rows


@dataclass(frozen=True, eq=False)
class Weighed:
    """Tonight's difference, that over all nights, and how decisions changed."""

    tonight: Pooled
    whole: Pooled
    nights: Nights  # the earlier ones, and of tonight the days that none of them has
    between: DayVariance | None
    extent: str  # the sentence on changed decisions


def cost_checks(
    rows: JudgedRows,
    tonight: Night,
    recipe: Recipe,
    evidence: Evidence,
    seeds: SeedDeviation | None,
    *,
    refresh: bool,
) -> tuple[list[Check], EvidencePart]:
    """Check the cost on rows of gated channels; the last check tells. Returns what was weighed, too.

    tonight: the sums of these rows, by `night_of`.
    """
    question: Question = "first" if rows.bootstrap else "refresh" if refresh else "change"
    costs = {name: channel.cost for name, channel in recipe.channels.items() if channel.gated}
    weighed = weigh(tonight, recipe.gate, evidence, seeds if question == "change" else None)
    reference = abs(1000 * float(decision_costs(rows.label, rows.baseline(), rows.channel, costs, rows.value).mean()))
    part = describe_evidence(weighed, recipe.gate, evidence, question, reference)
    if question == "first":
        return [_first_check(weighed, recipe.gate)], part
    if question == "refresh":
        return refresh_checks(weighed, recipe.gate, evidence, part), part
    return [change_check(weighed, recipe.gate, part)], part


def weigh(tonight: Night, gate: Gate, evidence: Evidence, seeds: SeedDeviation | None = None) -> Weighed:
    """Add tonight's rows to the earlier nights' evidence."""
    nights = Nights(each_day_once([*evidence.nights, tonight]))
    between = _between(evidence.days.get(COST_DELTA), seeds)
    groups = [group for _, group in tonight.changed.get(COST_DELTA, ())]
    extent = "Decisions differ on {:,} rows with {:,} positives.".format(*count_changed(groups))
    if seeds:
        extent = f"{extent} {seed_words(seeds, gate.confidence)}"
    alone, whole = (each.pool(COST_DELTA, gate.confidence, between) for each in (Nights([tonight]), nights))
    return Weighed(alone, whole, nights, between, extent)


def _between(days: DayVariance | None, seeds: SeedDeviation | None) -> DayVariance | None:
    """Return how nights differ, of networks each trained anew: by their estimates, or what another seed alone does."""
    if not seeds or (days and days.value >= seeds.value**2):
        return days
    return DayVariance(seeds.value**2, seeds.value**2, float(max(seeds.twins, 1)))


def _first_check(weighed: Weighed, gate: Gate) -> Check:
    """Check that the first model is surely cheaper than a constant."""
    delta = weighed.tonight.interval(gate.confidence)
    expected = f"below 0 against the constant rate per channel with {100 * gate.confidence:g} % confidence"
    return _cost_check(delta, 0.0, weighed, expected, passed=delta.bounded and delta.high < 0)


def refresh_checks(weighed: Weighed, gate: Gate, evidence: Evidence, part: EvidencePart) -> list[Check]:
    """Check that a refresh is within the margin of the anchor, and of the champion where that is another."""
    version, limit = evidence.earlier.get(ANCHOR), gate.max_cost_delta_per_1000
    tonight = weighed.tonight.interval(gate.confidence)
    if tonight.bounded and tonight.low > limit:  # this very model is surely too dear, whatever earlier ones were
        return [_cost_check(tonight, limit, weighed, _expected(gate), passed=False)]
    if version is None:
        return [_held_to_anchor(weighed, gate, evidence, part)]
    stale = evidence.champion_days >= gate.stale_days
    choices = [tonight, weighed.whole.interval(gate.confidence)]
    delta = min(choices, key=lambda each: each.high if each.bounded else np.inf)
    surely, nights = delta.bounded and delta.high <= limit, 1 if delta is tonight else weighed.whole.nights
    fresher = not surely and stale and choices[1].bounded and choices[1].estimate <= limit
    if fresher:
        delta, nights = choices[1], weighed.whole.nights
    words = _fresher_words(evidence, gate) if fresher else _more_nights(part.nights_to_pass, passed=surely)
    check = _cost_check(delta, limit, weighed, _expected(gate), passed=surely or fresher, nights=nights, words=words)
    return [_anchor_check(weighed, gate, evidence, version), check]


def _expected(gate: Gate) -> str:
    return (
        f"at most {gate.max_cost_delta_per_1000:+.2f} against the champion with {100 * gate.confidence:g} % confidence"
    )


def _held_to_anchor(weighed: Weighed, gate: Gate, evidence: Evidence, part: EvidencePart) -> Check:
    """Check a refresh against a champion that is the anchor itself, over all nights and as often as one looks."""
    limit, whole = gate.max_cost_delta_per_1000, weighed.whole
    delta = whole.anytime_interval(gate.confidence, REFRESH_NIGHTS)
    passed, one_look = _within(whole, delta, gate, evidence)
    words = f"{one_look}{_more_nights(part.nights_to_pass, passed=passed)}"
    words += f" {evidence.message}" if evidence.message else ""
    expected = f"{_expected(gate)} however often one looks"
    return _cost_check(delta, limit, weighed, expected, passed=passed, nights=whole.nights, words=words)


def _anchor_check(weighed: Weighed, gate: Gate, evidence: Evidence, version: str) -> Check:
    """Check that a chain of refreshes doesn't go downhill: each is held to the same anchor, every night anew."""
    whole = weighed.nights.pool(over(ANCHOR), gate.confidence, weighed.between)
    delta, limit = whole.anytime_interval(gate.confidence, REFRESH_NIGHTS), gate.max_cost_delta_per_1000
    passed, one_look = _within(whole, delta, gate, evidence)
    message = (
        f"Cost per 1,000 impressions against the anchor {version}: expected at most {limit:+.2f} however often one "
        f"looks, received {interval_text(delta, 2)} over {_nights(whole.nights)}.{one_look}"
    )
    kind = kind_of_failure(delta, "harm" if delta.low > limit else "unproven")
    return Check(name=over(ANCHOR), value=json_number(delta), bound=limit, passed=passed, message=message, kind=kind)


def _within(whole: Pooled, delta: Interval, gate: Gate, evidence: Evidence) -> tuple[bool, str]:
    """Return if a difference to the anchor is within the margin, and what lets it pass that isn't seen by its interval.

    One look a promotion is no looking every night: that is why a champion that has served for long may be followed by
    one look's limit.
    """
    limit, one_look = gate.max_cost_delta_per_1000, whole.limit(gate.confidence)
    if not delta.bounded or delta.high <= limit:
        return delta.bounded, ""
    if evidence.champion_days < gate.stale_days or one_look > limit:
        return False, ""
    return True, f"{_fresher_words(evidence, gate)} It is at most {one_look:+.2f}."


def change_check(weighed: Weighed, gate: Gate, part: EvidencePart) -> Check:
    """Check that a changed recipe is better, by all nights since the change."""
    delta, needed, shown = weighed.whole.interval(gate.confidence), part.e_value_needed, part.e_value
    assert needed is not None
    assert shown is not None
    passed = delta.bounded and shown >= needed
    expected = f"below 0 against the champion by evidence of {needed:,.0f} at least"
    more, evidence = _more_nights(part.nights_to_pass, passed=passed), f" with evidence of {shown:,.3g}"
    nights = weighed.whole.nights
    return _cost_check(delta, 0.0, weighed, expected, passed=passed, nights=nights, by=evidence, words=more)


def _cost_check(
    delta: Interval,
    limit: float,
    weighed: Weighed,
    expected: str,
    *,
    passed: bool,
    nights: int = 1,
    by: str = "",
    words: str = "",
) -> Check:
    """Write the check of the cost."""
    over_nights = f" over {_nights(nights)}" if nights > 1 else ""
    message = (
        f"Cost per 1,000 impressions: expected {expected}, received {interval_text(delta, 2)}{over_nights}{by}. "
        f"{weighed.extent}{words}"
    )
    if delta.bounded and delta.low < delta.high:
        message = f"{worth(delta, limit, passed=passed)} {message}"
    kind = kind_of_failure(delta, "harm" if delta.low > limit else "unproven")
    return Check(name=COST_DELTA, value=json_number(delta), bound=limit, passed=passed, message=message, kind=kind)


def describe_evidence(
    weighed: Weighed, gate: Gate, evidence: Evidence, question: Question, reference: float
) -> EvidencePart:
    """Describe what was weighed: the evidence so far, what it could have shown, how much more there has to be.

    reference: cost per 1,000 of which shares are told.
    """
    whole, tonight, needed = weighed.whole, weighed.tonight, 1 / evidence.error
    error = None if tonight.variance is None else sqrt(tonight.variance)

    def nights_for(gain: float) -> int | None:
        if error is None or not isfinite(gain) or question == "first":
            return None
        if question == "refresh":
            return nights_to_refresh(-gain, error, gate.max_cost_delta_per_1000, gate.confidence, REFRESH_NIGHTS)
        return nights_to_change(gain, error, needed, CHANGE_NIGHTS)

    def looked_at_nightly(figure: str, between: DayVariance | None) -> IntervalPart:
        found = weighed.nights.pool(figure, gate.confidence, between)
        return interval_part(found.anytime_interval(gate.confidence, REFRESH_NIGHTS))

    in_all = nights_for(-whole.estimate)
    return EvidencePart(
        question=question,
        nights=whole.nights,
        rows=round(whole.rows),
        tonight=interval_part(tonight.interval(gate.confidence)),
        pooled=interval_part(whole.interval(gate.confidence)),
        margin=gate.max_cost_delta_per_1000,
        e_value=min(whole.e_value(CHANGE_NIGHTS), 1e9) if question == "change" else None,
        e_value_needed=needed if question == "change" else None,
        change=evidence.change if question == "change" else None,
        champion=evidence.champion,
        champion_days=None if question == "first" else evidence.champion_days,
        earlier=evidence.earlier,
        against_anchor=looked_at_nightly(over(ANCHOR), weighed.between) if ANCHOR in evidence.earlier else None,
        champion_over={role: looked_at_nightly(champion_over(role), None) for role in evidence.earlier},
        dominant_campaign=evidence.dominant_campaign,
        smallest_difference=None if error is None else smallest_difference(error, gate.confidence),
        nights_needed=tuple(
            NightsNeeded(share=share, difference=share * reference, nights=nights_for(share * reference))
            for share in SHOWN_DIFFERENCES
        ),
        nights_to_pass=None if in_all is None else max(1, in_all - whole.nights),
    )


def _fresher_words(evidence: Evidence, gate: Gate) -> str:
    return (
        f" The champion's run is {evidence.champion_days} days old, no less than gate.stale_days = {gate.stale_days}: "
        "for a fresher model one look at all nights is enough."
    )


def _more_nights(nights: int | None, *, passed: bool) -> str:
    """Say after how many nights such a difference would pass."""
    if passed:
        return ""
    return f" About {nights} more night{'' if nights == 1 else 's'} at this rate." if nights else ""


def _nights(count: int) -> str:
    return f"{count} night{'' if count == 1 else 's'}"
