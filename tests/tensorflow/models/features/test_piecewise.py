"""Rules of numbers in pieces: encoded columns that are finite whatever comes, and weights that are linear in them."""

from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctr_retrain.models.feature_kinds.numeric import Numeric
from ctr_retrain.models.features.number_knots import BINS
from ctr_retrain.models.features.piecewise import COLUMNS, NumberPieces, PiecewiseNumbers
from ctr_retrain.models.features.standardize import CLIP, NumericState, StandardizedNumbers, fit_numeric_state

AGE, BID = Numeric(name="age"), Numeric(name="bid", transform="log")
PLAIN = Numeric(name="plain", encoding="standardized")
ANY = st.lists(st.one_of(st.floats(width=32), st.sampled_from([0.0, -0.0, 1.0, 3e38, -3e38])), max_size=40)


def column(*values):
    return np.array(values, np.float32)[:, None]


def pieces(train, asked, feature=AGE):
    """Encoded columns of one number, (rows, COLUMNS), fitted on other rows."""
    state = fit_numeric_state([train], (feature,))
    return NumberPieces(asdict(state))(asked).numpy()[0]


@settings(deadline=None)
@given(ANY, ANY, st.sampled_from([AGE, BID]))
def test_each_column_lies_between_0_and_1_whatever_was_seen_and_whatever_comes(seen, asked, feature):
    encoded = pieces(column(*seen), column(*asked, np.nan, np.inf, -np.inf, 1e38), feature)
    assert np.isfinite(encoded).all()
    assert encoded.min() >= 0
    assert encoded.max() <= 1


@settings(deadline=None)
@given(ANY, ANY)
def test_a_standardised_number_is_finite_whatever_was_seen_and_whatever_comes(seen, asked):
    state = fit_numeric_state([column(*seen)], (PLAIN,))
    encoded = StandardizedNumbers(asdict(state))(column(*asked, np.nan, np.inf, -np.inf)).numpy()
    assert np.isfinite(encoded).all()
    assert np.abs(encoded[:, 0]).max(initial=0) <= CLIP


@settings(deadline=None)
@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=40), st.sampled_from([AGE, BID]))
def test_a_larger_number_has_no_smaller_column(seen, feature):
    train = column(*seen)
    encoded = pieces(train, np.sort(train, axis=0), feature)
    assert (np.diff(encoded, axis=0) >= -1e-6).all()
    assert encoded[-1, 2 : 1 + len(np.unique(train))] == pytest.approx(1, abs=1e-5) or len(np.unique(train)) > BINS


def test_columns_are_those_of_piecewise_linear_encoding():
    train = column(0, 10, 20, 40)
    encoded = pieces(train, column(0, 5, 10, 25, 40, np.nan))
    assert encoded[:, :5] == pytest.approx(
        np.array(
            [
                # missing, there, and the shares of 0 to 10, of 10 to 20, of 20 to 40
                [0, 1, 0, 0, 0],
                [0, 1, 0.5, 0, 0],
                [0, 1, 1, 0, 0],
                [0, 1, 1, 1, 0.25],
                [0, 1, 1, 1, 1],
                [1, 0, 0, 0, 0],
            ]
        )
    )
    assert encoded.shape[1] == COLUMNS
    assert (encoded[:, 5:] == 0).all()


def test_what_lies_beyond_the_windows_values_counts_as_the_outermost():
    train = column(1, 2, 3)
    beyond = pieces(train, column(np.inf, 1e30, 3.5, -np.inf, -5))
    within = pieces(train, column(3, 3, 3, 1, 1))
    assert np.array_equal(beyond, within)
    standardized = StandardizedNumbers(asdict(fit_numeric_state([train], (PLAIN,))))
    assert np.array_equal(standardized(column(99, -99)), standardized(column(3, 1)))


def test_a_constant_and_an_absent_number_say_only_whether_they_are_missing():
    assert pieces(column(7, 7), column(7, 9, np.nan)).tolist() == [
        [0, 1] + [0] * BINS,
        [0, 1] + [0] * BINS,
        [1, 0] + [0] * BINS,
    ]
    assert pieces(column(np.nan, np.nan), column(7, np.nan))[:, :2].tolist() == [[0, 1], [1, 0]]


def test_weights_are_linear_in_the_columns_and_each_number_has_its_own():
    layer = PiecewiseNumbers(width=3, seed=7)
    columns = np.random.default_rng(1).random((2, 5, COLUMNS)).astype(np.float32)
    embedded = layer(columns).numpy()
    kernel = np.asarray(layer.kernel)
    assert kernel.shape == (2, COLUMNS, 3)
    for number in range(2):
        assert embedded[number] == pytest.approx(columns[number] @ kernel[number], abs=1e-6)


def test_the_pieces_of_a_huge_range_and_of_a_tiny_one_are_told_apart():
    huge = column(-3e38, 0, 3e38)
    assert pieces(huge, huge)[:, 2:4] == pytest.approx(np.array([[0, 0], [1, 0], [1, 1]]))
    tiny = column(1e-30, 2e-30, 3e-30)
    assert pieces(tiny, tiny)[:, 2:4] == pytest.approx(np.array([[0, 0], [1, 0], [1, 1]]), abs=1e-5)


def test_layers_come_back_from_their_configurations():
    state = asdict(fit_numeric_state([np.random.default_rng(1).normal(size=(50, 2)).astype(np.float32)], (AGE, BID)))
    pieces_layer = NumberPieces(state)
    again = NumberPieces.from_config(pieces_layer.get_config())
    asked = np.random.default_rng(2).normal(size=(5, 2)).astype(np.float32)
    assert np.array_equal(pieces_layer(asked), again(asked))
    assert PiecewiseNumbers.from_config(PiecewiseNumbers(4, 7).get_config()).width == 4


def test_a_state_is_read_from_json_with_and_without_bounds():
    state = fit_numeric_state([column(1, 2, 3)], (AGE,))
    assert NumericState.from_json({**asdict(state)}) == state
    before = {"log": [False], "mean": [3.0], "scale": [2.0], "edges": []}
    assert NumericState.from_json(before) == NumericState((False,), (3.0,), (2.0,))
    assert StandardizedNumbers(asdict(NumericState.from_json(before)))(column(9)).numpy()[0, 0] == 3
