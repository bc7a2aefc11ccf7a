import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from ctr_retrain.models.errors import UsageError
from ctr_retrain.models.imbalance.losses import (
    ClassBalancedLoss,
    WeightedCrossEntropy,
    class_balanced_loss,
    weighted_categorical_cross_entropy,
    weighted_cross_entropy,
)
from ctr_retrain.models.losses.training_losses import FocalLoss, focal_loss, observed_logit

LOGITS = np.array([-100.0, -30.0, -3.0, -0.4, 0.0, 0.7, 5.0, 30.0, 100.0])
LABELS = {"negative": 0.0, "positive": 1.0, "half": 0.5}
POSITIVE_WEIGHT, NEGATIVE_WEIGHT, OFFSET = np.array([100.0, 3.0]), np.array([1.0, 0.5]), np.array([4.0, -1.5])
NEGATIVES, POSITIVES = np.array([9_000, 500]), np.array([40, 300])


def two_labels(loss):
    """The loss of the same label and logit in two columns with weights of their own."""
    return lambda label, logit: tf.reduce_sum(loss(tf.stack([label] * 2, 1), tf.stack([logit] * 2, 1)), axis=1)


def weighted(label, logit):
    weights = {"negative_weight": NEGATIVE_WEIGHT, "positive_weight": POSITIVE_WEIGHT, "offset": OFFSET}
    return weighted_cross_entropy(label, logit, **weights)


def categorical(label, logit):
    shares = tf.stack([label, 1 - label, 0 * label], axis=1)
    logits = tf.stack([logit, tf.ones_like(logit), -logit], axis=1)
    return weighted_categorical_cross_entropy(shares, logits, class_weight=[2.0, 5.0, 0.1], offset=[0.5, 0, -1])


LOSSES = {
    "weighted": two_labels(weighted),
    "categorical": categorical,
    "focal": lambda label, logit: focal_loss(label, logit, 2.0, 0.25),
    "focal of a small exponent": lambda label, logit: focal_loss(label, logit, 0.5),
    "class-balanced": two_labels(lambda y, z: class_balanced_loss(y, z, NEGATIVES, POSITIVES, beta=0.99)),
    "class-balanced focal": two_labels(lambda y, z: class_balanced_loss(y, z, NEGATIVES, POSITIVES, gamma=2.0)),
    "observed": lambda label, logit: weighted_cross_entropy(
        label, observed_logit(logit, tf.constant(0.3, logit.dtype))
    ),
    "observed in full": lambda label, logit: weighted_cross_entropy(
        label, observed_logit(logit, tf.constant(1.0, logit.dtype))
    ),
}


def values_and_gradients(loss, logits, label, dtype):
    logits = tf.Variable(logits, dtype=dtype)
    with tf.GradientTape() as tape:
        values = loss(tf.fill(logits.shape, tf.constant(label, dtype)), logits)
    return values.numpy(), tape.gradient(values, logits).numpy()


