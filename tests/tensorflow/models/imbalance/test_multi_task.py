"""Rules of learning several labels at once: weights undone for each, unknown labels, several outputs, ESMM."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ctr_retrain.models.errors import UsageError
from ctr_retrain.models.imbalance.class_weights import class_weights
from ctr_retrain.models.imbalance.losses import WeightedCrossEntropy, weighted_cross_entropy
from ctr_retrain.models.imbalance.output_losses import (
    count_known,
    known_labels,
    output_losses,
    output_sample_weights,
)
from ctr_retrain.models.losses.joint_logit import joint_logit

LABELS = 23
ITEMS = 300
FAINT = 1e-5


def sigmoid(logit):
    return 1 / (1 + np.exp(-logit))


def fitted(outputs, inputs, x, y, *, loss, sample_weight=None, epochs=4):
    """A Keras model trained as the documentation says, its rate falling to nearly nothing."""
    model = keras.Model(inputs, outputs)
    batches = -(-len(x) // 1000) * epochs
    rate = keras.optimizers.schedules.CosineDecay(0.03, batches, alpha=0.01)
    model.compile(keras.optimizers.Adam(rate), loss=loss)
    model.fit(x, y, sample_weight=sample_weight, batch_size=1000, epochs=epochs, verbose=0)
    return model


def test_at_the_unweighted_log_odds_of_its_known_rows_each_labels_weighted_loss_has_no_slope():
    rng = np.random.default_rng(1)
    labels = (rng.random((5000, 3)) < [0.3, 0.05, 0.004]).astype(np.float32)
    labels[rng.random((5000, 3)) < [0, 0.2, 0.6]] = np.nan
    weights = class_weights(count_known(labels), "balanced", power=0.7, cap=40)
    rate = np.nanmean(labels, axis=0, dtype=np.float64)
    logit = tf.Variable(np.log(rate / (1 - rate)))
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(
            weighted_cross_entropy(labels, logit + tf.zeros((5000, 1), tf.float64), **weights.for_loss())
        )
    assert np.abs(tape.gradient(loss, logit)).max() < FAINT / 100
    with tf.GradientTape() as tape:
        plain = {**weights.for_loss(), "offset": 0.0}
        loss = tf.reduce_mean(weighted_cross_entropy(labels, logit + tf.zeros((5000, 1), tf.float64), **plain))
    assert np.abs(tape.gradient(loss, logit)).min() > FAINT * 100


@pytest.mark.parametrize("unknown", [0.0, 0.3])
def test_twenty_three_labels_with_weights_of_their_own_end_in_probabilities_on_unseen_rows(unknown):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(160_000, 6)).astype(np.float32)
    taste = rng.normal(size=(6, LABELS)) * 0.5
    labels = (rng.random((len(x), LABELS)) < sigmoid(x @ taste - np.linspace(1.2, 3.0, LABELS))).astype(np.float32)
    seen, later = slice(0, 80_000), slice(80_000, None)
    train = np.where(rng.random(labels[seen].shape) < unknown, np.nan, labels[seen])
    weights = class_weights(count_known(train), {n: (1.0, 5.0 + n) for n in range(LABELS)})
    inputs = keras.Input((6,))
    keras.utils.set_random_seed(3)
    model = fitted(
        keras.layers.Dense(LABELS)(inputs), inputs, x[seen], train, loss=WeightedCrossEntropy(**weights.for_loss())
    )
    p = sigmoid(model.predict(x[later], batch_size=20_000, verbose=0))
    assert labels[later].sum(axis=0).min() > 5000
    ratio = p.sum(axis=0) / labels[later].sum(axis=0)
    assert (ratio > 0.93).all()
    assert (ratio < 1.07).all()


@pytest.fixture(scope="module")
def shop():
    """What was bought (three classes), whether it was returned, and two interests, of the same rows."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=(60_000, 4)).astype(np.float32)
    scores = x[:, :3] * 0.5 + np.array([0, -1.0, -2.0])
    bought = (scores + rng.gumbel(size=scores.shape)).argmax(axis=1)
    returned = (rng.random(len(x)) < sigmoid(x[:, 3] - 2)).astype(np.int64)
    interests = (rng.random((len(x), 2)) < sigmoid(x[:, :2] - [1, 2])).astype(np.float32)
    return x, {"bought": bought, "returned": returned, "interests": interests}


