"""Rules of the bounds of a number and of the knots between its pieces."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctr_retrain.models.features.number_knots import BINS, LARGEST, fit_bounds, fit_knots, still_fit

FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)
VALUES = st.lists(st.floats(width=32), max_size=60)


def column(*values):
    return np.array(values, np.float32)


def knots_of(sample, bins=BINS):
    return fit_knots(sample, fit_bounds(sample), bins)


@given(VALUES)
def test_knots_rise_are_finite_and_lie_within_the_bounds(values):
    sample = column(*values)
    low, high = fit_bounds(sample)
    knots = fit_knots(sample, (low, high))
    assert -LARGEST <= low <= high <= LARGEST
    assert len(knots) <= BINS + 1
    assert list(knots) == sorted(set(knots))
    if np.isfinite(sample).any():
        assert knots[0] == low
        assert knots[-1] == high
    else:
        assert knots == ()


@given(st.lists(FINITE, min_size=1, max_size=60), st.randoms())
def test_the_order_of_the_rows_does_not_matter(values, random):
    shuffled = random.sample(values, len(values))
    assert knots_of(column(*values)) == knots_of(column(*shuffled))


def test_few_values_have_a_knot_each():
    assert knots_of(column(3, 0, 1, 0, np.nan, 3)) == (0, 1, 3)
    assert knots_of(column(7, 7, np.inf)) == (7,)
    assert knots_of(column(np.nan, -np.inf)) == ()
    assert knots_of(column(-0.0, 0.0, -0.0)) == (0,)


def test_pieces_hold_about_as_many_rows_each():
    sample = np.random.default_rng(1).lognormal(size=100_000).astype(np.float32)
    inner = knots_of(sample)[1:-1]
    counts = np.bincount(np.searchsorted(inner, sample))
    assert len(inner) == BINS - 1
    assert counts.max() < 1.02 * counts.min()


def test_a_frequent_value_takes_one_knot_and_leaves_the_others_to_the_rest():
    rest = np.random.default_rng(1).uniform(1, 100, 5_000).astype(np.float32)
    knots = knots_of(np.concatenate([np.zeros(95_000, np.float32), rest]))
    assert len(knots) == BINS + 1
    assert knots[0] == 0
    assert np.diff(knots[2:-1]) == pytest.approx(99 / (BINS - 1), rel=0.2)


def test_outliers_are_left_out_of_the_bounds_and_what_recurs_is_not():
    sample = np.random.default_rng(1).uniform(0, 1, 20_000).astype(np.float32)
    typed = np.concatenate([sample, column(1e30, 3e38, -1e20)])
    assert -0.01 < fit_bounds(typed)[0] < fit_bounds(typed)[1] < 1.01
    coded = np.concatenate([sample, np.full(15, 9999, np.float32)])
    assert fit_bounds(coded)[1] == 9999
    rare = np.concatenate([np.zeros(100_000, np.float32), np.ones(12, np.float32)])
    assert knots_of(rare) == (0, 1)


def test_integers_that_a_float32_cannot_tell_apart_are_one_value():
    sample = np.array([2**53 + 1, 2**53 + 2, 2**53 + 2**40], np.float64).astype(np.float32)
    assert knots_of(sample) == (float(2**53), float(2**53 + 2**40))


def test_pieces_still_fit_a_window_that_is_much_the_same():
    rng = np.random.default_rng(1)
    first, second = (knots_of(rng.normal(5, 2, 20_000).astype(np.float32)) for _ in range(2))
    assert first != second
    assert still_fit(first, second)


@pytest.mark.parametrize("moved", [lambda x: x + 2, lambda x: 0.05 * x, lambda x: x - 2, lambda x: 3 * x])
def test_pieces_no_longer_fit_values_that_have_left_them_or_crowd_in_one(moved):
    sample = np.random.default_rng(1).uniform(0, 10, 20_000).astype(np.float32)
    assert not still_fit(knots_of(sample), knots_of(moved(sample)))


def test_no_pieces_fit_no_values_alone():
    assert still_fit((), ())
    assert not still_fit((), (1.0,))
    assert still_fit((0.0, 1.0), (1.0,))
    assert still_fit((0.0, 1.0), ())
