"""Rules of row weights and of the offset that inverts them."""

import json
from datetime import date, timedelta
from math import log

import numpy as np
import pytest

from ctr_retrain.models.errors import DataRejectedError, UsageError
from ctr_retrain.models.recipe.weights_section import Weights
from ctr_retrain.models.weights.class_balance import kish_sample_size
from ctr_retrain.models.weights.row_weights import ClassMass, Factors, compute_factors

CUT = date(2026, 3, 8)
WEEK_AGO = CUT - timedelta(days=7)
DAYS = (WEEK_AGO, CUT)  # with a half-life of 7 days: recency 1/2 and 1


def mass(*rows):
    day, label, confidence, count = zip(*rows, strict=True)
    return ClassMass(np.array(day), np.array(label), np.array(confidence, float), np.array(count))


def factors_of(*rows, days=DAYS, **weights):
    return compute_factors(days, days[-1], mass(*rows), Weights(**{"half_life_days": 7} | weights))


# 80 negatives and 20 positives a week ago, 40 negatives and 10 positives on the cut, weighing 40, 10, 40, 10.
FOUR_CELLS = ((0, 0, 1, 80), (0, 1, 1, 20), (1, 0, 1, 40), (1, 1, 1, 10))
DAY, LABEL, ROWS = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), np.array([80, 20, 40, 10])


def test_recency_halves_with_each_half_life():
    days = tuple(CUT - timedelta(days=age) for age in (14, 7, 1, 0))
    assert factors_of((0, 0, 1, 1), days=days).recency == pytest.approx((1 / 4, 1 / 2, 2 ** (-1 / 7), 1))


def test_balanced_weights_are_scikit_learns_formula_on_the_mass_after_recency():
    # 100 in all, 80 of negatives and 20 of positives: 100 / (2 · 80) and 100 / (2 · 20)
    assert factors_of(*FOUR_CELLS).class_weight == pytest.approx((0.625, 2.5))
    young = factors_of((0, 0, 1, 100), (1, 1, 1, 50))  # both classes of mass 50, though not of equal counts
    assert young.class_weight == pytest.approx((1, 1))


def test_balanced_classes_get_equal_shares():
    assert factors_of(*FOUR_CELLS).class_shares == pytest.approx((0.5, 0.5))


def test_class_power_draws_class_weights_towards_1():
    assert factors_of(*FOUR_CELLS, class_power=0.5).class_weight == pytest.approx((0.625**0.5, 2.5**0.5))
    assert factors_of(*FOUR_CELLS, class_power=0).class_weight == (1, 1)


def test_class_weights_can_be_given_and_what_is_not_given_is_1():
    assert factors_of(*FOUR_CELLS, class_weight={"1": 9}).class_weight == (1, 9)
    assert factors_of(*FOUR_CELLS, class_weight={"0": 4, "1": 9}, class_power=0.5).class_weight == (2, 3)


def test_without_class_weights_recency_alone_weighs():
    factors = factors_of(*FOUR_CELLS, class_weight="none")
    # weights 1/2 and 1, Σ 100 over 150 rows: scaled by 1.5
    assert factors.weight(DAY, LABEL).tolist() == [0.75, 0.75, 1.5, 1.5]
    assert not factors.offset(DAY).any()


def test_weights_have_mean_1_over_the_training_rows():
    rows = ((0, 0, 0.5, 80), (0, 1, 0.5, 20), (1, 0, 1, 40), (1, 1, 1, 10))
    confidence = np.array([0.5, 0.5, 1, 1])
    for options in ({}, {"cap": 0.7}, {"class_weight": {"1": 30}}):
        weight = factors_of(*rows, **options).weight(DAY, LABEL, confidence)
        assert weight @ ROWS / ROWS.sum() == pytest.approx(1)


def test_cap_cuts_the_product_before_it_is_normalised():
    factors = factors_of(*FOUR_CELLS, class_weight={"1": 4}, cap=3)
    # products 1/2, 2, 1, 4; capped 1/2, 2, 1, 3; Σ over rows 40 + 40 + 40 + 30 = 150 over 150 rows: scale 1
    assert factors.weight(DAY, LABEL).tolist() == [0.5, 2, 1, 3]


