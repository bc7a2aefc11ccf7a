"""Rules of the benchmark's standard errors: rows of a cluster are one observation, differences are paired."""

import numpy as np
import pytest

from tests.benchmarks.clustered import draw, losses


def test_rows_of_their_own_have_the_standard_error_of_their_mean():
    value = np.random.default_rng(1).normal(3.0, 2.0, 4000)
    assert draw(np.arange(4000)).error_of_mean(value) == pytest.approx(2.0 / np.sqrt(4000), rel=0.1)


def test_copies_of_a_row_in_its_cluster_tell_nothing_new():
    value = np.random.default_rng(1).normal(3.0, 2.0, 500)
    single = draw(np.arange(500)).error_of_mean(value)
    assert draw(np.repeat(np.arange(500), 4)).error_of_mean(np.repeat(value, 4)) == pytest.approx(single)


def test_the_interval_of_a_ratio_of_equal_totals_is_a_point():
    label = np.array([0, 1, 1, 0])
    assert draw(np.arange(4)).interval_of_ratio(label, label) == (1.0, 1.0)


def test_log_loss_of_certainty_that_is_wrong_is_finite():
    assert losses(np.array([1, 0]), np.array([0.0, 0.5])) == pytest.approx([-np.log(1e-7), np.log(2)])