@pytest.mark.parametrize("label", LABELS.values(), ids=LABELS)
@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_gradients_are_those_of_finite_differences_at_any_logit(loss, label):
    step = 1e-5
    _, gradients = values_and_gradients(loss, LOGITS, label, tf.float64)
    above, below = (values_and_gradients(loss, LOGITS + sign * step, label, tf.float64)[0] for sign in (1, -1))
    np.testing.assert_allclose(gradients, (above - below) / (2 * step), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("label", LABELS.values(), ids=LABELS)
@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_single_precision_agrees_with_double_at_logits_of_100_too(loss, label):
    single, exact = (values_and_gradients(loss, LOGITS, label, dtype) for dtype in (tf.float32, tf.float64))
    for mine, right in zip(single, exact, strict=True):
        assert np.isfinite(mine).all()
        np.testing.assert_allclose(mine, right, rtol=2e-5, atol=1e-6)


def test_cross_entropy_of_a_lost_positive_at_minus_100_is_100_and_pulls_with_its_whole_weight():
    values, gradients = values_and_gradients(
        lambda y, z: weighted_cross_entropy(y, z, positive_weight=7.0), [-100.0], 1.0, tf.float32
    )
    assert values == pytest.approx(700)
    assert gradients == pytest.approx(-7)


def test_without_weights_they_are_keras_own_losses():
    label = np.array([[0.0], [1.0], [1.0], [0.0]], np.float32)
    logit = np.array([[0.3], [-2.0], [4.0], [-1.0]], np.float32)
    assert float(WeightedCrossEntropy()(label, logit)) == pytest.approx(
        float(keras.losses.BinaryCrossentropy(from_logits=True)(label, logit)), rel=1e-5
    )
    stock = keras.losses.BinaryFocalCrossentropy(apply_class_balancing=True, alpha=0.25, gamma=2.0, from_logits=True)
    assert float(FocalLoss(2.0, 0.25)(label, logit)) == pytest.approx(float(stock(label, logit)), rel=1e-4)
    one_hot, logits = np.eye(3, dtype=np.float32)[[0, 2]], np.array([[1, 2, 0.5], [0, 0, 3]], np.float32)
    assert weighted_categorical_cross_entropy(one_hot, logits).numpy() == pytest.approx(
        keras.losses.categorical_crossentropy(one_hot, logits, from_logits=True).numpy(), rel=1e-5
    )


def test_focal_loss_of_a_hand_computed_pair():
    odds = np.log(0.8 / 0.2)  # q = 0.8 of what came, and 0.2
    loss = focal_loss(np.array([1.0, 0.0]), np.array([odds, odds]), gamma=2.0, alpha=0.25).numpy()
    assert loss == pytest.approx([-0.25 * 0.2**2 * np.log(0.8), -0.75 * 0.8**2 * np.log(0.2)])


def test_class_balanced_weights_of_two_classes_are_one_over_their_effective_numbers():
    effective = np.array([(1 - 0.9**n) / 0.1 for n in (100, 5)])  # of the negatives, of the positives
    negative, positive = 2 * (1 / effective) / (1 / effective).sum()
    loss = class_balanced_loss(np.array([0.0, 1.0]), np.zeros(2), 100, 5, beta=0.9).numpy()
    assert loss == pytest.approx([negative * np.log(2), positive * np.log(2)])


@pytest.mark.parametrize(
    "loss",
    [
        WeightedCrossEntropy(NEGATIVE_WEIGHT, POSITIVE_WEIGHT, OFFSET),
        FocalLoss(1.5, 0.3),
        ClassBalancedLoss(NEGATIVES, POSITIVES, beta=0.99, gamma=1.0),
    ],
    ids=lambda loss: type(loss).__name__,
)
def test_a_loss_comes_back_from_its_saved_form_and_weighs_rows(loss):
    label = np.array([[0.0, 1.0], [1.0, 1.0]], np.float32)
    logit = np.array([[0.3, -2.0], [4.0, 0.1]], np.float32)
    saved = json.loads(json.dumps(keras.saving.serialize_keras_object(loss)))
    assert float(keras.saving.deserialize_keras_object(saved)(label, logit)) == float(loss(label, logit))
    rows = loss.call(label, logit).numpy()
    assert rows.shape == (2,)
    weighted_mean = float(loss(label, logit, sample_weight=np.array([1.0, 3.0])))
    assert weighted_mean == pytest.approx(float((rows * [1, 3]).sum() / 2), rel=1e-6)


def test_a_model_compiled_with_labels_weights_and_offsets_serves_the_unweighted_rate():
    rate = np.array([0.02, 0.3])
    label = (np.arange(1000)[:, None] < 1000 * rate).astype(np.float32)
    positive = np.array([40.0, 1.0])
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2)])
    model.compile(optimizer=keras.optimizers.SGD(0.5), loss=WeightedCrossEntropy(1.0, positive, np.log(positive)))
    steps = tf.data.Dataset.from_tensors((np.zeros((1000, 1), np.float32), label)).repeat(100)
    model.fit(steps, shuffle=False, verbose=0)
    served = 1 / (1 + np.exp(-model.predict(np.zeros((1, 1), np.float32), verbose=0)[0]))
    assert served == pytest.approx(rate, rel=0.02)


@pytest.mark.parametrize("beta", [-0.1, 1.0, 1.5])
def test_a_beta_outside_of_0_to_1_is_refused(beta):
    with pytest.raises(UsageError, match=r"beta: expected a number in \[0, 1\), received"):
        class_balanced_loss(np.zeros(1), np.zeros(1), 10, 5, beta=beta)
