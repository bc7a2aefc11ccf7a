from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from ctr_retrain.models.losses.training_losses import observed_logit
from ctr_retrain.models.training.training_loop import logits_function
from tests.support.toy_training import toy, trained

LOGITS = (-100.0, -30.0, -5.0, -0.1, 0.0, 2.0, 30.0, 100.0)
SHARES = (0.02, 0.3, 0.7, 0.999)


def slope_of_observed(logit, share):
    given = tf.Variable(logit, dtype=tf.float64)
    with tf.GradientTape() as tape:
        seen = observed_logit(given, tf.constant(share, tf.float64))
    return float(seen), float(tape.gradient(seen, given))


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("logit", LOGITS)
def test_a_positive_is_seen_with_its_probability_times_the_share_that_has_landed(logit, share):
    p = 1 / (1 + np.exp(-logit))
    seen, _ = slope_of_observed(logit, share)
    assert seen == pytest.approx(np.log(share * p) - np.log1p(-share * p), rel=1e-9, abs=1e-9)
    assert float(observed_logit(tf.constant(logit), tf.constant(share))) == pytest.approx(seen, rel=1e-5, abs=1e-4)


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("logit", LOGITS)
def test_its_gradient_is_that_of_finite_differences(logit, share):
    step = 1e-5
    difference = (slope_of_observed(logit + step, share)[0] - slope_of_observed(logit - step, share)[0]) / (2 * step)
    assert slope_of_observed(logit, share)[1] == pytest.approx(difference, abs=1e-6)


@pytest.mark.parametrize("logit", LOGITS)
def test_where_all_has_landed_the_logit_is_untouched(logit):
    assert slope_of_observed(logit, 1.0) == (logit, 1.0)


def test_ripe_rows_train_to_the_very_same_weights_with_and_without_the_layer():
    rows, _ = toy(4000)
    without, _ = trained(rows)
    ripe, _ = trained(replace(rows, maturity=np.ones(len(rows), np.float32)))
    for one, other in zip(without.get_weights(), ripe.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_young_labels_teach_true_probabilities_with_the_layer_and_too_low_ones_as_final():
    rows, truth = toy(60_000)
    hidden = np.random.default_rng(5).random(len(rows)) > 0.5  # half of the outcomes have yet to come
    young = replace(rows, label=np.where(hidden, 0, rows.label).astype(np.uint8))
    share = np.full(len(rows), 0.5, np.float32)
    true_sum = (1 / (1 + np.exp(-truth))).sum()

    def ratio(given):
        rates = {"learning_rate": 0.02, "embedding_learning_rate": 0.5}
        network, _ = trained(given, network="logistic_regression", batch_rows=256, **rates)
        logit = logits_function(network)(given.ids, given.numeric).astype(np.float64)
        return (1 / (1 + np.exp(-logit))).sum() / true_sum

    assert ratio(young) < 0.6
    assert 0.9 < ratio(replace(young, maturity=share)) < 1.1
