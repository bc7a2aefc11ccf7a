"""Rules of the cost over many nights: refreshes held to an anchor, stale champions, changes that have to be shown."""

import numpy as np
import pytest

from ctr_retrain.models.gate.cost_rules import describe_evidence
from ctr_retrain.models.gate.refresh_rules import refresh_checks
from ctr_retrain.models.gate.weighing import Evidence, weigh
from ctr_retrain.models.judging.day_variance import DayVariance
from ctr_retrain.models.judging.judged_rows import COST_DELTA, over
from ctr_retrain.models.ledger.refresh_steps import Step
from tests.support.counts import draws
from tests.support.gate_years import (
    ALL_MATTER,
    CHAINS,
    CHAMPION_COST,
    GATE,
    MARGIN,
    ROWS_DOMINATE,
    chain_night,
    night_of_takeover,
    run_chain,
)

SURE, UNSURE = 0.02, 0.4  # standard deviations of a night's difference


def judged(nights, of_rows=SURE, challenger=0.0, champion=0.0, anchor=None, **evidence):
    """The checks of a refresh with true costs against 0, that of the anchor or of a champion that is its own."""
    # The predecessor is the anchor: these chains have one refresh.
    levels = (challenger, champion, champion if anchor is None else anchor)
    rng = np.random.default_rng([5, nights])
    *past, tonight = (chain_night(rng, day, of_rows, levels) for day in range(nights))
    earlier = {} if anchor is None else {"anchor": "first", "predecessor": "first"}
    known = Evidence(nights=past, earlier=earlier, **evidence)
    weighed = weigh(tonight, GATE, known)
    part = describe_evidence(weighed, GATE, known, "refresh", CHAMPION_COST)
    checks = refresh_checks(weighed, GATE, known, part)
    assert all(check.tested is None or check.passed == (check.tested <= check.bound) for check in checks)
    return checks, part


def test_an_equal_model_passes_once_nights_enough_say_so():
    (first,), part = judged(1, UNSURE)
    (later,), _ = judged(20, UNSURE)
    assert not first.passed
    assert later.passed
    assert "over 20 nights" in later.message
    assert f"About {part.nights_to_pass} more night" in first.message


def test_a_refresh_within_the_margin_of_its_champion_and_beyond_that_of_the_anchor_is_held():
    checks, _ = judged(3, challenger=0.8 * MARGIN + 0.3, champion=0.3, anchor=0.0)
    against_anchor, against_champion = checks
    assert (against_anchor.name, against_champion.name) == (over("anchor"), COST_DELTA)
    assert against_champion.passed
    assert not against_anchor.passed
    assert "against the anchor first: expected at most +0.50 however often one looks" in against_anchor.message
    checks, _ = judged(3, challenger=0.4 * MARGIN, champion=0.1, anchor=0.0)
    assert all(check.passed for check in checks)


def test_a_stale_champion_is_followed_by_a_fresher_model_whose_estimate_is_within_the_margin():
    held, _ = judged(2, UNSURE, challenger=0.05, champion=0.05, anchor=0.0, champion_days=GATE.stale_days - 1)
    stale, _ = judged(10, UNSURE, challenger=0.05, champion=0.05, anchor=0.0, champion_days=GATE.stale_days)
    assert not all(check.passed for check in held)
    assert all(check.passed for check in stale)
    far, _ = judged(10, 0.2, challenger=1.2 * MARGIN, champion=0.0, anchor=0.0, champion_days=100)
    assert not all(check.passed for check in far)


def test_a_stale_champions_follower_is_not_said_to_have_shown_what_it_has_not():
    (check,), part = judged(7, 0.45, champion_days=GATE.stale_days)
    assert check.passed
    assert part.pooled.high < MARGIN
    assert f"It is at most {check.tested:+.2f}." in check.message
    assert "isn't excluded, which a fresher model need not do" in check.message
    assert "one look at all nights is enough" in check.message


WELL = tuple(Step(-0.05, 0.05) for _ in range(8))  # refreshes that were a little cheaper than their predecessors


