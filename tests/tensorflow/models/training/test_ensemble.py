"""Rules of ensembles: members of one form over one table, each trained by its own loss, served as their mean."""

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from ctr_retrain.models.errors import UsageError
from ctr_retrain.models.features.standardize import NumericState
from ctr_retrain.models.losses.training_losses import CrossEntropyByLabel, FocalLoss, MembersLoss
from ctr_retrain.models.network.build_network import build_network
from ctr_retrain.models.network.members import MEMBERS, member_logits
from ctr_retrain.models.network.shared_heads import frozen_below_output, output_layers
from ctr_retrain.models.recipe.head_section import Head
from ctr_retrain.models.training.compatibility import why_incompatible
from ctr_retrain.models.training.saved_network import named_weights, rebuild_network, trainable_of
from ctr_retrain.models.training.training_callback import FiniteBatches
from ctr_retrain.models.training.training_loop import logits_function, optimizer_for, train
from ctr_retrain.models.training.warm_start import SourceModel, transfer_weights
from tests.support.toy_training import batches_of, factors_of, recipe, toy, trained

STATE = NumericState((False,), (0.0,), (1.0,))
HEADS = (Head(kind="buy", weight=1.0, after="click"), Head(kind="leave", weight=1.0))
OWN = """
import keras
def build(embedded, numeric, training):
    return keras.layers.Dense(1)({layer}(numeric))
"""
TRAINED = [{}, {"network": "dcn_v2", "precision": "mixed"}, {"loss": "focal"}, {"embedding_optimizer": "lazy_adam"}]


def built(heads=(), **training):
    rules = recipe(**{"ensemble": 2} | training)
    rules = rules.model_copy(update={"training": rules.training.model_copy(update={"heads": heads})})
    return build_network(rules, STATE, -2.0, 7)


def members_of(network):
    return [keras.Model(network.input, logit) for logit in member_logits(network)]


def sigmoid(logit):
    return 1 / (1 + np.exp(-logit.astype(float)))


def log_loss(rows, logit):
    return float((np.logaddexp(0, logit.astype(float)) - rows.label * logit).mean())


@pytest.fixture(scope="module")
def rows():
    return toy(n=20_000)


def test_one_network_is_no_ensemble():
    network = built(ensemble=1)
    assert MEMBERS not in [layer.name for layer in network.layers]
    assert [logit is network.output for logit in member_logits(network)] == [True]


@pytest.mark.parametrize("options", [{}, {"network": "dcn_v2", "ensemble": 3}, {"loss": "focal"}, {"heads": HEADS}])
def test_the_mean_of_the_members_logits_is_served(rows, options):
    network, (given, _) = built(**options), rows
    inputs = {"ids": given.ids[:50], "numeric": given.numeric[:50]}
    own = [member(inputs).numpy() for member in members_of(network)]
    assert len(own) == options.get("ensemble", 2)
    assert network(inputs).numpy() == pytest.approx(np.mean(own, axis=0), abs=1e-6)
    assert network.output.shape == (None, 1 + len(options.get("heads", ())))


def test_members_differ_in_each_of_their_weights_and_read_columns_of_their_own():
    network = built()
    table = np.asarray(network.get_layer("embedding").table)
    assert table.shape == (50, 2 * (4 + 1))
    assert not np.isclose(*np.split(table, 2, axis=1)).any()
    kernels = [layer.kernel.numpy() for layer in network.layers if isinstance(layer, keras.layers.Dense)]
    for kernel in kernels:
        assert sum(np.array_equal(kernel, other) for other in kernels) == 1
    for member in members_of(network):
        assert len([layer for layer in member.layers if layer.trainable_weights]) == 3  # the table, two of its own


def test_each_member_has_the_gradient_that_it_would_have_alone():
    label = tf.constant([[1.0], [0.0], [1.0]])
    logit, weight = tf.Variable([[0.5, -1.0], [2.0, 0.1], [-3.0, 4.0]]), tf.constant([1.0, 2.0, 0.5])
    for of_one in (keras.losses.BinaryCrossentropy(from_logits=True), FocalLoss(2.0)):
        with tf.GradientTape(persistent=True) as tape:
            together = MembersLoss(of_one, 2)(label, logit, sample_weight=weight)
            alone = [of_one(label, logit[:, member : member + 1], sample_weight=weight) for member in (0, 1)]
        assert float(together) == pytest.approx(float(sum(alone)) / 2)
        own = sum(tape.gradient(loss, logit) for loss in alone)
        assert tape.gradient(together, logit).numpy() == pytest.approx(own.numpy(), abs=1e-7)