def test_confidence_multiplies_the_weight():
    factors = factors_of((0, 0, 0.5, 80), (1, 0, 1, 60), class_weight="none")
    # 1/2 · 1/2 · 80 + 60 = 80 over 140 rows: scale 1.75
    weight = factors.weight(np.array([0, 1]), np.array([0, 0]), np.array([0.5, 1], np.float32))
    assert weight.tolist() == [0.4375, 1.75]


def test_offset_is_the_log_ratio_of_the_classes_weights():
    assert factors_of(*FOUR_CELLS).offset(DAY) == pytest.approx([log(4)] * 4)


def test_offset_is_taken_after_the_cap_and_so_differs_by_day():
    offset = factors_of(*FOUR_CELLS, class_weight={"1": 4}, cap=3).offset(np.array([0, 1]))
    assert offset == pytest.approx([log(2 / 0.5), log(3 / 1)])  # only the newer positives reach the cap
    offset = factors_of(*FOUR_CELLS, class_weight={"1": 4}, cap=0.5).offset(np.array([0, 1]))
    assert offset.tolist() == [0, 0]  # all rows reach it


def test_offset_feels_the_confidence_where_it_decides_about_the_cap():
    factors = factors_of(*FOUR_CELLS, class_weight={"1": 4}, cap=3)
    assert factors.offset(np.array([1, 1]), np.array([1, 0.5])) == pytest.approx([log(3), log(2 / 0.5)])


def test_offset_can_be_turned_off():
    assert factors_of(*FOUR_CELLS, offset=False).offset(DAY).tolist() == [0, 0, 0, 0]


def test_base_log_odds_are_of_the_world_that_the_network_learns():
    assert factors_of(*FOUR_CELLS).base_log_odds == pytest.approx(log(20.5 / 80.5))  # recency alone
    assert factors_of(*FOUR_CELLS, offset=False).base_log_odds == pytest.approx(0)  # balanced


def test_kish_sample_size_by_hand():
    assert kish_sample_size(np.array([1.0, 3.0]), np.array([2, 1])) == pytest.approx((2 + 3) ** 2 / (2 + 9))
    assert kish_sample_size(np.array([0.3]), np.array([7])) == pytest.approx(7)
    assert kish_sample_size(np.array([]), np.array([], int)) == 0


def test_effective_positives_know_recency_alone():
    factors = factors_of(*FOUR_CELLS, class_weight={"1": 1000})
    assert factors.effective_positives == pytest.approx((20 / 2 + 10) ** 2 / (20 / 4 + 10))
    assert factors.rows == 150


def test_shares_by_day_and_class_add_up():
    factors = factors_of((0, 0, 1, 60), (1, 0, 1, 60), (1, 1, 1, 10), class_weight="none")  # masses 30, 60, 10
    assert factors.day_shares == pytest.approx((0.3, 0.7))
    assert factors.class_shares == pytest.approx((0.9, 0.1))


@pytest.mark.parametrize("bad", [0.0, -0.1, 1.1, float("nan")])
def test_confidence_out_of_range_is_refused(bad):
    with pytest.raises(DataRejectedError, match=r"confidence: expected values in \(0, 1\]"):
        factors_of((0, 0, 1, 10), (0, 1, bad, 10))


def test_confidence_that_tells_the_label_is_refused():
    with pytest.raises(DataRejectedError, match=r"not to depend on the label, received a mean of 0\.4 for positives"):
        factors_of((0, 0, 0.9, 500), (0, 0, 0.8, 500), (0, 1, 0.4, 50))


def test_confidence_that_differs_little_or_by_chance_is_taken():
    factors_of((0, 0, 0.9, 5000), (0, 1, 0.8, 5000))  # sure, but a ratio of 1.125
    factors_of((0, 0, 0.5, 500), (0, 0, 1, 500), (0, 1, 0.5, 29))  # too few positives to tell
    factors_of((0, 0, 0.2, 500), (0, 0, 1, 500), (0, 1, 0.2, 12), (0, 1, 1, 28))  # 0.76 against 0.6: z = 2.5


def test_no_rows_are_refused():
    with pytest.raises(DataRejectedError, match="expected at least one, received none"):
        factors_of((0, 0, 1, 0))


