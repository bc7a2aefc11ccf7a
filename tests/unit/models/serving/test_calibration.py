"""Rules of calibration."""

import json
from math import log

import numpy as np
import pytest

from ctr_retrain.models.errors import DataRejectedError
from ctr_retrain.models.serving.calibration import Calibration, choose_calibration, fit_calibration, fit_layer


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def rows_with(positives, *, negatives_each=9, seed=1):
    """Logits of which positives' are 1 higher on average, exactly so many positives."""
    rng = np.random.default_rng(seed)
    label = np.repeat([1, 0], [positives, positives * negatives_each])
    return rng.normal(label - 1.0, 1).astype(np.float32), label


def bent(logit):
    """A truth that no straight line meets."""
    return np.where(logit < -2, 0.3 * logit - 1.4, 1.2 * logit + 0.4)


def bent_rows(rows):
    rng = np.random.default_rng(5)
    logit = rng.normal(-2, 1.5, rows)
    return logit, rng.random(rows) < sigmoid(bent(logit))


def shuffled(logit, label, seed=3):
    order = np.random.default_rng(seed).permutation(len(label))
    return logit[order], label[order]


@pytest.mark.parametrize(
    ("positives", "method"),
    [(1, "intercept"), (199, "intercept"), (200, "platt"), (4999, "platt"), (5000, "isotonic")],
)
def test_the_method_is_as_rich_as_the_positives_allow(positives, method):
    calibration = fit_calibration(*rows_with(positives))
    assert calibration.method == method
    assert (calibration.rows, calibration.positives) == (10 * positives, positives)


def test_isotonic_makes_the_sums_agree_on_its_rows():
    logit, label = rows_with(6000)
    assert fit_calibration(logit, label).apply(logit).sum() == pytest.approx(6000, rel=1e-8)


def test_intercept_of_equal_logits_by_hand():
    calibration = fit_calibration(np.full(10, 2.0), np.repeat([1, 0], [1, 9]))
    assert calibration.values == pytest.approx((log(1 / 9) - 2,))


def test_a_level_is_drawn_back_by_its_own_error_by_hand():
    """Ten rows of one day at a tenth: the variance is 1 / (10 · 0.1 · 0.9), the prior's 1 / 25."""
    label, day = np.repeat([1, 0], [1, 9]), np.zeros(10, int)
    near = fit_layer(np.full(10, log(1 / 9) + 0.5), label, day, "intercept")
    assert near.values == pytest.approx((-0.5 / 25 / (1 / 25 + 1 / 0.9),))
    far = fit_layer(np.full(10, log(1 / 9) + 5), label, day, "intercept")
    assert far.values == pytest.approx((-5 + 0.9**-0.5,))  # a standard error short of what the rows say