def test_where_earlier_refreshes_turned_out_well_tonights_estimate_is_enough():
    (unknown,), _ = judged(1, UNSURE)
    (trusted,), part = judged(1, UNSURE, steps=WELL)
    assert not unknown.passed
    assert trusted.passed
    assert (unknown.tested > MARGIN, trusted.tested) == (True, None)  # by trust it is the estimate
    assert part.next_refresh.high < MARGIN
    assert "Earlier refreshes of this recipe, measured once they served, let the next one be expected at -0.05" in (
        trusted.message
    )
    assert "isn't excluded, which a fresher model need not do" in trusted.message


def test_trust_is_lost_by_one_that_went_wrong_and_never_lets_an_estimate_beyond_the_margin_pass():
    (lost,), _ = judged(1, UNSURE, steps=(*WELL, Step(1.5, 0.05)))
    (dear,), _ = judged(1, UNSURE, challenger=3 * MARGIN, steps=WELL)
    (broken,), _ = judged(3, SURE, challenger=3 * MARGIN, steps=WELL)
    assert not lost.passed
    assert not dear.passed
    assert (broken.passed, broken.kind) == (False, "harm")


def against_anchor(chain, level=0.0):
    """The check of one night against the anchor, of a champion that costs `level` more and an equal challenger."""
    checks, _ = judged(1, 0.2, challenger=level, champion=level, anchor=0.0, chain=chain)
    return checks[0]


def test_step_by_step_a_chain_passes_where_one_night_of_its_anchor_does_not_say_enough():
    assert not against_anchor(None).passed
    level = against_anchor([Step(-0.3, 0.05)])
    assert level.passed
    assert f"to {level.tested:+.2f}) more: enough" in level.message
    assert "Step by step since the anchor it costs -0.1" in level.message


def test_a_chain_whose_steps_go_downhill_and_one_beyond_the_margin_of_its_anchor_do_not_pass_by_steps():
    assert not against_anchor([Step(0.3, 0.05)] * 2).passed
    assert not against_anchor([Step(-0.9, 0.05)], level=1.2 * MARGIN).passed


def test_a_refresh_that_is_surely_too_dear_tonight_is_rejected_whatever_earlier_ones_were():
    rng = np.random.default_rng(6)
    past = [chain_night(rng, day, SURE, (-1.0, 0.0, 0.0)) for day in range(9)]
    known = Evidence(nights=past)
    weighed = weigh(chain_night(rng, 9, SURE, (MARGIN + 0.3, 0.0, 0.0)), GATE, known)
    part = describe_evidence(weighed, GATE, known, "refresh", CHAMPION_COST)
    (check,) = refresh_checks(weighed, GATE, known, part)
    assert (check.passed, check.kind) == (False, "harm")
    assert weighed.whole.interval(0.95).high < 0


def test_the_verdict_says_what_it_could_have_shown_and_how_many_nights_other_differences_need():
    _, part = judged(1, UNSURE)
    assert part.smallest_difference == pytest.approx(2.8 * UNSURE, rel=0.25)
    shares = [(needed.share, needed.difference) for needed in part.nights_needed]
    assert shares == [(share, pytest.approx(share * CHAMPION_COST)) for share in (0.01, 0.03, 0.1)]
    nights = [needed.nights for needed in part.nights_needed]
    assert nights == sorted(nights, reverse=True)


def test_days_that_differ_are_part_of_what_is_not_known():
    (plain,), _ = judged(3)
    (widened,), _ = judged(3, days={COST_DELTA: DayVariance(0.5, 0.5, 20)})
    assert plain.passed
    assert not widened.passed


@pytest.mark.parametrize("chain", CHAINS, ids=lambda chain: chain.name)
def test_no_chain_of_refreshes_ends_a_margin_above_its_anchor(chain):
    years = [run_chain(chain, 0.19, draws(40, 365), [7, year]) for year in range(draws(2, 200))]
    assert np.quantile([year.excess for year in years], 0.95) <= 1
    if chain.name == "null":
        assert np.median([wait for year in years for wait in year.waits]) <= 3


def test_a_change_without_any_worth_takes_over_in_no_year_and_a_good_one_within_weeks():
    nights, years = draws(25, 365), draws(3, 36)
    for volume in (ROWS_DOMINATE, ALL_MATTER):
        assert not any(night_of_takeover(volume, 0.0, nights, [8, year], "ours") for year in range(years))
    found = [night_of_takeover(ROWS_DOMINATE, 0.03, 60, [3, year], "ours") or 999 for year in range(draws(9, 100))]
    assert np.median(found) <= draws(20, 15)
