"""Rules of the focal loss's way to the probability and back."""

from math import log

import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import minimize_scalar

from ctr_retrain.models.features.encoder import encode
from ctr_retrain.models.features.standardize import NumericState
from ctr_retrain.models.losses.training_losses import focal_loss
from ctr_retrain.models.network.build_network import build_network
from ctr_retrain.models.network.focal_link import focal_link, inverse_focal_link
from ctr_retrain.models.serving.bundle import save_serving, serving_model
from ctr_retrain.models.serving.calibration import Calibration
from ctr_retrain.models.serving.scorer import Scorer
from ctr_retrain.models.training.compatibility import why_incompatible
from ctr_retrain.models.training.training_loop import _training_model, logits_function
from tests.support.toy_training import recipe, toy
from tests.tensorflow.models.serving.test_bundle import impressions

GAMMAS = (0.5, 1.0, 2.0, 5.0)


def sigmoid(logit):
    return 1 / (1 + np.exp(-np.asarray(logit, float)))


def slope_of(q, gamma):
    """A(q), as DESIGN has it."""
    return (1 - q) ** gamma / q - gamma * (1 - q) ** (gamma - 1) * np.log(q)


@pytest.mark.parametrize("gamma", GAMMAS)
def test_the_probability_is_that_of_the_formula(gamma):
    q = np.linspace(0.001, 0.999, 999)
    p = slope_of(1 - q, gamma) / (slope_of(q, gamma) + slope_of(1 - q, gamma))
    assert sigmoid(focal_link(np.log(q / (1 - q)), gamma)) == pytest.approx(p, rel=1e-6)


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize(("p", "positive", "negative"), [(0.01, 1, 1), (0.3, 1, 1), (0.01, 50, 0.5), (0.9, 2, 7)])
def test_what_minimises_the_expected_weighted_focal_loss_has_the_true_log_odds_plus_the_offset(
    gamma, p, positive, negative
):
    def expected(z):
        came, stayed_away = (float(focal_loss(np.array([y]), np.array([z]), gamma)[0]) for y in (1.0, 0.0))
        return positive * p * came + negative * (1 - p) * stayed_away

    z = minimize_scalar(expected, bounds=(-12, 12), method="bounded", options={"xatol": 1e-9}).x
    assert float(focal_link(np.float64(z), gamma)) == pytest.approx(log(p / (1 - p) * positive / negative), abs=1e-4)


@pytest.mark.parametrize("gamma", [0.0, *GAMMAS, 10.0])
def test_way_and_way_back_are_inverse_finite_and_rising_even_at_logits_of_100(gamma):
    z = tf.constant(np.linspace(-100, 100, 4001), tf.float32)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(z)
        there = focal_link(z, gamma)
        back = inverse_focal_link(there, gamma)
    assert np.abs(back - z).max() < 2e-5
    slope, both = tape.gradient(there, z).numpy(), tape.gradient(back, z).numpy()
    assert slope.min() >= 1 - 1e-6
    assert np.abs(both - 1).max() < 1e-5
    assert np.diff(there).min() > 0
    assert np.abs(there + there[::-1]).max() < 1e-4  # odd


def test_the_gradient_of_the_way_back_is_the_finite_difference():
    log_odds, step = tf.constant(np.linspace(-9, 9, 181)), 1e-5
    with tf.GradientTape() as tape:
        tape.watch(log_odds)
        z = inverse_focal_link(log_odds, 2.0)
    difference = (inverse_focal_link(log_odds + step, 2.0) - inverse_focal_link(log_odds - step, 2.0)) / (2 * step)
    assert tape.gradient(z, log_odds).numpy() == pytest.approx(np.asarray(difference), rel=1e-6)


def test_gamma_0_is_cross_entropy():
    z = np.linspace(-30, 30, 61)
    assert np.asarray(focal_link(z, 0.0)) == pytest.approx(z)


def test_labels_side_by_side_have_links_of_their_own():
    z = np.array([[-2.0, 0.0, 1.5], [3.0, -1.0, 0.2]], np.float32)
    one_by_one = [[float(focal_link(v, 2.0)) for v in row] for row in z]
    assert np.asarray(focal_link(z, 2.0)) == pytest.approx(np.array(one_by_one), rel=1e-6)


@pytest.fixture(scope="module")
def network():
    return build_network(recipe(loss="focal"), NumericState((False,), (0.0,), (1.0,)), log(0.02 / 0.98), 7)


def test_an_untrained_network_answers_the_base_rate_under_the_focal_loss_too(network):
    rows, _ = toy(500)
    logits = logits_function(network)(rows.ids, rows.numeric)
    assert np.median(logits) == pytest.approx(log(0.02 / 0.98), abs=0.15)


def test_without_an_offset_training_sees_what_went_into_the_link(network):
    rows, _ = toy(500)
    inputs = {"ids": rows.ids, "numeric": rows.numeric, "offset": np.zeros((500, 1), np.float32)}
    model = _training_model(network, type(network), recipe(loss="focal").training, observed=False)
    before = network.get_layer("focal_link").input
    into_link = type(network)(network.input, before)({name: inputs[name] for name in ("ids", "numeric")})
    assert np.abs(np.asarray(model(inputs)) - into_link).max() < 1e-5


def test_the_served_graph_has_the_link_before_the_calibration(tmp_path):
    rules = recipe(loss="focal", focal_gamma=1.5)
    network = build_network(rules, NumericState((False,), (40.0,), (10.0,)), -3.0, 7)
    calibration = Calibration(method="platt", rows=9000, positives=900, values=(0.4,), slope=1.3)
    save_serving(serving_model(network, rules, calibration), tmp_path / "serving")
    table = impressions().append_column("user", impressions()["user_id"])
    encoded = encode(table, rules.features)
    expected = calibration.apply(logits_function(network)(encoded.ids, encoded.numeric))
    assert np.abs(Scorer(tmp_path / "serving").score(table) - expected).max() < 1e-6
    into_link = type(network)(network.input, network.get_layer("focal_link").input)
    without = calibration.apply(logits_function(into_link)(encoded.ids, encoded.numeric))
    assert np.abs(without - expected).max() > 0.01


def test_weights_trained_under_the_focal_loss_do_not_start_a_run_of_another_loss():
    assert why_incompatible(recipe(), recipe(loss="focal")) == "its training.loss is focal, the recipe's cross_entropy"
    assert "focal_gamma" in why_incompatible(recipe(loss="focal"), recipe(loss="focal", focal_gamma=1.0))
    assert why_incompatible(recipe(loss="focal"), recipe(loss="focal")) is None
