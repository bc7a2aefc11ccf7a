"""The penalty of a field's weights follows from how much they vary, and from days that go together."""

import numpy as np
import pytest
from scipy import sparse

from ctr_retrain.models.linear.field_penalties import Group, penalty_of, solve_by_fields
from ctr_retrain.models.linear.penalised_fit import WeighedRows

VALUES, ROWS = 40, 3000


def world(seed, *, spread, by_day=0.0):
    """Rows of a field of values whose log-odds vary by `spread`, another that says nothing, and each day's chance."""
    rng = np.random.default_rng(seed)
    value, idle = rng.integers(0, VALUES, (2, ROWS))
    day = np.sort(rng.integers(0, 20, ROWS))
    log_odds = spread * rng.normal(size=VALUES)[value] + by_day * rng.normal(size=(20, VALUES))[day, idle % 3] - 0.5
    label = (rng.random(ROWS) < 1 / (1 + np.exp(-log_odds))).astype(float)
    columns = np.hstack([np.eye(VALUES)[value], np.eye(VALUES)[idle], np.ones((ROWS, 1))])
    rows = WeighedRows(sparse.csr_matrix(columns), label, np.ones(ROWS), np.zeros(ROWS))
    groups = [Group("value", 0, None, VALUES), Group("idle", VALUES, None, VALUES)]
    return rows, groups, day


@pytest.mark.parametrize("spread", [0.5, 1.0])
def test_the_penalty_is_one_over_the_variance_of_the_fields_weights(spread):
    rows, groups, day = world(1, spread=spread)
    _, strengths = solve_by_fields(rows, groups, day, np.zeros(rows.columns.shape[1]))
    assert strengths[0] == pytest.approx(1 / spread**2, rel=0.5)
    assert strengths[1] > 30  # weights of values that say nothing are held near 0


def test_days_that_go_together_raise_the_penalty():
    rows, groups, day = world(2, spread=0.5, by_day=1.0)
    apart = solve_by_fields(rows, groups, np.zeros(ROWS, int), np.zeros(rows.columns.shape[1]))[1]
    together = solve_by_fields(rows, groups, day, np.zeros(rows.columns.shape[1]))[1]
    assert together[1] > 1.5 * apart[1]


def test_a_penalty_stands_where_its_columns_are_and_the_rest_has_none():
    line = np.array([[2.0, -1.0], [-1.0, 1.0]])
    found = penalty_of([Group("a", 1, None, 2), Group("b", 3, line, 2)], np.array([3.0, 2.0]), 6).toarray()
    expected = np.zeros((6, 6))
    expected[1, 1] = expected[2, 2] = 3
    expected[3:5, 3:5] = 2 * line
    np.testing.assert_array_equal(found, expected)