def test_positives_alone_are_refused_in_words():
    with pytest.raises(DataRejectedError, match="expected negatives too, received 30 positives only"):
        factors_of((0, 1, 1, 30))


def test_no_positives_leave_the_classes_alone_and_count_0():
    factors = factors_of((0, 0, 1, 100), (1, 0, 1, 100))
    assert factors.class_weight == (1, 1)
    assert factors.effective_positives == 0
    assert factors.base_log_odds == pytest.approx(log(0.5 / 150.5))
    assert not factors.offset(DAY).any()


def test_a_half_life_that_leaves_nothing_of_the_oldest_day_is_refused():
    factors_of(*FOUR_CELLS, half_life_days=0.07)  # 100 half-lives
    with pytest.raises(UsageError, match=r"half_life_days: expected at least 0.07 for 2 days of training.*0\.05"):
        factors_of(*FOUR_CELLS, half_life_days=0.05)


def test_factors_come_back_from_json_as_they_were():
    for options in ({}, {"cap": 2.5}):
        factors = factors_of(*FOUR_CELLS, **options)
        assert Factors.from_json(json.loads(json.dumps(factors.to_json(), allow_nan=False))) == factors


def optimum(weight, offset, x, label, rows):
    """Intercept and slope that minimise Σ rows · weight · log loss(σ(intercept + slope · x + offset), label)."""
    columns, beta = np.stack([np.ones(len(x)), x]), np.zeros(2)
    for _ in range(60):  # of Newton's steps, none so long that it leaps over the minimum
        p = 1 / (1 + np.exp(-(beta @ columns + offset)))
        weighted = rows * weight
        step = np.linalg.solve((columns * weighted * p * (1 - p)) @ columns.T, columns @ (weighted * (p - label)))
        beta -= np.clip(step, -1, 1)
    return beta


def rare_clicks():
    """Cells of day × feature × label: 1 % positives where x = 0, 4 % where x = 1, each day alike."""
    cells = [(d, x, y) for d in (0, 1) for x in (0, 1) for y in (0, 1)]
    day, x, label = np.array(cells).T
    rate = np.where(x == 1, 0.04, 0.01)
    rows = np.round(10_000 * np.where(label == 1, rate, 1 - rate)).astype(int)
    return day, x, label, rows


@pytest.mark.parametrize(("cap", "offsets"), [(0, 1), (8, 2), (0.4, 2)])
def test_offset_takes_balanced_weights_out_of_the_probabilities_exactly(cap, offsets):
    day, x, label, rows = rare_clicks()
    factors = compute_factors(DAYS, CUT, ClassMass(day, label, np.ones(8), rows), Weights(half_life_days=7, cap=cap))
    assert len(set(factors.offset(day).tolist())) == offsets  # a cap makes it differ by day
    intercept, slope = optimum(factors.weight(day, label), factors.offset(day), x, label, rows)
    assert intercept == pytest.approx(log(0.01 / 0.99), abs=1e-4)
    assert intercept + slope == pytest.approx(log(0.04 / 0.96), abs=1e-4)


def test_without_offset_balanced_weights_overstate_rare_clicks_manyfold():
    day, x, label, rows = rare_clicks()
    factors = compute_factors(
        DAYS, CUT, ClassMass(day, label, np.ones(8), rows), Weights(half_life_days=7, offset=False)
    )
    intercept, slope = optimum(factors.weight(day, label), factors.offset(day), x, label, rows)
    probability = 1 / (1 + np.exp(-(intercept + slope * x)))
    assert (rows @ probability) / (rows @ label) > 5


def test_weights_stay_raw_where_the_recipe_says_so_and_their_mean_is_known():
    factors = factors_of(*FOUR_CELLS, class_weight={"1": 4}, normalise=False)
    assert factors.weight(DAY, LABEL).tolist() == [0.5, 2, 1, 4]
    assert factors.mean_weight == pytest.approx((40 + 40 + 40 + 40) / 150)
    assert factors.offset(DAY) == pytest.approx(factors_of(*FOUR_CELLS, class_weight={"1": 4}).offset(DAY))
    assert factors_of(*FOUR_CELLS, class_weight={"1": 4}).mean_weight == 1