def outputs_of(inputs):
    widths = {"bought": 3, "returned": 1, "interests": 2}
    return {name: keras.layers.Dense(width, name=name)(inputs) for name, width in widths.items()}


def test_named_outputs_binary_categorical_and_several_labels_are_each_weighted_and_undone(shop):
    x, y = shop
    weights = {
        "bought": class_weights(y["bought"]),
        "returned": class_weights(y["returned"]),
        "interests": class_weights(y["interests"], multi_label=True),
    }
    given = {"bought": np.eye(3)[y["bought"]], "returned": y["returned"][:, None], "interests": y["interests"]}
    inputs = keras.Input((4,))
    keras.utils.set_random_seed(5)
    model = fitted(outputs_of(inputs), inputs, x, given, loss=output_losses(weights), epochs=6)
    logits = model.predict(x, batch_size=20_000, verbose=0)
    shares = tf.nn.softmax(logits["bought"]).numpy().sum(axis=0) / given["bought"].sum(axis=0)
    assert shares == pytest.approx(np.ones(3), abs=0.08)
    for name in ("returned", "interests"):
        ratio = sigmoid(logits[name]).sum(axis=0) / given[name].sum(axis=0)
        assert ratio == pytest.approx(np.ones_like(ratio), abs=0.08)


def test_keras_refuses_class_weights_for_several_outputs_and_takes_a_sample_weight_each(shop):
    x, y = (x := shop[0][:1000]), {name: shop[1][name][: len(x)] for name in ("bought", "returned")}
    weights = {name: class_weights(labels) for name, labels in y.items()}
    inputs = keras.Input((4,))
    outputs = outputs_of(inputs)
    model = keras.Model(inputs, {name: outputs[name] for name in y})
    losses = {
        "bought": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        "returned": keras.losses.BinaryCrossentropy(from_logits=True),
    }
    model.compile(keras.optimizers.SGD(0.0), loss=losses)
    given = {"bought": y["bought"], "returned": y["returned"][:, None]}
    with pytest.raises(ValueError, match="only supported for Models with a single output"):
        model.fit(x, given, class_weight={"bought": {0: 1.0, 1: 2.0, 2: 3.0}}, verbose=0)
    each = output_sample_weights(weights, y)
    logs = model.fit(x, given, sample_weight=each, batch_size=1000, verbose=0).history
    logits = model.predict(x, batch_size=1000, verbose=0)
    bought = tf.nn.sparse_softmax_cross_entropy_with_logits(y["bought"], logits["bought"]).numpy()
    returned = np.logaddexp(0, logits["returned"][:, 0] * (1 - 2 * y["returned"]))
    expected = (each["bought"] * bought).mean() + (each["returned"] * returned).mean()
    assert logs["loss"][0] == pytest.approx(expected, rel=1e-4)


def test_a_row_whose_class_is_unknown_weighs_nothing_in_that_output_alone():
    weights = {
        "a": class_weights(["x", "y", "y"]),
        "b": class_weights([0, 1, 1, 1]),
        "c": class_weights(np.eye(2)[[0, 1, 1]]),
    }
    labels = {"a": ["x", None, "y"], "b": [np.nan, 1, 0], "c": np.array([[1, 0], [np.nan, 0], [0, 1]])}
    made = output_sample_weights(weights, labels, np.array([1.0, 1.0, 2.0]))
    assert made["a"] == pytest.approx([1.5, 0, 2 * 0.75])
    assert made["b"] == pytest.approx([0, 4 / 6, 2 * 2])
    assert made["c"] == pytest.approx([1.5, 0, 2 * 0.75])
    filled, known = known_labels(labels["a"], weights["a"])
    assert filled.tolist() == ["x", "x", "y"]
    assert known.tolist() == [True, False, True]


