"""Rules of decision costs."""

import numpy as np
import pytest

from ctr_retrain.models.judging.costs import (
    cost_curve,
    cost_per_1000,
    decision_costs,
    send_all_costs,
    send_none_costs,
    threshold,
)
from ctr_retrain.models.recipe.channel_section import Cost

AD = Cost(true_positive=-0.98, false_positive=0.02)  # an impression costs 0.02, a click earns 1: t* = 0.02
PUSH = Cost(true_positive=-1, false_positive=1, true_negative=-0.5, false_negative=0.5)  # t* = 1.5 / (1.5 + 1.5)
COSTS = {"ad": AD, "push": PUSH}

LABEL = np.array([1, 0, 1, 0, 1, 0])
PROBABILITY = np.array([0.5, 0.02, 0.01, 0.01, 0.9, 0.1])
CHANNEL = np.array(["ad", "ad", "ad", "ad", "push", "push"])


def test_threshold_is_where_sending_and_not_sending_cost_the_same():
    for cost in (AD, PUSH):
        t = threshold(cost)
        sent = t * cost.true_positive + (1 - t) * cost.false_positive
        unsent = t * cost.false_negative + (1 - t) * cost.true_negative
        assert sent == pytest.approx(unsent)
    assert threshold(AD) == pytest.approx(0.02)
    assert threshold(PUSH) == pytest.approx(0.5)


def test_each_row_costs_what_its_outcome_costs_in_its_channel():
    row_costs = decision_costs(LABEL, PROBABILITY, CHANNEL, COSTS)
    assert row_costs.tolist() == [-0.98, 0.02, 0.0, 0.0, -1.0, -0.5]


def test_a_probability_at_the_threshold_is_sent():
    t = threshold(AD)
    row_costs = decision_costs(np.array([1, 1]), np.array([t, np.nextafter(t, 0)]), np.array(["ad", "ad"]), COSTS)
    assert row_costs.tolist() == [-0.98, 0.0]


def test_a_probability_that_is_not_a_number_costs_no_number():
    row_costs = decision_costs(np.array([0, 0]), np.array([np.nan, 0.0]), np.array(["ad", "ad"]), COSTS)
    assert np.isnan(row_costs[0])
    assert row_costs[1] == 0
    assert cost_per_1000(row_costs) is None


def test_a_channel_without_a_cost_is_refused_by_name():
    with pytest.raises(ValueError, match=r"expected one of \['ad', 'push'\], received \['sms'\]"):
        decision_costs(np.array([1]), np.array([0.5]), np.array(["sms"]), COSTS)


def test_send_all_and_send_none_ignore_the_model():
    assert send_all_costs(LABEL, CHANNEL, COSTS).tolist() == [-0.98, 0.02, -0.98, 0.02, -1.0, 1.0]
    assert send_none_costs(LABEL, CHANNEL, COSTS).tolist() == [0.0, 0.0, 0.0, 0.0, 0.5, -0.5]


def test_cost_per_1000_is_the_mean_times_1000_and_nothing_without_rows():
    assert cost_per_1000(np.array([-0.98, 0.02, 0.0, 0.0])) == pytest.approx(-240)
    assert cost_per_1000(np.array([])) is None


def test_cost_curve_at_a_threshold_is_the_cost_of_deciding_by_it():
    label, probability = LABEL[:4], PROBABILITY[:4]
    curve = cost_curve(label, probability, AD, np.array([0.0, 0.01, 0.02, 0.3, 1.0]))
    # all four sent; all four (0.01 reaches 0.01); the upper two; the first; none
    expected = [1000 * total / 4 for total in (-1.92, -1.92, -0.96, -0.98, 0.0)]
    assert curve == pytest.approx(expected)
    by_row = decision_costs(label, probability, CHANNEL[:4], COSTS)
    assert curve[2] == pytest.approx(cost_per_1000(by_row))


def test_cost_curve_without_rows_has_no_cost():
    assert np.isnan(cost_curve(np.array([]), np.array([]), AD, np.array([0.1, 0.2]))).all()
