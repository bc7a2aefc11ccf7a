"""Rules of what a log can't show: its reach below the threshold, weights by inverse propensity, and what is said."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit

from ctr_retrain.models.decisions.inverse_propensity import weigh_by_propensity
from ctr_retrain.models.decisions.log_limits import LoggedChoice, describe_log
from ctr_retrain.models.decisions.log_reach import measure_reach
from ctr_retrain.models.feature_kinds.categorical import Categorical
from ctr_retrain.models.judging.clustered_ratio import Clusters
from ctr_retrain.models.judging.judged_rows import JudgedRows
from ctr_retrain.models.recipe.channel_section import Channel, Cost
from ctr_retrain.models.recipe.gate_section import Gate
from ctr_retrain.models.recipe.recipe import Recipe

COST = Cost(true_positive=-0.98, false_positive=0.02)
RECIPE = Recipe(
    name="log",
    channels={"ad": Channel(positive_ratio=(0, 1), cost=COST)},
    features=(Categorical(name="user_id"),),
    gate=Gate(max_cost_delta_per_1000=0.5, max_channel_cost_delta_per_1000=2.0),
)
TRAFFIC = 60_000


def world(explore, seed=5, rate=0.015):
    """A log: all that the champion sends, and a share of the rest; with the chance of each row, and all traffic."""
    rng = np.random.default_rng(seed)
    user, campaign = rng.integers(0, 5000, TRAFFIC), rng.integers(0, 60, TRAFFIC)
    odds = np.log(rate) - 0.4 + rng.normal(0, 0.7, 5000)[user] + rng.normal(0, 0.5, 60)[campaign]
    truth = expit(odds)
    ours, theirs = (expit(odds + rng.normal(0, 0.4, TRAFFIC) - 0.08) for _ in range(2))
    whole = JudgedRows(
        (rng.random(TRAFFIC) < truth).astype(np.uint8),
        ours,
        theirs,
        np.full(TRAFFIC, "ad"),
        user % 256,
        campaign,
        np.zeros(TRAFFIC, int),
    )
    chance = np.where(theirs >= 0.02, 1.0, explore)
    kept = rng.random(TRAFFIC) < chance
    return whole.where(kept), chance[kept], whole


@pytest.mark.parametrize("explore", [0.0, 0.05, 0.2, 1.0])
def test_the_reach_of_a_log_is_the_share_that_it_holds_of_what_was_not_sent(explore):
    rows, _, _ = world(explore)
    reach = measure_reach(rows.champion / 0.02)
    assert reach.share == pytest.approx(explore, abs=0.02 + 0.08 * explore)
    assert (reach.lowest < 0.8) == (explore > 0)


def test_few_rows_or_few_different_scores_near_the_threshold_say_nothing():
    rng = np.random.default_rng(1)
    assert measure_reach(rng.uniform(0.2, 3, 100)).share is None
    assert measure_reach(np.tile([0.9, 1.1, 1.3], 1000)).share is None
    assert measure_reach(rng.uniform(0.2, 3, 20_000)).share > 0.7
    nothing = measure_reach(np.array([np.nan, np.inf]))
    assert (nothing.rows, nothing.share, nothing.lowest) == (0, None, None)


def test_a_log_of_what_was_sent_says_in_words_what_it_cannot_show():
    rows, _, whole = world(0.0)
    part, (check,) = describe_log(rows, LoggedChoice(), RECIPE)
    assert (check.name, check.passed, check.settled, check.value) == ("log_reach", True, False, 0.0)
    ratio = rows.champion.sum() / rows.label.sum()
    assert ratio > 1.1  # its own overestimates
    assert whole.champion.sum() / whole.label.sum() < 1.05
    assert f"on its own log, {ratio:.2f}, are of rows that it chose by its own overestimates" in check.message
    assert "the log holds 0 % of what those just above let one expect" in part.message
    part, (check,) = describe_log(whole, LoggedChoice(), RECIPE)
    assert check.settled
    assert "can't be known" not in part.message


def test_the_model_that_served_tells_the_reach_where_the_champion_is_another():
    rows, _, _ = world(0.0)
    other = JudgedRows(**{**vars(rows), "champion": rows.challenger})
    share = describe_log(other, LoggedChoice(served=rows.champion), RECIPE)[0].channels[0].share
    blurred = describe_log(other, LoggedChoice(), RECIPE)[0].channels[0].share
    assert share == 0
    assert blurred > 0.2
    unknown = np.where(np.arange(len(rows.label)) % 10 == 0, np.nan, rows.champion)  # a tenth has none
    assert describe_log(other, LoggedChoice(served=unknown), RECIPE)[0].channels[0].share == blurred


def test_with_propensities_the_verdict_speaks_of_all_that_could_have_been_chosen():
    off, plainly_off = [], []
    for seed in range(4):
        rows, chance, whole = world(0.2, seed)
        part, (check,) = describe_log(rows, LoggedChoice(propensity=chance), RECIPE)
        ratio, cost = part.weighted.calibration_ratio_before, part.weighted.cost_delta_per_1000
        plain, true = (each.champion.sum() / each.label.sum() for each in (rows, whole))
        off.append(ratio.value - true)
        plainly_off.append(plain - true)
        assert ratio.low < true < ratio.high
        decisions = (whole.challenger >= 0.02).astype(int) - (whole.champion >= 0.02)
        assert cost.low < (np.where(whole.label == 1, -980, 20) * decisions).mean() < cost.high
        assert 1 < part.weighted.effective_size < len(rows.label)
        assert (part.weighted.cut, part.weighted.known_share) == (0, 1)
        assert (check.name, check.passed) == ("propensity_cost_delta_per_1000", True)
        assert check.settled is (cost.high <= 0.5)
    assert np.mean(plainly_off) > 0.07
    assert abs(np.mean(off)) < 0.03


def test_a_model_that_is_surely_dearer_over_all_traffic_is_vetoed_and_few_positives_prove_nothing():
    rows, chance, _ = world(0.2)
    harmful = JudgedRows(**{**vars(rows), "challenger": np.full(len(rows.label), 0.001)})  # sends nothing
    _, (check,) = describe_log(harmful, LoggedChoice(propensity=chance), RECIPE)
    assert (check.passed, check.kind) == (False, "harm")
    few = harmful.where(np.flatnonzero(rows.label)[:30])
    part, (check,) = describe_log(few, LoggedChoice(propensity=chance[np.flatnonzero(rows.label)[:30]]), RECIPE)
    assert (check.passed, check.settled) == (True, False)
    assert "With fewer than 50 such positives that proves nothing" in part.message


def test_propensities_that_are_missing_weigh_nothing_and_many_missing_ones_leave_the_log_as_it_is():
    rows, chance, _ = world(0.2)
    number = np.arange(len(chance))
    some, many = (np.where(number % step == 0, np.nan, chance) for step in (50, 10))
    part, _ = describe_log(rows, LoggedChoice(propensity=some), RECIPE)
    assert part.weighted.known_share == pytest.approx(0.98, abs=0.001)
    part, (check,) = describe_log(rows, LoggedChoice(propensity=many), RECIPE)
    assert part.weighted is None
    assert check.name == "log_reach"


def test_rows_shown_to_explore_are_judged_by_themselves():
    rows, chance, _ = world(0.2)
    part, _ = describe_log(rows, LoggedChoice(explored=chance < 1), RECIPE)
    assert part.explored == np.count_nonzero(chance < 1)
    told = f"On {part.explored:,} rows that were shown to explore, predicted to seen positives are: the new model "
    assert told in part.message
    few = np.arange(len(chance)) < 100
    part, _ = describe_log(rows, LoggedChoice(explored=few), RECIPE)
    assert "too few to judge a model by" in part.message


def test_without_a_champion_nothing_tells_who_chose():
    rows, _, _ = world(0.2)
    first = JudgedRows(**{**vars(rows), "champion": None, "constant_rate": {"ad": 0.02}})
    part, checks = describe_log(first, LoggedChoice(), RECIPE)
    assert checks == []
    assert part.message == "Nothing tells how the rows of this log were chosen."


@settings(deadline=None, max_examples=50)
@given(propensity=arrays(np.float64, 20, elements=st.one_of(st.floats(0, 1), st.just(np.nan))))
def test_weights_are_bounded_finite_and_never_negative(propensity):
    weights = weigh_by_propensity(propensity)
    assert np.isfinite(weights.weight).all()
    assert ((weights.weight >= 0) & (weights.weight <= weights.bound)).all()
    assert (weights.weight[~(propensity > 0)] == 0).all()
    assert 0 <= weights.effective_size <= np.count_nonzero(propensity > 0) * (1 + 1e-9)


def test_one_row_of_a_tiny_propensity_does_not_decide_everything():
    propensity = np.full(10_000, 0.5)
    propensity[0] = 1e-9
    value = np.zeros(10_000)
    value[0] = 1.0
    weights = weigh_by_propensity(propensity)
    clusters = Clusters(np.arange(10_000) % 256, np.arange(10_000) // 40, np.ones(10_000))
    assert (value / propensity).sum() / (1 / propensity).sum() > 0.99
    assert (weights.cut, weights.bound) == (1, 200)  # twice the root of the rows
    assert weights.mean(value, clusters, 0.95).estimate == pytest.approx(200 / (200 + 2 * 9999))
