"""The rules of the cost: what a challenger must not lose, or must be shown to gain, by tonight's and earlier evidence.

first    no champion: surely cheaper than the constant rate, on tonight's rows
refresh  trained as the champion was: within the margin of the champion and of the anchor, see `refresh_rules`
change   trained otherwise: better, by an e-value over all nights since the change, as high as its share of the year's
         error asks for
"""

from __future__ import annotations

from math import isfinite, sqrt
from typing import TYPE_CHECKING

from ctr_retrain.models.documents.verdict_documents import Check, EvidencePart, NightsNeeded, Question
from ctr_retrain.models.gate.refresh_rules import REFRESH_NIGHTS, refresh_checks
from ctr_retrain.models.gate.weighing import ANCHOR, cost_check, more_nights_words, over_nights, weigh
from ctr_retrain.models.judging.costs import decision_costs
from ctr_retrain.models.judging.judged_rows import champion_over, interval_part, over
from ctr_retrain.models.ledger.nights_needed import nights_to_change, nights_to_refresh, smallest_difference

if TYPE_CHECKING:
    from ctr_retrain.models.documents.comparison_documents import IntervalPart
    from ctr_retrain.models.gate.weighing import Evidence, Weighed
    from ctr_retrain.models.judging.day_variance import DayVariance
    from ctr_retrain.models.judging.judged_rows import JudgedRows
    from ctr_retrain.models.judging.seed_noise import SeedDeviation
    from ctr_retrain.models.ledger.pooled_nights import Night
    from ctr_retrain.models.recipe.gate_section import Gate
    from ctr_retrain.models.recipe.recipe import Recipe

# After how many nights evidence on a change grows fastest: one of 3 % takes some two weeks to show at 50,000 rows.
CHANGE_NIGHTS = 4.0
SHOWN_DIFFERENCES = (0.01, 0.03, 0.1)  # of the champion's cost, of which a verdict says how many nights they need


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


def _first_check(weighed: Weighed, gate: Gate) -> Check:
    """Check that the first model is surely cheaper than a constant."""
    delta = weighed.tonight.interval(gate.confidence)
    expected = f"below 0 against the constant rate per channel with {100 * gate.confidence:g} % confidence"
    return cost_check(delta, 0.0, weighed, expected, passed=delta.bounded and delta.high < 0, tested=delta.high)


def change_check(weighed: Weighed, gate: Gate, part: EvidencePart) -> Check:
    """Check that a changed recipe is better, by all nights since the change."""
    delta, needed, shown = weighed.whole.interval(gate.confidence), part.e_value_needed, part.e_value
    assert needed is not None
    assert shown is not None
    passed = delta.bounded and shown >= needed
    expected = f"below 0 against the champion by evidence of {needed:,.0f} at least"
    more = more_nights_words(part.nights_to_pass, passed=passed)
    over = f"{over_nights(weighed.whole.nights)} with evidence of {shown:,.3g}"
    return cost_check(delta, 0.0, weighed, expected, passed=passed, over=over, words=more)


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
        next_refresh=interval_part(weighed.expected) if weighed.expected else None,
        since_anchor=interval_part(weighed.since_anchor) if weighed.since_anchor else None,
    )
