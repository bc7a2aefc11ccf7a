"""The weights of the least penalised loss are those of scikit-learn, to the third digit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from ctr_retrain.models.linear import penalised_fit
from ctr_retrain.models.linear.penalised_fit import WeighedRows, minimise


def drawn_rows(seed, rows=300, values=8):
    """Rows of two fields of values, the second of which mostly repeats the first, a number, and ones."""
    rng = np.random.default_rng(seed)
    first = rng.integers(0, values, rows)
    second = np.where(rng.random(rows) < 0.9, first, rng.integers(0, values, rows))
    number = rng.normal(size=rows)
    columns = np.hstack([np.eye(values)[first], np.eye(values)[second], number[:, None], np.ones((rows, 1))])
    chance = 1 / (1 + np.exp(-(rng.normal(size=values)[first] + number - 1)))
    weight = rng.choice([0.5, 1.0, 3.0], rows)
    return WeighedRows(sparse.csr_matrix(columns), (rng.random(rows) < chance).astype(float), weight, np.zeros(rows))


def ridge(rows, strength=1.0):
    """The penalty of scikit-learn's C = 1/strength, whose intercept, the last column, has none."""
    return sparse.diags(np.append(np.full(rows.columns.shape[1] - 1, strength), 0.0), format="csr")


def solved(rows, penalty):
    """The weights from a start at zero."""
    found = minimise(rows, penalty, np.zeros(rows.columns.shape[1]))
    assert found.settled
    return found.weights


@pytest.mark.parametrize("strength", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("columns_in_block", [1000, 3, 1])
def test_weights_are_those_of_scikit_learn(monkeypatch, strength, columns_in_block):
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - a second, of the one process that comes here

    monkeypatch.setattr(penalised_fit, "BLOCK_COLUMNS", columns_in_block)  # the preconditioner alone knows of it
    monkeypatch.setattr(penalised_fit, "BLOCK_ROWS", 40 * columns_in_block)
    rows = drawn_rows(1)
    model = LogisticRegression(C=1 / strength, tol=1e-8, max_iter=5000)
    model.fit(rows.columns[:, :-1], rows.label, sample_weight=rows.weight)
    expected = np.append(model.coef_[0], model.intercept_)
    np.testing.assert_allclose(solved(rows, ridge(rows, strength)), expected, atol=1e-3)


def test_an_offset_of_all_rows_is_taken_out_of_the_intercept():
    rows = drawn_rows(2)
    moved = WeighedRows(rows.columns, rows.label, rows.weight, np.full(len(rows.label), 2.5))
    plain, other = solved(rows, ridge(rows)), solved(moved, ridge(rows))
    np.testing.assert_allclose(other, plain - np.append(np.zeros(len(plain) - 1), 2.5), atol=1e-4)


def test_a_row_of_weight_two_is_two_rows():
    rows = drawn_rows(3)
    twice = np.repeat(np.arange(len(rows.label)), 2)
    doubled = WeighedRows(rows.columns[twice], rows.label[twice], rows.weight[twice] / 2, rows.offset[twice])
    np.testing.assert_allclose(solved(doubled, ridge(rows)), solved(rows, ridge(rows)), atol=1e-4)


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.floats(0.01, 100), st.floats(-4, 4))
def test_the_gradient_is_zero_at_the_solution_wherever_it_starts(seed, strength, start):
    rows = drawn_rows(seed, rows=60, values=4)
    penalty = ridge(rows, strength)
    weights = minimise(rows, penalty, np.full(rows.columns.shape[1], start)).weights
    chance = 1 / (1 + np.exp(-(rows.columns @ weights)))
    gradient = rows.columns.T @ (rows.weight * (chance - rows.label)) + penalty @ weights
    assert np.abs(gradient).max() < 1e-2 * len(rows.label) ** 0.5


def test_a_column_that_no_row_has_keeps_its_weight_where_nothing_penalises_it():
    rows = drawn_rows(4)
    columns = sparse.hstack([rows.columns, sparse.csr_matrix((len(rows.label), 1))], format="csr")
    wider = WeighedRows(columns, rows.label, rows.weight, rows.offset)
    penalty = sparse.block_diag([ridge(rows), sparse.csr_matrix((1, 1))], format="csr")
    found = minimise(wider, penalty, np.append(np.zeros(rows.columns.shape[1]), 0.7))
    np.testing.assert_allclose(found.weights, np.append(solved(rows, ridge(rows)), 0.7), atol=1e-4)


def test_too_few_steps_are_said_to_be_unsettled(monkeypatch):
    monkeypatch.setattr(penalised_fit, "MOST_STEPS", 1)
    rows = drawn_rows(5)
    assert not minimise(rows, ridge(rows, 0.1), np.zeros(rows.columns.shape[1])).settled
