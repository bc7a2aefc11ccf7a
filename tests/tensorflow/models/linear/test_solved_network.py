"""A linear network set to the optimum of its loss: its own columns, scikit-learn's weights, rows by their worth."""

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression

from ctr_retrain.models.feature_kinds.categorical import Categorical
from ctr_retrain.models.feature_kinds.clock import Hour
from ctr_retrain.models.feature_kinds.multi_valued import MultiValued
from ctr_retrain.models.feature_kinds.numeric import Numeric
from ctr_retrain.models.features.encoder import encode
from ctr_retrain.models.features.standardize import fit_numeric_state
from ctr_retrain.models.linear.linear_columns import LinearColumns
from ctr_retrain.models.linear.solved_network import can_be_solved, solve_network
from ctr_retrain.models.network.build_network import build_network
from ctr_retrain.models.recipe.head_section import Head
from ctr_retrain.models.recipe.weights_section import Weights
from ctr_retrain.models.training.batches import TrainingRows
from ctr_retrain.models.training.training_loop import logits_function
from ctr_retrain.models.weights.row_weights import ClassMass, compute_factors
from tests.support.known_values import fitted
from tests.support.toy_training import recipe

ROWS, DAYS = 3000, 5
PLAIN = (Categorical(name="user"), Numeric(name="price", encoding="standardized"))
ALL = (
    Categorical(name="user"),
    MultiValued(name="tags", max_values=3),
    Numeric(name="price"),
    Numeric(name="age", transform="log"),
    Hour(name="hour"),
)


@pytest.fixture(autouse=True)
def few_rows_are_enough(monkeypatch):
    monkeypatch.setattr("ctr_retrain.models.linear.solved_network.LEAST_ROWS", ROWS)


def clicks(seed=1):
    """Rows of every kind of column, a tenth of the prices missing, and labels that follow users, tags and prices."""
    rng = np.random.default_rng(seed)
    user, tag, price = rng.integers(0, 20, ROWS), rng.integers(0, 6, (ROWS, 2)), rng.gamma(2, 10, ROWS)
    log_odds = np.sin(user) + 0.5 * np.cos(tag).sum(axis=1) + 0.03 * price - 2.5
    label = (rng.random(ROWS) < 1 / (1 + np.exp(-log_odds))).astype(np.uint8)
    price[rng.random(ROWS) < 0.1] = np.nan
    columns = {
        "user": [f"u{one}" for one in user],
        "tags": ["|".join({f"t{a}", f"t{b}"}) for a, b in tag],
        "price": price,
        "age": rng.integers(18, 70, ROWS).astype(float),
        "ts": 1_772_409_600_000_000 + rng.integers(0, 24, ROWS) * 3_600_000_000,
    }
    return pa.table(columns), label


