"""The rules of a refresh, a model trained as the champion was: it must cost no more than a margin above two models.

the anchor    the last champion that was shown to be better: by an interval over all nights since the champion came into
              service that may be looked at every night; or by the steps of the refreshes between
the champion  where that is another: by tonight's rows, or by all nights

Two things let it pass where the rows alone can't tell yet. Earlier refreshes of the recipe that turned out well: where
the next one is expected within the margin, tonight's estimate is enough. And age: after `gate.stale_days` without a
promotion one look's limit is enough against the anchor, and the estimate over all nights against the champion.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.models.documents.verdict_documents import Check
from ctr_retrain.models.gate.interval_words import interval_text, json_number, kind_of_failure
from ctr_retrain.models.gate.weighing import ANCHOR, cost_check, more_nights_words, nights_words, over_nights
from ctr_retrain.models.judging.judged_rows import over

if TYPE_CHECKING:
    from ctr_retrain.models.documents.verdict_documents import EvidencePart
    from ctr_retrain.models.gate.weighing import Evidence, Weighed
    from ctr_retrain.models.judging.cells import Interval
    from ctr_retrain.models.ledger.pooled_nights import Pooled
    from ctr_retrain.models.recipe.gate_section import Gate

# After how many nights evidence on a refresh grows fastest: it is to pass within three.
REFRESH_NIGHTS = 0.5


def refresh_checks(weighed: Weighed, gate: Gate, evidence: Evidence, part: EvidencePart) -> list[Check]:
    """Check that a refresh is within the margin of the anchor, and of the champion where that is another."""
    version, limit = evidence.earlier.get(ANCHOR), gate.max_cost_delta_per_1000
    tonight = weighed.tonight.interval(gate.confidence)
    if tonight.bounded and tonight.low > limit:  # this very model is surely too dear, whatever earlier ones were
        return [cost_check(tonight, limit, weighed, _expected(gate), passed=False, tested=tonight.low)]
    if version is None:
        return [_held_to_anchor(weighed, gate, evidence, part)]
    return [_anchor_check(weighed, gate, evidence, version), _held_to_champion(weighed, gate, evidence, part)]


def _expected(gate: Gate) -> str:
    return (
        f"at most {gate.max_cost_delta_per_1000:+.2f} against the champion with {100 * gate.confidence:g} % confidence"
    )


def _held_to_champion(weighed: Weighed, gate: Gate, evidence: Evidence, part: EvidencePart) -> Check:
    """Check a refresh against the champion, whichever of tonight and all nights says more."""
    limit = gate.max_cost_delta_per_1000
    tonight, whole = (each.interval(gate.confidence) for each in (weighed.tonight, weighed.whole))
    delta = min((tonight, whole), key=lambda each: each.high if each.bounded else np.inf)
    surely = delta.bounded and delta.high <= limit
    trust = "" if surely else _trust_words(weighed, gate)
    stale = evidence.champion_days >= gate.stale_days and whole.bounded and whole.estimate <= limit
    fresher = not surely and not trust and stale
    if not surely:  # what is enough instead
        delta = whole if fresher else tonight if trust else delta
    words = trust or (
        _fresher_words(evidence, gate) if fresher else more_nights_words(part.nights_to_pass, passed=surely)
    )
    nights = 1 if delta is tonight else weighed.whole.nights
    passed, tested = surely or bool(trust) or fresher, None if trust or fresher else delta.high
    over = over_nights(nights)
    return cost_check(delta, limit, weighed, _expected(gate), passed=passed, tested=tested, over=over, words=words)


def _held_to_anchor(weighed: Weighed, gate: Gate, evidence: Evidence, part: EvidencePart) -> Check:
    """Check a refresh against a champion that is the anchor itself, over all nights and as often as one looks."""
    limit, whole = gate.max_cost_delta_per_1000, weighed.whole
    delta = whole.anytime_interval(gate.confidence, REFRESH_NIGHTS)
    tested, words = _within(whole, delta, gate, evidence)
    passed, nights = tested <= limit, whole.nights
    trust = "" if passed else _trust_words(weighed, gate)
    if trust:
        passed, words, delta, nights = True, trust, weighed.tonight.interval(gate.confidence), 1
    words += more_nights_words(part.nights_to_pass, passed=passed)
    words += f" {evidence.message}" if evidence.message else ""
    expected = f"{_expected(gate)} however often one looks"
    told, over = None if trust else tested, over_nights(nights)
    return cost_check(delta, limit, weighed, expected, passed=passed, tested=told, over=over, words=words)


def _anchor_check(weighed: Weighed, gate: Gate, evidence: Evidence, version: str) -> Check:
    """Check that a chain of refreshes doesn't go downhill: each is held to the same anchor, every night anew."""
    whole = weighed.nights.pool(over(ANCHOR), gate.confidence, weighed.between)
    delta, limit = whole.anytime_interval(gate.confidence, REFRESH_NIGHTS), gate.max_cost_delta_per_1000
    tested, words = _within(whole, delta, gate, evidence)
    steps = weighed.since_anchor
    surely_beyond = whole.interval(gate.confidence).low > limit
    if tested > limit and not surely_beyond and steps and steps.high <= limit:
        # An anchor that has known none of today's campaigns says little; what lies between is known step by step.
        words = f" Step by step since the anchor it costs {interval_text(steps, 2)} more: enough."
        tested = steps.high
    message = (
        f"Cost per 1,000 impressions against the anchor {version}: expected at most {limit:+.2f} however often one "
        f"looks, received {interval_text(delta, 2)} over {nights_words(whole.nights)}.{words}"
    )
    kind = kind_of_failure(delta, "harm" if delta.low > limit else "unproven")
    value, passed = json_number(delta), tested <= limit
    return Check(name=over(ANCHOR), value=value, bound=limit, tested=tested, passed=passed, message=message, kind=kind)


def _within(whole: Pooled, delta: Interval, gate: Gate, evidence: Evidence) -> tuple[float, str]:
    """Return the limit of a difference to the anchor that is to be within the margin, and why where it isn't the usual.

    One look a promotion is no looking every night: that is why a champion that has served for long may be followed by
    one look's limit.
    """
    limit, one_look = gate.max_cost_delta_per_1000, whole.limit(gate.confidence)
    if not delta.bounded:
        return np.inf, ""
    if delta.high <= limit or evidence.champion_days < gate.stale_days or one_look > limit:
        return delta.high, ""
    return one_look, f"{_fresher_words(evidence, gate)} It is at most {one_look:+.2f}."


def _trust_words(weighed: Weighed, gate: Gate) -> str:
    """Say that by earlier refreshes tonight's estimate is enough; empty where it isn't, or is beyond the margin."""
    limit, expected = gate.max_cost_delta_per_1000, weighed.expected
    tonight = weighed.tonight.interval(gate.confidence)
    if expected is None or expected.high > limit or not tonight.bounded or tonight.estimate > limit:
        return ""
    return (
        f" Earlier refreshes of this recipe, measured once they served, let the next one be expected at "
        f"{interval_text(expected, 2)} against the champion before it: tonight's estimate is enough."
    )


def _fresher_words(evidence: Evidence, gate: Gate) -> str:
    return (
        f" The champion's run is {evidence.champion_days} days old, no less than gate.stale_days = {gate.stale_days}: "
        "for a fresher model one look at all nights is enough."
    )
