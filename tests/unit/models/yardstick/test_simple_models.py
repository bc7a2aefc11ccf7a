"""Simple models: how rows are drawn, the level that they learn, and columns that a day may bring."""

import numpy as np
import pytest

from ctr_retrain.models.errors import DataRejectedError
from ctr_retrain.models.judging.metrics import roc_auc
from ctr_retrain.models.yardstick.simple_models import FITS, SimpleRows, fit_linear, kept_shares, sample


def rows_of(columns, label, weight=None):
    return SimpleRows(np.asarray(columns, np.float32), label, np.ones(len(label)) if weight is None else weight)


def drawn(rows, seed=1):
    """Two numbers, the first of which moves the log-odds of a positive, 5 % of the rows."""
    chance = np.random.default_rng(seed)
    columns = chance.normal(size=(rows, 2))
    probability = 1 / (1 + np.exp(3.3 - 1.2 * columns[:, 0]))
    return columns.astype(np.float32), (chance.random(rows) < probability).astype(int), probability


@pytest.mark.parametrize(
    ("positives", "negatives", "shares"),
    [
        (10, 90, (1, 1)),  # all fit
        (100, 9900, (1, 900 / 9900)),  # all positives, negatives for the rest
        (9900, 100, (900 / 9900, 1)),  # the same where positives are the many
        (5000, 5000, (0.1, 0.1)),
        (0, 5000, (1, 0.2)),
    ],
)
def test_as_many_rows_are_kept_as_fit_and_of_the_rarer_label_all(positives, negatives, shares):
    assert kept_shares(positives, negatives, 1000) == pytest.approx(shares)


def test_a_drawn_row_stands_for_as_many_as_were_left_out_of_its_label():
    rows, weight = sample(np.array([1, 0] * 5000), (1.0, 0.25), np.random.default_rng(1))
    assert np.all(np.diff(rows) > 0)
    assert set(weight[rows % 2 == 0]) == {1}
    assert set(weight[rows % 2 == 1]) == {4}
    assert (rows % 2 == 0).sum() == 5000


@pytest.mark.parametrize("name", FITS)
def test_the_level_is_that_of_all_rows_though_negatives_were_sampled(name):
    columns, label, probability = drawn(60_000)
    rows, weight = sample(label, (1.0, 0.2), np.random.default_rng(2))
    found = FITS[name](SimpleRows(columns[rows], label[rows], weight), 7)(columns)
    assert found.mean() == pytest.approx(label.mean(), rel=0.05)
    assert np.abs(np.log(found / probability)).mean() < 0.2


@pytest.mark.parametrize("name", FITS)
def test_missing_numbers_and_columns_without_any_are_no_error(name):
    columns, label, _ = drawn(5000)
    columns[::3, 1], gap = np.nan, np.full((5000, 1), np.nan)
    predict = FITS[name](rows_of(np.concatenate([columns, gap], axis=1), label), 7)
    asked = np.array([[3, np.nan, 5], [-3, 0, np.nan]], np.float32)
    high, low = predict(asked)
    assert 1 > high > low > 0


def test_the_linear_model_is_not_carried_away_by_a_number_far_outside_the_windows_range():
    columns, label, _ = drawn(5000)
    predict = fit_linear(rows_of(columns, label), 7)
    far, end = predict(np.array([[1e6, 0], [5.2, 0]], np.float32))
    assert far == pytest.approx(end, abs=0.01)


def test_trees_find_what_only_two_numbers_together_tell_and_the_linear_model_does_not():
    chance = np.random.default_rng(3)
    columns = chance.normal(size=(20_000, 2)).astype(np.float32)
    label = (chance.random(20_000) < np.where(columns.prod(axis=1) > 0, 0.3, 0.05)).astype(int)
    linear, trees = (roc_auc(label, FITS[name](rows_of(columns, label), 7)(columns)) for name in FITS)
    assert linear < 0.55
    assert trees > 0.7


def test_rows_of_one_label_are_refused():
    with pytest.raises(DataRejectedError, match="expected both labels"):
        fit_linear(rows_of(np.ones((5, 1)), np.zeros(5, int)), 7)