def linear(features, weights):
    """An untrained linear network on the rows, these, the features that know their values, and the factors."""
    table, label = clicks()
    known = fitted(table, features)
    encoded = encode(table, known)
    day = np.arange(ROWS, dtype=np.int16) * DAYS // ROWS
    cell, count = np.unique(2 * day.astype(int) + label, return_counts=True)
    days = tuple(date(2026, 3, 1) + timedelta(days=number) for number in range(DAYS))
    factors = compute_factors(days, days[-1], ClassMass(cell // 2, cell % 2, np.ones(len(cell)), count), weights)
    of = recipe(network="logistic_regression").model_copy(update={"features": known})
    network = build_network(of, fit_numeric_state([encoded.numeric], known), factors.base_log_odds, 7)
    rows = TrainingRows(encoded.ids, encoded.numeric, label, day.astype(np.int16))
    return network, rows, known, factors, of.training


@pytest.mark.parametrize("features", [PLAIN, ALL], ids=["plain", "all"])
def test_the_columns_times_the_weights_are_the_networks_logits_and_go_back_into_it(features):
    network, rows, known, _, _ = linear(features, Weights(half_life_days=100.0))
    columns = LinearColumns(network, known)
    matrix = columns.matrix(rows.ids, rows.numeric)
    weights = np.random.default_rng(3).normal(size=matrix.shape[1])
    columns.assign(weights)
    np.testing.assert_allclose(columns.weights(), weights, atol=1e-5)
    np.testing.assert_allclose(matrix @ weights, logits_function(network)(rows.ids, rows.numeric), atol=1e-4)


@pytest.mark.parametrize("class_weight", ["none", "balanced"])
def test_its_weights_are_those_of_scikit_learn_by_the_same_penalties_and_its_level_is_unweighted(class_weight):
    weights = Weights(half_life_days=2.0, class_weight=class_weight)
    network, rows, known, factors, training = linear(PLAIN, weights)
    assert can_be_solved(training, rows, known)
    found = solve_network(network, rows, factors, known)
    assert found.settled
    assert list(found.penalties) == ["user", "straight lines of numbers"]
    columns = LinearColumns(network, known)
    matrix, own = columns.matrix(rows.ids, rows.numeric), columns.weights()
    # scikit-learn has one penalty for all: columns are made smaller where ours is larger.
    users = matrix.shape[1] - 1 - 2
    scale = np.repeat(np.array(list(found.penalties.values())) ** -0.5, [users, 2])
    weight = factors.weight(rows.day_index, rows.label).astype(float)
    exact = LogisticRegression(C=1, tol=1e-9, max_iter=5000).fit(
        matrix[:, :-1].multiply(scale).tocsr(), rows.label, sample_weight=weight * weight.sum() / (weight @ weight)
    )
    np.testing.assert_allclose(own[:-1], exact.coef_[0] * scale, atol=1e-3)
    negative, positive = factors.class_weight
    assert own[-1] == pytest.approx(exact.intercept_[0] - np.log(positive / negative), abs=1e-3)
    assert 0.9 < (1 / (1 + np.exp(-logits_function(network)(rows.ids, rows.numeric)))).sum() / rows.label.sum() < 1.1


def test_where_its_training_ended_does_not_matter():
    network, rows, known, factors, _ = linear(ALL, Weights(half_life_days=100.0))
    columns = LinearColumns(network, known)
    ends = []
    for seed in (1, 2):
        columns.assign(np.random.default_rng(seed).normal(0, 0.3, len(columns.weights())))
        solve_network(network, rows, factors, known)
        ends.append(logits_function(network)(rows.ids, rows.numeric))
    assert np.abs(ends[0] - ends[1]).max() < 5e-3


def test_what_has_no_single_optimum_or_is_too_large_is_left_to_training():
    network, rows, known, _, training = linear(PLAIN, Weights(half_life_days=100.0))
    del network
    for change in (
        {"network": "deepfm"},
        {"network": "own.py:build"},
        {"loss": "focal"},
        {"two_stages": True},
        {"heads": (Head(kind="conversion"),)},
    ):
        assert not can_be_solved(training.model_copy(update=change), rows, known), change
    one_class = TrainingRows(rows.ids, rows.numeric, np.zeros_like(rows.label), rows.day_index)
    young = TrainingRows(rows.ids, rows.numeric, rows.label, rows.day_index, maturity=np.ones(ROWS, np.float32))
    assert not can_be_solved(training, one_class, known)
    assert not can_be_solved(training, young, known)
    assert can_be_solved(training, rows, known)


@pytest.mark.parametrize(("bound", "value"), [("MOST_CELLS", 3 * ROWS), ("LEAST_ROWS", ROWS + 1)])
def test_too_many_rows_and_too_few_are_left_to_training(monkeypatch, bound, value):
    _, rows, known, _, training = linear(PLAIN, Weights(half_life_days=100.0))
    monkeypatch.setattr(f"ctr_retrain.models.linear.solved_network.{bound}", value)
    assert not can_be_solved(training, rows, known)
