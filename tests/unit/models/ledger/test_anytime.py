"""Rules of evidence that may be looked at every night."""

from math import exp, log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from ctr_retrain.models.ledger.anytime import anytime_half_width, e_value

SMALL = st.floats(0.01, 100)


@given(st.floats(-6, 6), SMALL, SMALL)
def test_the_evidence_is_the_mean_likelihood_ratio_over_gains_drawn_from_half_a_normal(surprise, variance, prior):
    """Whose standard deviation is 1/√prior of a gain a unit of variance: the ratio at a mean m is exp(m·S − m²·V/2)."""
    gain, deviation = surprise * sqrt(variance), 1 / sqrt(prior)

    def weighed(mean):
        exponent = mean * gain - mean**2 * variance / 2 - mean**2 / (2 * deviation**2)
        return 2 / (deviation * sqrt(2 * np.pi)) * exp(exponent)

    centre = gain / (variance + prior)
    width = 1 / sqrt(variance + prior)
    expected, _ = quad(weighed, 0, max(centre, 0) + 12 * width, points=[max(centre, 0)], limit=200)
    assert e_value(gain, variance, prior) == pytest.approx(expected, rel=1e-6)


def test_without_any_variance_there_is_no_evidence():
    assert e_value(0.0, 0.0, 0.0) == 0
    assert anytime_half_width(0.0, 0.0, 0.05) == 0


def test_a_huge_gain_is_a_finite_number():
    assert np.isfinite(e_value(1e9, 1.0, 1.0))


@given(SMALL, SMALL, st.floats(0.001, 0.5))
def test_the_interval_ends_where_the_mixture_over_both_signs_reaches_one_over_the_error(variance, prior, error):
    half = anytime_half_width(variance, prior, error)
    whole = variance + prior
    mixture = 0.5 * log(prior / whole) + half**2 / (2 * whole)
    assert mixture == pytest.approx(-log(error), rel=1e-9)


def test_over_a_thousand_nights_the_interval_leaves_the_truth_out_in_no_more_walks_than_its_error():
    walks = np.cumsum(np.random.default_rng(1).normal(size=(2000, 1000)), axis=1)
    nights = np.arange(1, 1001)
    half = np.array([anytime_half_width(float(night), 1.0, 0.1) for night in nights])
    assert (np.abs(walks) > half).any(axis=1).mean() <= 0.1


def test_over_a_thousand_nights_a_worthless_change_is_shown_no_more_often_than_its_error():
    walks = np.cumsum(np.random.default_rng(2).normal(size=(1000, 1000)), axis=1)
    highest = [max(e_value(walk[night], night + 1.0, 8.0) for night in range(0, 1000, 7)) for walk in walks[:200]]
    assert np.mean(np.array(highest) >= 20) <= 0.1
