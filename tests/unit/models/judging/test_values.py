"""Rules of prices that name the impression's own value: thresholds, costs and changed decisions row by row."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError

from ctr_retrain.models.judging.changed_decisions import find_changed_decisions
from ctr_retrain.models.judging.costs import (
    cost_curve,
    decide,
    decision_costs,
    fill_values,
    send_all_costs,
    send_none_costs,
    threshold,
    thresholds,
    usual_threshold,
)
from ctr_retrain.models.judging.metrics import measure
from ctr_retrain.models.recipe.channel_section import Cost, Linear, read_price

BID = Cost(true_positive="0.02 - value", false_positive=0.02)  # a click earns its bid: sent where p · value ≥ 0.02
PLAIN = Cost(true_positive=-0.98, false_positive=0.02)
ROWS = 40


@pytest.mark.parametrize(
    ("price", "read"),
    [
        (0.5, Linear(0.5, 0)),
        ("value", Linear(0, 1)),
        ("-value", Linear(0, -1)),
        ("0.02 - 0.8*value", Linear(0.02, -0.8)),
        (" -0.8 * value + 1e-3 ", Linear(0.001, -0.8)),
        ("value + value - 1", Linear(-1, 2)),
        ("2", Linear(2, 0)),
    ],
)
def test_a_price_is_a_number_or_a_sum_of_multiples_of_the_value(price, read):
    assert read_price(price) == pytest.approx(read)


@pytest.mark.parametrize(
    "price", ["", "bid", "value value", "value * 2", "2 value", "value / 2", "--value", "1 -", "∞"]
)
def test_any_other_price_is_refused_with_an_example(price):
    with pytest.raises(ValidationError, match=r'such as "0\.02 - value"'):
        Cost(true_positive=price, false_positive=0.02)


@pytest.mark.parametrize(
    "prices",
    [
        {"true_positive": "value", "false_positive": 0.02},  # what is clicked costs the more the dearer it is
        {"true_positive": "-value", "false_positive": "-value"},
        {"true_positive": "-value", "false_positive": 0.0},
    ],
)
def test_prices_that_leave_no_choice_at_any_value_are_refused(prices):
    with pytest.raises(ValidationError, match="otherwise no probability is worth a threshold"):
        Cost(**prices)


def test_a_dear_impression_is_sent_at_a_lower_probability():
    # 0.02 a send: at a bid of 1 from 2 % on, at 0.1 from 20 %, at 0.01 never, since a click earns less than it costs.
    assert thresholds(BID, np.array([1.0, 0.1, 0.01, 0.0])).tolist() == pytest.approx([0.02, 0.2, np.inf, np.inf])
    probability, channel = np.array([0.03, 0.03, 1.0]), np.full(3, "ad")
    value = np.array([1.0, 0.1, 0.01])
    assert decide(probability, channel, {"ad": BID}, value).tolist() == [True, False, False]
    assert decision_costs(np.ones(3), probability, channel, {"ad": BID}, value).tolist() == pytest.approx([-0.98, 0, 0])
    assert send_all_costs(np.ones(3), channel, {"ad": BID}, value).tolist() == pytest.approx([-0.98, -0.08, 0.01])
    assert send_none_costs(np.ones(3), channel, {"ad": BID}, value).tolist() == [0, 0, 0]


def test_what_a_bid_costs_raises_the_threshold():
    """A buyer pays the bid for each impression and earns 1 a click."""
    cost = Cost(true_positive="value - 1", false_positive="value")
    assert thresholds(cost, np.array([0.0, 0.02, 2.0])).tolist() == pytest.approx([0, 0.02, np.inf])


values = arrays(np.float64, ROWS, elements=st.floats(0, 5))
chances = arrays(np.float64, ROWS, elements=st.floats(0, 1))
labels = arrays(np.int64, ROWS, elements=st.integers(0, 1))


@settings(deadline=None)
@given(probability=chances, value=values)
def test_no_other_decision_is_expected_to_cost_less(probability, value):
    channel, costs = np.full(ROWS, "ad"), {"ad": BID}
    chosen, alls, nones = (
        sum(
            p * function(np.full(ROWS, y), *given, channel, costs, value)
            for y, p in ((1, probability), (0, 1 - probability))
        )
        for function, given in ((decision_costs, (probability,)), (send_all_costs, ()), (send_none_costs, ()))
    )
    assert (chosen <= np.minimum(alls, nones) + 1e-12).all()


@settings(deadline=None)
@given(label=labels, probability=chances, value=arrays(np.float64, ROWS, elements=st.just(1.0)))
def test_equal_values_are_as_good_as_a_price(label, probability, value):
    channel = np.full(ROWS, "ad")
    ours, theirs = (decision_costs(label, probability, channel, {"ad": cost}, value) for cost in (BID, PLAIN))
    assert ours == pytest.approx(theirs)


@settings(deadline=None)
@given(label=labels, ours=chances, theirs=chances, value=values)
def test_changed_decisions_cost_what_their_rows_cost(label, ours, theirs, value):
    channel, costs = np.full(ROWS, "ad"), {"ad": BID}
    changed = find_changed_decisions(label, ours, theirs, channel, costs, value)
    apart = decision_costs(label, ours, channel, costs, value) - decision_costs(label, theirs, channel, costs, value)
    assert sum(group.cost_delta(group.positives) for group in changed) == pytest.approx(apart.sum(), abs=1e-9)
    assert sum(group.rows for group in changed) == np.count_nonzero(
        decide(ours, channel, costs, value) != decide(theirs, channel, costs, value)
    )


def test_a_positive_that_was_not_seen_may_be_a_dear_one():
    """Two rows of 1 and 7 that the challenger leaves out: one unseen positive counts as much as their variance says."""
    value = np.array([1.02, 7.02])
    out, sent = np.zeros(2), np.ones(2)
    _, left_out = find_changed_decisions(np.zeros(2), out, sent, np.full(2, "ad"), {"ad": BID}, value)
    assert left_out.if_positive == pytest.approx(5)  # the root of (1² + 7²) / 2
    assert left_out.cost_delta(0) == pytest.approx(-0.04)


def test_a_curve_goes_through_the_cost_of_the_decisions_and_of_sending_all():
    rng = np.random.default_rng(1)
    label, probability, value = rng.integers(0, 2, 200), rng.random(200), rng.gamma(2, 0.1, 200)
    usual, channel = usual_threshold(BID, value), np.full(200, "ad")
    at, everything = cost_curve(label, probability, BID, np.array([usual, 0.0]), value)
    assert at == pytest.approx(1000 * decision_costs(label, probability, channel, {"ad": BID}, value).mean())
    assert everything == pytest.approx(1000 * send_all_costs(label, channel, {"ad": BID}, value).mean())


def test_metrics_name_the_threshold_of_the_mean_value():
    label, p, channel = np.array([1, 0]), np.array([0.5, 0.1]), np.array(["ad", "ad"])
    found = measure(label, p, channel, {"ad": BID}, np.array([0.5, 1.5]))
    assert found.threshold == {"ad": pytest.approx(threshold(BID, 1.0))}
    assert measure(label, p, channel, {"ad": BID}, np.zeros(2)).threshold == {"ad": 1.0}  # JSON has no infinity


def test_a_missing_value_counts_as_its_channels_mean():
    value, channel = np.array([1.0, np.nan, 3.0, np.nan]), np.array(["ad", "ad", "ad", "push"])
    assert fill_values(value, channel).tolist() == [1, 2, 3, 0]


def test_prices_that_name_the_value_need_it():
    with pytest.raises(ValueError, match="which a price names, received none"):
        decision_costs(np.ones(1), np.ones(1), np.array(["ad"]), {"ad": BID})
