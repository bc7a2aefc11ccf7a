"""Rules of a network kept as it can be trained on: what comes back is what was there."""

import keras
import numpy as np
import pytest

from ctr_retrain.models.errors import StorageError
from ctr_retrain.models.feature_kinds.kinds import feature_of
from ctr_retrain.models.features.standardize import NumericState
from ctr_retrain.models.network.build_network import build_network
from ctr_retrain.models.training.saved_network import (
    load_trainable,
    named_layers,
    named_slots,
    rebuild_network,
    save_trainable,
    trainable_of,
)
from ctr_retrain.models.training.training_loop import logits_function, optimizer_for, train
from ctr_retrain.models.training.training_state import capture, restore
from tests.support.toy_training import FEATURES, batches_of, factors_of, recipe, toy, trained

STATE = NumericState((False,), (0.0,), (1.0,))


def flat(embedded, numeric, training):
    """A network of the recipe's own."""
    return keras.layers.Dense(1)(keras.layers.Concatenate()([keras.layers.Flatten()(embedded), numeric]))


@pytest.mark.parametrize("network", ["deepfm", f"{__name__}:flat"])
def test_a_network_comes_back_with_its_optimizer_and_goes_on_as_if_it_had_stayed(tmp_path, network):
    rows, _ = toy(n=2_000)
    rules, factors = recipe(network=network), factors_of(rows)
    network, _ = trained(rows, network=network)
    batches = batches_of(rows, factors, rules)
    optimizer = optimizer_for(network, batches, rules.training)
    train(network, batches, rules.training, optimizer=optimizer)
    save_trainable(trainable_of(network, optimizer, rules.features), tmp_path / "trainable")
    kept = load_trainable(tmp_path / "trainable")
    unfitted = tuple(feature_of(feature.model_dump()) for feature in rules.features)
    again = rebuild_network(kept, rules.model_copy(update={"features": unfitted}), STATE)
    assert np.array_equal(
        logits_function(again)(rows.ids, rows.numeric), logits_function(network)(rows.ids, rows.numeric)
    )

    slots = optimizer_for(again, batches, rules.training)
    slots.build(again.trainable_variables)
    assert restore(kept.optimizer, slots)
    assert any(np.abs(array).sum() for array in kept.optimizer[1:])
    for model, with_slots in ((network, optimizer), (again, slots)):
        train(model, batches, rules.training, optimizer=with_slots)
    for first, second in zip(capture(network, optimizer), capture(again, slots), strict=True):
        assert np.array_equal(first, second)


def test_a_folder_without_variables_and_a_recipe_of_another_network_are_refused(tmp_path):
    with pytest.raises(StorageError, match="expected a network's variables as training left them"):
        load_trainable(tmp_path)
    network, _ = trained(toy(n=500)[0])
    save_trainable(trainable_of(network, keras.optimizers.SGD(), FEATURES), tmp_path / "trainable")
    with pytest.raises(StorageError, match="expected those of network 'deepfm' as the recipe describes it"):
        rebuild_network(load_trainable(tmp_path / "trainable"), recipe(embedding_dim=5), STATE)


def test_layers_and_slots_are_named_alike_in_any_process():
    rows, _ = toy(n=500)
    rules = recipe(network="dcn_v2", cross_layers=2)
    for _ in range(2):  # Keras counts on from the first
        network = build_network(rules, STATE, -2.0, 7)
        optimizer = optimizer_for(network, batches_of(rows, factors_of(rows), rules), rules.training)
        optimizer.build(network.trainable_variables)
        layers = ["cross_layer", "cross_layer_1", "dense", "dense_1", "embedding"]
        assert sorted(named_layers(network)) == layers
        slots = set(named_slots(optimizer, network))
        assert {"embedding/0 embedding_table: accumulator", "dense_1/1 bias: velocity"} <= slots
        assert sum(": " in slot for slot in slots) == 1 + 2 * 2 * 4  # two moments each of kernel and bias