def test_with_heads_each_member_has_all_labels_and_one_that_is_unknown_counts_nothing():
    label, weight = tf.constant([[1.0, np.nan], [0.0, 1.0]]), tf.constant([[1.0, 0.0], [2.0, 3.0]])
    logit = tf.constant([[0.5, -1.0, 0.3, 9.0], [2.0, 0.1, -1.0, 4.0]])
    alone = [CrossEntropyByLabel()(label, part, sample_weight=weight) for part in (logit[:, :2], logit[:, 2:])]
    found = MembersLoss(CrossEntropyByLabel(), 2)(label, logit, sample_weight=weight)
    assert float(found) == pytest.approx(float(sum(alone)) / 2)


def test_a_member_that_is_no_number_is_noticed():
    metric = FiniteBatches()
    metric.update_state(tf.constant([[1.0]]), tf.constant([[0.5, 0.1]]), tf.constant([1.0]))
    metric.update_state(tf.constant([[1.0]]), tf.constant([[0.5, np.nan]]), tf.constant([1.0]))
    assert float(metric.result()) == 1


@pytest.mark.parametrize("options", TRAINED)
def test_members_learn_side_by_side_and_their_mean_is_better_than_each(rows, options):
    given, truth = rows
    network, result = trained(given, ensemble=2, learning_rate=0.01, **options)
    logits = [logits_function(member)(given.ids, given.numeric) for member in members_of(network)]
    assert all(np.corrcoef(logit, truth)[0, 1] > 0.95 for logit in logits)
    assert not np.allclose(*logits, atol=0.05)
    both = logits_function(network)(given.ids, given.numeric)
    assert log_loss(given, both) < np.mean([log_loss(given, logit) for logit in logits])
    assert 0.9 < sigmoid(both).sum() / given.label.sum() < 1.1  # class weights are undone in each member
    alone = trained(given, learning_rate=0.01, **options)[1]
    assert result.history[-1][1] == pytest.approx(alone.history[-1][1], rel=0.05)  # on one scale


def test_ripe_rows_train_to_the_same_weights_with_and_without_the_observation_layer():
    given, _ = toy(4000)
    without, _ = trained(given, ensemble=2)
    ripe, _ = trained(replace(given, maturity=np.ones(len(given), np.float32)), ensemble=2)
    assert all(np.array_equal(*pair) for pair in zip(without.get_weights(), ripe.get_weights(), strict=True))


@pytest.mark.parametrize(("heads", "count"), [((), 2), (HEADS, 4)])
def test_below_the_output_layers_of_all_members_nothing_moves_while_it_is_frozen(rows, heads, count):
    network, given = built(heads), rows[0]
    names = {layer.name for layer in output_layers(network)}
    assert len(names) == count
    before = {layer.name: layer.get_weights() for layer in network.layers}
    with frozen_below_output(network):
        train(network, batches_of(given, factors_of(given), recipe()), recipe(ensemble=2).training)
    for layer in network.layers:
        moved = [not np.array_equal(*pair) for pair in zip(before[layer.name], layer.get_weights(), strict=True)]
        assert any(moved) == (layer.name in names and "heads" not in layer.name and bool(moved))


def test_an_ensemble_is_stored_restored_and_started_from_by_name(rows):
    given, rules = rows[0], recipe(ensemble=2)
    network, batches = built(), batches_of(given, factors_of(given), rules)
    optimizer = optimizer_for(network, batches, rules.training)
    train(network, batches, rules.training, optimizer=optimizer)
    trainable = trainable_of(network, optimizer, rules.features)
    again = rebuild_network(trainable, rules, STATE)
    warm = build_network(rules, STATE, -2.0, 8)
    transferred, _ = transfer_weights(warm, rules, SourceModel(rules, STATE, trainable), None)
    assert transferred.fresh_layers == ()
    for other in (again, warm):
        for name, weight in named_weights(other).items():
            assert np.array_equal(weight, named_weights(network)[name]), name


def test_another_number_of_members_is_another_network():
    assert why_incompatible(recipe(ensemble=2), recipe()) == "its training.ensemble is 0, the recipe's 2"


@pytest.mark.parametrize("layer", ["keras.layers.Dense(4)", "keras.layers.Dense(4, name='hidden')"])
def test_of_a_network_of_ones_own_members_are_made_unless_it_names_its_layers(layer):
    own = {"network": "own.py:build", "network_source": OWN.format(layer=layer)}
    if "name" not in layer:
        assert len(members_of(built(**own))) == 2
        return
    with pytest.raises(UsageError, match="makes the network 2 times, received several named hidden"):
        built(**own)
