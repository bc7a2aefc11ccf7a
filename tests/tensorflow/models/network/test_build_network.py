"""Rules of the networks."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ctr_retrain.models.architectures.network_parts import NetworkParts
from ctr_retrain.models.architectures.shipped_networks import NETWORKS, Network
from ctr_retrain.models.feature_kinds.categorical import Categorical
from ctr_retrain.models.feature_kinds.clock import Hour
from ctr_retrain.models.feature_kinds.numeric import Numeric
from ctr_retrain.models.features.embedding import EMBEDDING_TABLE
from ctr_retrain.models.features.standardize import NumericState, StandardizedNumbers
from ctr_retrain.models.network.build_network import build_network
from ctr_retrain.models.recipe.channel_section import Channel, Cost
from ctr_retrain.models.recipe.gate_section import Gate
from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.models.recipe.training_section import Training
from tests.support.documented import documented_module
from tests.support.known_values import of_rows

DOCUMENTED = "wide_and_deep"  # the worked example of docs/extending.md
EVERY = [*NETWORKS, DOCUMENTED]
FEATURES = (
    of_rows(Categorical(name="user"), 5000),
    Hour(name="hour"),
    Numeric(name="age", encoding="standardized"),
    Numeric(name="bid", transform="log", encoding="standardized"),
)
STATE = NumericState((False, True), (3.0, 0.5), (2.0, 1.5))
BASE_LOG_ODDS = -4.25
PARTS = NetworkParts((8, 4), 2, "float32", iter(range(9)), BASE_LOG_ODDS)


@pytest.fixture(autouse=True)
def _registered(monkeypatch, tmp_path):
    network = Network(documented_module("wide_and_deep.py", tmp_path).wide_and_deep)
    monkeypatch.setitem(NETWORKS, DOCUMENTED, network)


def recipe(network, features=FEATURES):
    return Recipe(
        name="small",
        channels={"ad": Channel(positive_ratio=(0, 1), cost=Cost(true_positive=-1, false_positive=0.02))},
        features=features,
        training=Training(network=network, embedding_dim=3, hidden_units=(8, 4)),
        gate=Gate(max_cost_delta_per_1000=1, max_channel_cost_delta_per_1000=1),
    )


def build(network, seed=7):
    return build_network(recipe(network), STATE, BASE_LOG_ODDS, seed)


def table_of(model):
    return next(variable for variable in model.trainable_variables if variable.name == EMBEDDING_TABLE)


def rows(n=5):
    rng = np.random.default_rng(3)
    ids = np.stack([rng.integers(0, 5000, n), rng.integers(5000, 5025, n)], axis=1).astype(np.int32)
    return {"ids": tf.constant(ids), "numeric": tf.constant(rng.normal(size=(n, 2)).astype(np.float32))}


@pytest.mark.parametrize("network", EVERY)
def test_a_network_answers_one_finite_logit_a_row(network):
    logit = build(network)(rows())
    assert logit.shape == (5, 1)
    assert np.isfinite(logit.numpy()).all()


@pytest.mark.parametrize("network", EVERY)
def test_the_output_bias_starts_at_the_base_log_odds(network):
    model = build(network)
    biases = [float(v.numpy()[0]) for v in model.trainable_variables if v.name == "bias" and v.shape == (1,)]
    assert biases == [BASE_LOG_ODDS]
    for variable in model.trainable_variables:
        if variable.name != "bias":
            variable.assign(tf.zeros_like(variable))
    assert model(rows()).numpy() == pytest.approx(BASE_LOG_ODDS)  # and reaches the logit untouched


@pytest.mark.parametrize("network", EVERY)
def test_the_gradient_of_the_table_names_only_the_batchs_rows(network):
    model, batch = build(network), rows()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(batch))
    gradient = tape.gradient(loss, table_of(model).value)
    assert isinstance(gradient, tf.IndexedSlices)
    assert gradient.indices.numpy().tolist() == batch["ids"].numpy().reshape(-1).tolist()


@pytest.mark.parametrize("network", EVERY)
def test_the_table_is_never_read_as_a_whole(network):
    model = build(network)
    graph = tf.function(model).get_concrete_function(rows()).graph
    table = next(op.outputs[0] for op in graph.get_operations() if op.type == "ResourceGather").op.inputs[0]
    readers = {op.type for op in graph.get_operations() if any(tensor is table for tensor in op.inputs)}
    assert readers == {"ResourceGather"}  # a ReadVariableOp would make TensorFlow copy it at each update


def test_the_table_has_a_row_for_each_value_and_a_linear_column():
    assert table_of(build("deepfm")).shape == (5000 + 25, 3 + 1)
    assert table_of(build("logistic_regression")).shape == (5000 + 25, 1)


@pytest.mark.parametrize("network", EVERY)
def test_the_seed_decides_the_initial_weights(network):
    first, again, other = build(network), build(network), build(network, seed=8)
    assert all(np.array_equal(a, b) for a, b in zip(first.get_weights(), again.get_weights(), strict=True))
    assert not np.array_equal(table_of(first).numpy(), table_of(other).numpy())


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras reads TensorFlow's variables
@pytest.mark.parametrize("network", EVERY)
def test_a_saved_network_answers_the_same(network, tmp_path):
    model, batch = build(network), rows()
    model.save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras")
    assert np.array_equal(loaded(batch).numpy(), model(batch).numpy())


@pytest.mark.parametrize("network", EVERY)
@pytest.mark.parametrize("kept", [("user",), ("age",)])
def test_a_recipe_without_numbers_or_without_ids_has_a_network_too(network, kept):
    features = tuple(feature for feature in FEATURES if feature.name in kept)
    state = NumericState((False,), (0.0,), (1.0,)) if kept == ("age",) else NumericState((), (), ())
    model = build_network(recipe(network, features), state, BASE_LOG_ODDS, 7)
    given = {"ids": rows()["ids"][:, : kept == ("user",)], "numeric": rows()["numeric"][:, : kept == ("age",)]}
    assert np.isfinite(model(given).numpy()).all()


def test_numbers_are_standardised_clipped_and_flagged_where_missing():
    layer = StandardizedNumbers({"log": STATE.log, "mean": STATE.mean, "scale": STATE.scale})
    raw = np.array([[5, np.e - 1], [np.nan, np.nan], [np.inf, -np.inf], [-1, 1 - np.e]], np.float32)
    expected = [
        [1, (1 - 0.5) / 1.5, 0, 0],
        [0, 0, 1, 1],
        [10, -10, 0, 0],
        [-2, (-1 - 0.5) / 1.5, 0, 0],
    ]
    assert layer(raw).numpy() == pytest.approx(np.array(expected), abs=1e-6)


def test_linear_terms_add_the_last_column():
    embedded = tf.constant([[[1.0, 2.0, 10.0], [3.0, 4.0, 20.0]]])
    assert PARTS.linear_terms(embedded).numpy().tolist() == [[30]]


def test_pairwise_products_are_the_scalar_products_of_all_pairs():
    # (1, 2)·(3, 4) + (1, 2)·(5, 6) + (3, 4)·(5, 6) = 11 + 17 + 39; the linear column takes no part
    embedded = tf.constant([[[1.0, 2.0, 10.0], [3.0, 4.0, 20.0], [5.0, 6.0, 30.0]]])
    assert PARTS.pairwise_products(embedded).numpy().tolist() == [[67]]
