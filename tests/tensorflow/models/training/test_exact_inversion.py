"""At the optimum, probabilities are the true ones whatever was done against imbalance; on a problem of eight cells."""

from datetime import date, timedelta
from math import log

import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import minimize

from ctr_retrain.models.losses.training_losses import focal_loss, observed_logit
from ctr_retrain.models.network.focal_link import inverse_focal_link
from ctr_retrain.models.recipe.weights_section import Weights
from ctr_retrain.models.weights.row_weights import ClassMass, compute_factors

CUT = date(2026, 3, 8)
DAYS = (CUT - timedelta(days=7), CUT)
CLICK_RATIO = (0.01, 0.04)  # where x = 0 and where x = 1
PLAIN = {"class_weight": "none"}
STRATEGIES = {
    "class weights": {},
    "class weights to a power": {"class_power": 0.5},
    "class weights capped": {"cap": 8},
    "given class weights capped": {"class_weight": {"1": 100}, "cap": 30},
    "downsampling": {**PLAIN, "negative_share": 0.1},
    "oversampling": {**PLAIN, "positive_copies": 20},
    "both, and class weights capped": {"negative_share": 0.3, "positive_copies": 3, "cap": 2},
}


DAY, X, LABEL = np.array([(d, x, y) for d in (0, 1) for x in (0, 1) for y in (0, 1)]).T
IS_X = np.stack([X == 0, X == 1], axis=1).astype(float)  # (8, 2)


@tf.function
def loss_and_gradient(log_odds, weight, offset, maturity, gamma):
    """Of a model with one log-odds for each x, as training computes it."""
    with tf.GradientTape() as tape:
        tape.watch(log_odds)
        seen = observed_logit(tf.linalg.matvec(IS_X, log_odds), maturity) + offset
        z = inverse_focal_link(seen, gamma)
        loss = tf.reduce_sum(weight * focal_loss(LABEL, z, gamma))
    return loss, tape.gradient(loss, log_odds)


def learned(gamma, maturity=1.0, **weights):
    """Log-odds where x = 0 and x = 1 at the optimum; of the clicks, the share `maturity` is seen."""
    ratio = np.array(CLICK_RATIO)[X] * maturity
    rows = np.round(100_000 * np.where(LABEL == 1, ratio, 1 - ratio)).astype(int)
    factors = compute_factors(DAYS, CUT, ClassMass(DAY, LABEL, np.ones(8), rows), Weights(half_life_days=7, **weights))
    streamed = rows * np.where(LABEL == 1, factors.positive_copies, np.array(factors.negative_share)[DAY])
    given = (streamed * factors.weight(DAY, LABEL) / streamed.sum(), factors.offset(DAY), np.full(8, maturity), gamma)
    tensors = [tf.constant(value, tf.float64) for value in given]

    def loss(log_odds):
        value, gradient = loss_and_gradient(tf.constant(log_odds), *tensors)
        return float(value), gradient.numpy()

    return minimize(loss, np.full(2, factors.base_log_odds), jac=True, tol=1e-10).x


@pytest.mark.parametrize("gamma", [0.0, 2.0], ids=["cross-entropy", "focal"])
@pytest.mark.parametrize("name", STRATEGIES)
def test_the_offset_takes_weights_and_sampling_out_of_the_probabilities_exactly(name, gamma):
    truth = [log(ratio / (1 - ratio)) for ratio in CLICK_RATIO]
    assert learned(gamma, **STRATEGIES[name]) == pytest.approx(truth, abs=1e-3)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 5.0])
def test_the_focal_loss_alone_ends_in_the_true_probabilities_at_any_gamma(gamma):
    truth = [log(ratio / (1 - ratio)) for ratio in CLICK_RATIO]
    assert learned(gamma, **PLAIN) == pytest.approx(truth, abs=1e-3)


def test_young_labels_weights_sampling_and_the_focal_loss_are_undone_together():
    truth = [log(ratio / (1 - ratio)) for ratio in CLICK_RATIO]
    assert learned(2.0, maturity=0.6, negative_share=0.2, cap=3) == pytest.approx(truth, abs=1e-3)


@pytest.mark.parametrize("name", STRATEGIES)
def test_without_the_offset_they_are_far_off(name):
    probability = 1 / (1 + np.exp(-learned(0.0, offset=False, **STRATEGIES[name])))
    assert (probability / CLICK_RATIO > 2).all()
