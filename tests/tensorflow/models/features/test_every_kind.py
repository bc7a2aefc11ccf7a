"""Rules that every registered kind of feature keeps, offline and served alike, and that of docs/extending.md too."""

import numpy as np
import pytest
import tensorflow as tf

from ctr_retrain.models.feature_kinds.arrow_columns import as_numbers, as_texts, as_times
from ctr_retrain.models.feature_kinds.feature import IdFeature, NumberFeature
from ctr_retrain.models.feature_kinds.kinds import KINDS
from ctr_retrain.models.features.encoder import FeatureEncoder, encode
from ctr_retrain.models.features.standardize import fit_numeric_state
from ctr_retrain.models.features.table_layout import field_offsets, raw_columns
from ctr_retrain.models.network.build_network import build_network
from ctr_retrain.models.recipe.channel_section import Channel, Cost
from ctr_retrain.models.recipe.gate_section import Gate
from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.models.recipe.training_section import Training
from ctr_retrain.models.serving.bundle import save_serving, serving_model
from ctr_retrain.models.serving.calibration import Calibration
from ctr_retrain.models.serving.scorer import Scorer
from ctr_retrain.models.training.training_loop import logits_function
from tests.support.documented import documented_module
from tests.support.example_features import example_of, table_of
from tests.support.known_values import fitted

DOCUMENTED = "prefix"  # the worked example of docs/extending.md
CASTS = {"string": as_texts, "float32": as_numbers, "int64": as_times}


@pytest.fixture(autouse=True)
def _registered(monkeypatch, tmp_path):
    monkeypatch.setitem(KINDS, DOCUMENTED, documented_module("prefix.py", tmp_path).Prefix)


def recipe_of(feature):
    gate = Gate(max_cost_delta_per_1000=1, max_channel_cost_delta_per_1000=1)
    channels = {"ad": Channel(positive_ratio=(0, 1), cost=Cost(true_positive=-1, false_positive=0.02))}
    training = Training(embedding_dim=3, hidden_units=(4,))
    return Recipe(name="one", channels=channels, features=(feature,), gate=gate, training=training)


def fitted_example(name):
    """A feature of the kind that knows most values of a table, and the table."""
    table = table_of(example_of(name))
    (feature,) = fitted(table.slice(0, len(table) - 2), (example_of(name),))
    return feature, table


@pytest.mark.parametrize("name", [*KINDS, DOCUMENTED])
def test_a_kind_encodes_alike_offline_and_in_the_served_graph(name):
    feature, table = fitted_example(name)
    columns = {
        column: tf.constant(CASTS[dtype](table[column].combine_chunks(), column))
        for column, dtype in raw_columns((feature,)).items()
    }
    offline, graph = encode(table, (feature,)), FeatureEncoder([feature])(columns)
    assert np.array_equal(offline.ids, graph["ids"].numpy()), f"{name}: encode and encode_in_graph differ"
    assert offline.numeric.tobytes() == graph["numeric"].numpy().tobytes()


@pytest.mark.parametrize("name", [*KINDS, DOCUMENTED])
def test_a_missing_value_has_the_first_row_and_no_value_a_row_of_another_feature(name):
    feature, table = fitted_example(name)
    encoded = encode(table, (feature,))
    if isinstance(feature, IdFeature):
        rows = encoded.ids
        assert (rows[0] == 0).all(), f"{name}: a missing value must be encoded as row 0"
        assert (rows[1] > 0).any(), f"{name}: row 0 is for missing values alone"
    elif feature.table_rows:
        assert isinstance(feature, NumberFeature)
        edges = feature.fit_edges(encoded.numeric[:, 0])
        rows = feature.find_row(tf.constant(encoded.numeric[:, 0]), edges).numpy()
        assert rows[0] == 0, f"{name}: find_row must give row 0 for NaN"
        assert (rows[1:] > 0).all(), f"{name}: row 0 is for missing values alone"
    else:
        assert np.isnan(encoded.numeric[0, 0])
        return
    assert rows.min() >= 0
    assert rows.max() < feature.table_rows == field_offsets((feature,))[-1]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras reads TensorFlow's variables
@pytest.mark.parametrize("name", [*KINDS, DOCUMENTED])
def test_a_network_learns_from_a_kind_and_serves_what_it_learnt(name, tmp_path):
    feature, table = fitted_example(name)
    recipe = recipe_of(feature)
    encoded = encode(table, recipe.features)
    model = build_network(recipe, fit_numeric_state([encoded.numeric], recipe.features), -3.0, 7)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(model({"ids": encoded.ids, "numeric": encoded.numeric}))
    gradients = tape.gradient(total, model.trainable_variables)
    assert any(np.abs(np.asarray(tf.convert_to_tensor(g))).max() > 0 for g in gradients if g is not None)
    calibration = Calibration(method="identity", rows=0, positives=0)
    save_serving(serving_model(model, recipe, calibration), tmp_path / "serving")
    expected = calibration.apply(logits_function(model)(encoded.ids, encoded.numeric))
    assert np.abs(Scorer(tmp_path / "serving").score(table) - expected).max() < 1e-6
