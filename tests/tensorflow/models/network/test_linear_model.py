"""The linear network against scikit-learn's solution of the same convex problem, on sets small enough to solve."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from ctr_retrain.models.features.standardize import NumericState
from ctr_retrain.models.network.build_network import build_network
from ctr_retrain.models.training.training_loop import logits_function
from tests.support.toy_training import recipe, toy, trained

STATE = NumericState((False,), (0.0,), (1.0,))


def columns(rows):
    """One-hot users and the number, as the network reads them."""
    return np.hstack([np.eye(51)[rows.ids[:, 0]], rows.numeric])


def solvable():
    """The toy world with labels of a milder truth: each user has both, so that no weight is infinite."""
    rows, _ = toy(n=2000)
    truth = -0.5 + np.sin(rows.ids[:, 0]) + 0.8 * rows.numeric[:, 0]
    label = np.random.default_rng(2).random(len(truth)) < 1 / (1 + np.exp(-truth))
    return replace(rows, label=label.astype(np.uint8))


def log_losses(logit, label):
    return np.logaddexp(0, logit) - label * logit


def test_numbers_say_nothing_before_the_linear_network_has_learnt():
    rows, _ = toy(n=100)
    network = build_network(recipe(network="logistic_regression"), STATE, -3.0, 7)
    apart = logits_function(network)(rows.ids, rows.numeric) - logits_function(network)(rows.ids, 0 * rows.numeric)
    assert np.abs(apart).max() == 0


def test_with_enough_steps_the_linear_network_is_the_solution_of_logistic_regression():
    rows = solvable()
    # Stopped by its own rows: it is the minimum on them that is asked for.
    options = {"batch_rows": 250, "epochs": 60, "patience": 60, "learning_rate": 0.03, "embedding_learning_rate": 1.0}
    network, _ = trained(rows, kept_out=rows, network="logistic_regression", **options)
    ours = logits_function(network)(rows.ids, rows.numeric)
    exact = LogisticRegression(C=1e4, max_iter=1000).fit(columns(rows), rows.label)
    (slope,) = [layer.kernel.numpy()[0, 0] for layer in network.layers if isinstance(layer, keras.layers.Dense)]
    assert slope == pytest.approx(exact.coef_[0, -1], abs=0.02)
    theirs = exact.decision_function(columns(rows))
    assert log_losses(ours, rows.label).mean() < log_losses(theirs, rows.label).mean() + 0.001
    assert np.abs(ours - theirs).mean() < 0.05