def test_a_level_that_differs_between_days_is_taken_for_less():
    """The same rows with all positives of one day: as if one coin were thrown for each of them."""
    logit, label = np.full(1000, -2.0), np.arange(1000) < 300
    mixed, apart = (
        fit_layer(logit, label, day, "intercept").values[0] for day in (np.arange(1000) % 5, np.arange(1000) // 200)
    )
    full = fit_calibration(logit, label).values[0]
    assert 0.8 * full < mixed < full
    assert 0 < apart < 0.5 * mixed


@pytest.mark.parametrize("positives", [190, 1000, 6000])
def test_of_many_positives_hardly_anything_is_taken_off(positives):
    logit, label = shuffled(*rows_with(positives))
    layer = fit_layer(logit - 1, label, np.arange(len(label)) % 7, "isotonic")
    assert layer.apply(logit - 1).sum() == pytest.approx(positives, rel=0.15 if positives == 190 else 0.04)


def test_the_level_alone_is_drawn_back_and_ranks_and_slopes_stay():
    logit, label = shuffled(*rows_with(1000))
    full, drawn = fit_calibration(logit, label), fit_layer(logit, label, np.arange(len(label)) % 7, "isotonic")
    assert drawn.slope == full.slope
    assert np.ptp(full.line(logit) - drawn.line(logit)) < 1e-12


def test_intercept_is_found_however_far_it_is():
    logit, label = rows_with(100)
    for shift in (-400.0, 400.0):
        calibration = fit_calibration(logit.astype(float) + shift, label)
        assert calibration.values[0] + shift == pytest.approx(fit_calibration(logit, label).values[0], abs=0.02)
    assert np.isfinite(fit_calibration(np.where(label, 1e6, -1e6), label).values[0])


def test_platt_recovers_slope_and_intercept():
    rng = np.random.default_rng(4)
    logit = rng.normal(-2, 1.5, 20_000)
    label = rng.random(20_000) < sigmoid(0.7 * logit - 0.4)
    calibration = fit_calibration(logit, label)
    assert calibration.method == "platt"
    assert calibration.slope == pytest.approx(0.7, abs=0.06)  # standard errors 0.02 and 0.05
    assert calibration.values[0] == pytest.approx(-0.4, abs=0.15)


def test_isotonic_recovers_a_bend_that_platt_cannot():
    logit, label = bent_rows(200_000)
    calibration = fit_calibration(logit, label)
    grid = np.linspace(-4, 1, 11)
    assert calibration.method == "isotonic"
    assert np.abs(calibration.line(grid) - bent(grid)).max() < 0.3


@pytest.mark.parametrize("positives", [20, 1000, 6000])
def test_ranks_are_kept(positives):
    calibration = fit_calibration(*rows_with(positives))
    grid = np.linspace(-12, 10, 2001)
    assert (np.diff(calibration.line(grid)) > 0).all()
    assert (np.diff(calibration.apply(grid)) >= 0).all()


def test_every_knot_of_the_isotonic_curve_has_evidence_behind_it():
    logit, label = rows_with(6000)
    calibration = fit_calibration(logit, label)
    assert 10 < len(calibration.knots) <= 6000 / 50
    assert np.diff(calibration.knots).min() >= 0.01


def test_a_curve_goes_straight_between_its_knots_and_with_its_slope_beyond():
    curve = Calibration(method="isotonic", rows=0, positives=0, knots=(0.0, 2.0), values=(1.0, 5.0))
    assert curve.line(np.array([-1.0, 0.0, 1.0, 2.0, 4.0])).tolist() == [0, 1, 3, 5, 7]
    assert curve.slopes == (1, 2, 1)


@pytest.mark.parametrize("label", [[], [0, 0, 0], [1, 1]])
def test_one_class_alone_fits_nothing(label):
    calibration = fit_calibration(np.zeros(len(label)), np.array(label))
    assert calibration.method == "identity"
    assert calibration.line(np.array([-3.0, 0.5])).tolist() == [-3, 0.5]


@pytest.mark.parametrize("positives", [300, 6000])
def test_equal_logits_get_the_positive_ratio(positives):
    label = np.repeat([1, 0], [positives, 9 * positives])
    calibration = fit_calibration(np.full(len(label), np.float32(-3.3)), label)
    assert calibration.apply(np.array([np.float32(-3.3)]))[0] == pytest.approx(0.1, rel=0.005)
    assert calibration.apply(np.array([-3.2]))[0] < 0.12  # no step off a cliff


def test_a_ranking_worse_than_chance_is_not_turned_around():
    logit, label = rows_with(300)
    calibration = fit_calibration(-logit, label)
    assert (calibration.method, calibration.slope) == ("intercept", 1)
    backwards = fit_calibration(*[part * sign for part, sign in zip(rows_with(6000), (-1, 1), strict=True)])
    assert (backwards.method, len(backwards.knots)) == ("isotonic", 1)  # the flat curve, with slope 1


@pytest.mark.parametrize("positives", [300, 6000])
def test_classes_that_a_logit_separates_get_finite_values(positives):
    label = np.repeat([1, 0], positives)
    calibration = fit_calibration(np.where(label, 2.0, -2.0), label)
    low, high = calibration.apply(np.array([-2.0, 2.0]))
    assert 0 < low <= high < 1


@pytest.mark.parametrize(
    ("rows", "method"),
    [(rows_with(100), "intercept"), (rows_with(1000), "platt"), (bent_rows(60_000), "isotonic")],
)
def test_a_layer_that_helps_rows_it_was_not_fitted_on_is_kept(rows, method):
    logit, label = shuffled(*rows)
    day = np.arange(len(label)) * 7 // len(label)
    calibration = choose_calibration(logit, label, day)
    assert (calibration.method, calibration.dropped) == (method, ())
    assert calibration.held_out_gain > 0.01
    assert calibration.values == fit_layer(logit, label, day, method).values


def test_a_richer_layer_is_chosen_only_where_it_predicts_held_out_rows_better():
    """The network is off by a constant alone: a slope of its own is another number to get wrong."""
    rng = np.random.default_rng(4)
    logit = rng.normal(-2, 1, 40_000)
    label = rng.random(40_000) < sigmoid(logit + 1)
    calibration = choose_calibration(logit, label, np.arange(40_000) // 5000)
    assert calibration.method == "intercept"
    assert calibration.dropped == ("isotonic", "platt")
    assert calibration.values[0] == pytest.approx(1, abs=0.05)


def test_a_layer_that_makes_held_out_rows_worse_is_dropped_for_a_simpler_one():
    """Levels differ from block to block: what is learnt on four of them is wrong on the fifth."""
    rng = np.random.default_rng(8)
    logit = rng.normal(-2, 1, 4000)
    level = np.where(np.arange(4000) % 1600 < 800, 1.0, -1.2)  # each block's own
    label = (rng.random(4000) < sigmoid(logit + level)).astype(np.uint8)
    calibration = choose_calibration(logit, label, np.arange(4000) // 800)
    assert calibration.method == "identity"
    assert calibration.dropped == ("platt", "intercept")
    assert calibration.held_out_gain is None
    assert (calibration.rows, calibration.positives) == (4000, label.sum())


def test_right_probabilities_are_hardly_ever_moved_by_few_positives():
    rng = np.random.default_rng(9)
    moved = []
    for _ in range(40):
        logit = rng.normal(-4, 1, 1500)
        moved.append(choose_calibration(logit, rng.random(1500) < sigmoid(logit), np.arange(1500) // 300).values[0])
    assert np.median(np.abs(moved)) < 0.08  # of ±0.15 that an intercept by itself is off
    assert np.std(moved) < 0.8 * 1500**-0.5 / 0.03**0.5  # of an intercept by itself


@pytest.mark.parametrize("label", [[], [0, 0, 0], [1, 1]])
def test_of_one_class_alone_nothing_is_chosen(label):
    calibration = choose_calibration(np.zeros(len(label)), np.array(label), np.zeros(len(label), int))
    assert (calibration.method, calibration.dropped) == ("identity", ())


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_logits_that_are_no_numbers_are_refused(bad):
    with pytest.raises(DataRejectedError, match="expected finite logits, received 1 of 3 that aren't"):
        fit_calibration(np.array([0.0, bad, 1.0]), np.array([0, 1, 0]))


def test_no_probability_is_0_or_1():
    probability = Calibration(method="identity", rows=0, positives=0).apply(
        np.array([-1e30, -100.0, 100.0, 1e30], np.float32)
    )
    assert (probability > 0).all()
    assert (probability < 1).all()


def test_a_logit_that_is_no_number_is_answered_with_none():
    assert np.isnan(Calibration(method="identity", rows=0, positives=0).apply(np.array([np.nan]))[0])


@pytest.mark.parametrize("positives", [20, 1000, 6000])
def test_a_calibration_comes_back_from_json_as_it_was(positives):
    calibration = fit_calibration(*rows_with(positives))
    assert Calibration.from_json(json.loads(json.dumps(calibration.to_json(), allow_nan=False))) == calibration
