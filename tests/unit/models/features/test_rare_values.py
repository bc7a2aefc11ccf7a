"""Rules of embedding rows of values with few training rows: the fewer, the nearer to the row of values never seen."""

import numpy as np
import pytest

from ctr_retrain.models.feature_kinds.kinds import feature_of
from ctr_retrain.models.features.rare_values import PRIOR_INFORMATION, draw_rare_values

USER = feature_of({"kind": "categorical", "name": "user"}).knowing(np.arange(4))  # rows 0 to 5, of values 2 to 5
LAST = feature_of({"kind": "categorical", "name": "last", "shares": "user"}).knowing(np.arange(4))  # row 6
HOUR = feature_of({"kind": "hour", "name": "hour"})  # rows 7 to 31
FEATURES = (USER, LAST, HOUR)


def drawn(value_rows, ratio=0.5):
    table = np.ones((32, 3), np.float32)
    table[1] = 0.2  # values never seen
    draw_rare_values(table, np.asarray(value_rows), ratio, FEATURES)
    return table


def test_a_value_comes_the_nearer_to_the_unseen_row_the_fewer_rows_it_has():
    rows = np.zeros(32, int)
    rows[2:6] = [0, 1, 10, 1_000_000]
    table = drawn(rows)
    assert table[2] == pytest.approx(0.2)
    assert np.all(np.diff(table[2:6, 0]) > 0)
    assert table[3] == pytest.approx(0.2 + 0.8 * 0.25 / (0.25 + PRIOR_INFORMATION))
    assert table[5] == pytest.approx(1, abs=1e-5)


def test_missing_and_unseen_rows_those_of_clocks_and_those_of_another_feature_stay():
    table = drawn(np.ones(32, int), ratio=0.01)
    assert np.all(table[[0, 6, *range(7, 32)]] == 1)
    assert table[1] == pytest.approx(0.2)


def test_rows_tell_less_where_positives_are_rare():
    rows = np.full(32, 20)
    assert drawn(rows, 0.5)[2, 0] > drawn(rows, 0.05)[2, 0] > drawn(rows, 0.002)[2, 0] > 0.2
    assert drawn(rows, 0.0)[2, 0] == pytest.approx(0.2)


def test_without_features_of_texts_nothing_changes():
    table = np.ones((1, 2), np.float32)
    draw_rare_values(table, np.zeros(1, int), 0.5, ())
    assert np.all(table == 1)
