"""Rules of paired differences with several seeds, and of Holm's correction, by numbers computed by hand."""

from math import atan, inf, pi

import numpy as np
import pytest

from ctr_retrain.models.trials.differences import Difference, holm, paired_difference

STANDARD = np.array([-1.0, 1.0]) / 2**0.5  # draws with a standard deviation of 1


def test_holm_multiplies_the_smallest_p_by_all_the_next_by_one_less_and_never_falls():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


def test_one_seed_has_the_normal_interval_of_the_draws():
    found = paired_difference(np.array([1.96]), STANDARD, 0.95)
    assert (found.low, found.high) == pytest.approx((0.0, 3.92), abs=1e-3)
    assert found.p == pytest.approx(0.05, abs=1e-4)


def test_seeds_alone_have_students_interval():
    found = paired_difference(np.array([1.0, 3.0]), np.zeros(2), 0.95)  # s² / 2 = 1, one degree of freedom
    assert (found.value, found.low, found.high) == pytest.approx((2.0, 2 - 12.706, 2 + 12.706), abs=1e-3)
    assert found.p == pytest.approx(1 - 2 * atan(2) / pi)  # Cauchy


def test_the_variances_of_rows_and_seeds_add_up():
    found = paired_difference(np.array([1.0, 3.0]), STANDARD, 0.95)  # variance 1 + 1, (1 + 1)² / 1² = 4 degrees
    assert found.high - found.value == pytest.approx(2.776 * 2**0.5, abs=1e-3)


def test_the_rows_error_is_never_taken_for_less_than_exact_counts_allow():
    found = paired_difference(np.array([0.0]), np.zeros(2), 0.95, least_error=1.0)
    assert (found.low, found.high) == pytest.approx((-1.96, 1.96), abs=1e-3)


def test_nothing_that_differs_has_p_of_one_and_a_difference_without_an_error_proves_nothing():
    assert paired_difference(np.zeros(3), np.zeros(2), 0.95) == Difference(0.0, 0.0, 0.0, 1.0)
    unknown = paired_difference(np.ones(3), np.zeros(2), 0.95)
    assert (unknown.low, unknown.high, unknown.p) == (-inf, inf, 1.0)
    assert unknown.to_part().limits == (-inf, inf)
    assert unknown.to_part().to_json() == {"value": 1.0, "low": None, "high": None, "p": 1.0}