def test_what_one_weight_a_row_cannot_tell_apart_is_refused():
    with pytest.raises(UsageError, match="output 'a': expected one class a row, received 2 labels"):
        output_sample_weights({"a": class_weights(np.eye(2), multi_label=True)}, {"a": np.eye(2)})
    with pytest.raises(UsageError, match="expected a matrix of 0, 1 and NaN"):
        count_known(np.full((2, 2), 3))


def test_the_joint_logit_is_that_of_the_product_and_has_a_slope_at_any_logit():
    a, b = np.meshgrid([-100.0, -20.0, -2.0, 0.0, 3.0, 20.0, 100.0], [-100.0, -5.0, 0.5, 30.0, 100.0])
    middle = (np.abs(a) < 10) & (np.abs(b) < 10)
    product = sigmoid(a[middle]) * sigmoid(b[middle])
    joint = joint_logit(a, b).numpy()
    assert joint[middle] == pytest.approx(np.log(product / (1 - product)))
    assert joint_logit(-100.0, -100.0).numpy() == pytest.approx(-200)
    first, second = tf.Variable(a, dtype=tf.float32), tf.Variable(b, dtype=tf.float32)
    with tf.GradientTape() as tape:
        value = joint_logit(first, second)
    slopes = np.stack(tape.gradient(value, [first, second]))
    assert np.isfinite(value).all()
    assert ((slopes >= 0) & (slopes <= 1)).all()  # dlogit(pq)/da = (1 − p)/(1 − pq)
    assert (slopes.sum(axis=0) > 0.99).all()


@pytest.fixture(scope="module")
def items():
    """Impressions of many items of which the good ones are clicked, and then bought, far more often."""
    rng = np.random.default_rng(6)
    quality = rng.normal(size=ITEMS)
    item = rng.integers(0, len(quality), 60_000)
    clicked = rng.random(len(item)) < sigmoid(quality[item] - 2.5)
    bought_if_clicked = sigmoid(quality[item] - 1.0)
    return item, clicked, clicked & (rng.random(len(item)) < bought_if_clicked), bought_if_clicked


def test_conversions_learnt_over_all_impressions_are_not_biased_by_who_clicked(items):
    item, clicked, bought, truth = items
    inputs = keras.Input((), dtype="int32")

    def buys(rows, *, shared):
        """pCVR of every impression, learnt beside the clicks from all of them, or from clicked rows alone."""
        keras.utils.set_random_seed(7)
        quality = keras.layers.Embedding(ITEMS, 1, embeddings_initializer="zeros")(inputs)
        click = keras.layers.Dense(1, kernel_initializer="ones", bias_initializer=keras.initializers.Constant(-2))(
            quality
        )
        buy = keras.layers.Dense(1, kernel_initializer="ones")(quality)
        joint = keras.layers.Lambda(lambda pair: joint_logit(*pair))([click, buy])
        outputs = {"click": click, "both": joint} if shared else {"buy": buy}
        y = {"click": clicked, "both": bought} if shared else {"buy": bought}
        y = {name: values[rows].astype(np.float32)[:, None] for name, values in y.items()}
        loss = {name: keras.losses.BinaryCrossentropy(from_logits=True) for name in y}
        fitted(outputs, inputs, item[rows], y, loss=loss, epochs=4)
        return sigmoid(keras.Model(inputs, buy).predict(item, batch_size=20_000, verbose=0)[:, 0])

    everything = buys(np.arange(len(item)), shared=True)
    clicked_alone = buys(np.flatnonzero(clicked), shared=False)
    assert 0.95 < everything.sum() / truth.sum() < 1.05
    assert clicked_alone.sum() / truth.sum() > 1.2
