"""Rules of the kinds of features: recipe, encoding and served graph of each say the same."""

import re

import keras
import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ctr_retrain.models.documents.training_documents import FieldValues
from ctr_retrain.models.feature_kinds.arrow_columns import as_numbers, as_texts, as_times
from ctr_retrain.models.feature_kinds.bucketed import Bucketed, quantile_edges
from ctr_retrain.models.feature_kinds.categorical import Categorical
from ctr_retrain.models.feature_kinds.clock import HOUR_MICROSECONDS, Hour, Weekday
from ctr_retrain.models.feature_kinds.crossed import Crossed
from ctr_retrain.models.feature_kinds.feature import encoding_of
from ctr_retrain.models.feature_kinds.fingerprints import sharing_mistakes
from ctr_retrain.models.feature_kinds.kinds import feature_of
from ctr_retrain.models.feature_kinds.multi_valued import MultiValued
from ctr_retrain.models.feature_kinds.numeric import Numeric
from ctr_retrain.models.features.encoder import FeatureEncoder, encode
from ctr_retrain.models.features.field_layers import ExtraNumbers, NumberRows, PooledFields
from ctr_retrain.models.features.standardize import fit_numeric_state
from ctr_retrain.models.features.table_layout import field_offsets, raw_columns, slots
from ctr_retrain.models.network.build_network import build_network
from ctr_retrain.models.recipe.channel_section import Channel, Cost
from ctr_retrain.models.recipe.gate_section import Gate
from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.models.recipe.training_section import Training
from ctr_retrain.models.serving.bundle import save_serving, serving_model
from ctr_retrain.models.serving.calibration import Calibration
from ctr_retrain.models.serving.scorer import Scorer
from ctr_retrain.models.training.training_loop import logits_function
from tests.support.known_values import fitted, of_rows, told

USER = of_rows(Categorical(name="user"), 50)
TAGS = of_rows(MultiValued(name="tags", max_values=3), 40)
ONE_TAG = of_rows(MultiValued(name="first_tag", column="tags", max_values=1, pooling="sum"), 40)
PAIR = of_rows(Crossed(name="user_x_tags", columns=("user", "tags")), 1000)
PRICE = Bucketed(name="price", quantiles=4)
AGE = Bucketed(name="age", edges=(18, 65))
BID = Numeric(name="bid", column="price", transform="log", encoding="standardized")
HOUR = Hour(name="hour", harmonics=2)
ALL = (USER, PRICE, TAGS, HOUR, BID, PAIR, ONE_TAG, AGE)

texts = st.none() | st.text("ab|日\0 ", max_size=6) | st.sampled_from(["x" * 128, "|", "||", "a|b|a|b", "\x1f"])
floats = st.none() | st.floats(width=32, allow_infinity=True, allow_nan=True)
rows = st.fixed_dictionaries(
    {"user": texts, "tags": texts, "price": floats, "age": floats, "ts": st.none() | st.integers(-(2**50), 2**50)}
)
SCHEMA = pa.schema({"user": "string", "tags": "string", "price": "float64", "age": "float64", "ts": "int64"})


def recipe_of(features, network="deepfm"):
    gate = Gate(max_cost_delta_per_1000=1, max_channel_cost_delta_per_1000=1)
    channels = {"ad": Channel(positive_ratio=(0, 1), cost=Cost(true_positive=-1, false_positive=0.02))}
    training = Training(network=network, embedding_dim=3, hidden_units=(8,))
    return Recipe(name="all", channels=channels, features=features, gate=gate, training=training)


def in_graph(table, features):
    casts = {"string": as_texts, "float32": as_numbers, "int64": as_times}
    columns = {
        name: tf.constant(casts[dtype](table[name].combine_chunks(), name))
        for name, dtype in raw_columns(features).items()
    }
    return FeatureEncoder(features)(columns)


@settings(max_examples=30)
@given(st.lists(rows, min_size=1, max_size=12), st.lists(rows, max_size=12), st.booleans())
def test_offline_and_graph_agree_bit_for_bit_on_any_table(drawn, seen, dictionaries):
    table = pa.Table.from_pylist(drawn, SCHEMA)
    features = fitted(pa.Table.from_pylist(seen + drawn[::2], SCHEMA), ALL)
    offline, graph = encode(table, features), in_graph(table, features)
    if dictionaries:
        columns = [table["user"].dictionary_encode(), table["tags"].dictionary_encode(), *table.columns[2:]]
        again = encode(pa.table(columns, SCHEMA.names), features)
        assert np.array_equal(again.ids, offline.ids)
    assert offline.ids.dtype == graph["ids"].numpy().dtype == np.int32
    assert np.array_equal(offline.ids, graph["ids"].numpy())
    assert offline.numeric.tobytes() == graph["numeric"].numpy().tobytes()
    assert offline.ids.min() >= 0
    assert offline.ids.max() < field_offsets(features)[-1]


def test_the_table_has_the_rows_of_all_fields_bucketed_ones_last():
    assert slots(ALL) == 1 + 3 + 1 + 1 + 1  # user, tags, hour, pair, first tag
    assert field_offsets(ALL) == (0, 50, 90, 115, 1115, 1155, 1160, 1164)  # price: 1 + 4, age: 1 + 3


def test_values_of_a_text_take_the_first_slots_and_nothing_between_delimiters_is_no_value():
    table = pa.table({"tags": ["a|b", "b||a|", "", None, "a|b|c|d", "|"]})
    ids = encode(table, fitted(table, (TAGS,))).ids
    a, b = ids[0, :2]
    assert ids[:4].tolist() == [[a, b, 0], [b, a, 0], [0, 0, 0], [0, 0, 0]]
    assert ids[4, :2].tolist() == [a, b]
    assert ids[4, 2] != 0  # the third value; the fourth is cut off
    assert ids[5].tolist() == [0, 0, 0]


def test_a_pair_is_missing_where_either_is_and_differs_from_the_pair_turned_round():
    table = pa.table({"user": ["a", "b", "a", "", None], "tags": ["b", "a", None, "b", "b"]})
    ids = encode(table, fitted(table, (PAIR,))).ids[:, 0]
    assert ids[2:].tolist() == [0, 0, 0]
    assert 0 < ids[0] != ids[1] > 0


def test_a_bucket_begins_at_its_edge_and_missing_has_a_row_of_its_own():
    layer = NumberRows((USER, AGE, PRICE), [[18.0, 65.0], []])  # after the user's 50 rows 4 of the age, 5 of the price
    raw = tf.constant([[17.9, 0], [18, 1e9], [65, -1], [np.nan, np.nan], [np.inf, 3]], tf.float32)
    assert layer(raw).numpy().tolist() == [[51, 55], [52, 55], [53, 55], [50, 54], [53, 55]]


def test_quantile_edges_are_different_values_that_part_the_mass():
    assert quantile_edges(np.arange(1, 101, dtype=np.float32), 4) == (25, 50, 75)
    assert quantile_edges(np.array([0] * 90 + [1] * 10, np.float32), 4) == ()  # three quarters of it are one value
    assert quantile_edges(np.array([0] * 50 + [1] * 50, np.float32), 10) == (1,)
    assert quantile_edges(np.array([np.nan, np.inf], np.float32), 4) == ()


def test_edges_are_fitted_on_rows_evenly_spaced_or_taken_as_given():
    values = np.random.default_rng(1).permutation(2_000_003).astype(np.float32)
    chunks = (np.stack([part, part, part], axis=1) for part in np.array_split(values, 17))
    state = fit_numeric_state(chunks, (PRICE, AGE, BID))
    assert state.log == (True,)
    assert state.edges[1] == (18, 65)
    assert np.abs(np.array(state.edges[0]) / 2_000_003 - [0.25, 0.5, 0.75]).max() < 0.005


def test_hours_stand_on_a_circle_and_missing_ones_at_its_centre():
    weekday = Weekday(name="weekday", harmonics=1)
    features = (USER, HOUR, PRICE, weekday)
    hours = [0, 6, 23, None]
    day = 53 * 7 * 24  # hours to 1971-01-07, a Thursday
    times = pa.array([None if hour is None else (day + hour) * HOUR_MICROSECONDS for hour in hours], pa.int64())
    points = ExtraNumbers(features)(encode(pa.table({"ts": times}), features).ids).numpy()
    assert points.shape == (4, 2 * (2 + 1))
    thursday = 3 / 7
    for row, hour in enumerate(hours[:3]):
        turns = np.array([hour / 24, 2 * hour / 24, hour / 24, 2 * hour / 24, thursday, thursday])
        waves = (np.sin, np.sin, np.cos, np.cos, np.sin, np.cos)
        expected = [wave(2 * np.pi * turn) for wave, turn in zip(waves, turns, strict=True)]
        assert points[row] == pytest.approx(expected, abs=1e-6)
    assert points[3].tolist() == [0] * 6


@pytest.mark.parametrize(("pooling", "both"), [("mean", 2.0), ("sum", 4.0)])
def test_pooling_counts_values_that_are_there_and_the_missing_row_where_none_is(pooling, both):
    user, tags = of_rows(USER, 10), TAGS.model_copy(update={"pooling": pooling})
    layer = PooledFields((user, tags))
    ids = tf.constant([[5, 11, 12, 10], [6, 10, 10, 10]])
    embedded = tf.constant([[[9.0], [1.0], [3.0], [7.0]], [[8.0], [7.0], [7.0], [7.0]]])
    assert layer([embedded, ids]).numpy()[:, :, 0].tolist() == [[9, both], [8, 7]]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras reads TensorFlow's variables
@pytest.mark.parametrize("network", ["logistic_regression", "deepfm", "dcn_v2"])
def test_a_network_of_all_kinds_learns_from_each_and_comes_back_from_disk(network, tmp_path):
    recipe = recipe_of(ALL, network)
    table = pa.table(
        {"user": ["a", "b"], "tags": ["x|y", None], "price": [1.0, None], "age": [30.0, 70.0], "ts": [0, 1]}
    )
    encoded = encode(table, ALL)
    model = build_network(recipe, fit_numeric_state([encoded.numeric], ALL), -3.0, 7)
    inputs = {"ids": tf.constant(encoded.ids), "numeric": tf.constant(encoded.numeric)}
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(model(inputs))
    gradient = tape.gradient(total, model.get_layer("embedding").table.value)
    assert isinstance(gradient, tf.IndexedSlices)
    assert gradient.indices.shape[0] == 2 * (slots(ALL) + 2)
    assert set(gradient.indices.numpy().tolist()) >= {1155, 1160 + 2, 1160 + 3}  # the missing price, both ages
    model.save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras")
    assert np.array_equal(loaded(inputs).numpy(), model(inputs).numpy())
    calibration = Calibration(method="identity", rows=0, positives=0)
    save_serving(serving_model(model, recipe, calibration), tmp_path / "serving")
    expected = calibration.apply(logits_function(model)(encoded.ids, encoded.numeric))
    assert np.abs(Scorer(tmp_path / "serving").score(table) - expected).max() < 1e-6


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        (
            {"kind": "numeric", "buckets": 5},
            "expected of kind numeric only column, encoding, known_before, transform, received buckets",
        ),
        ({"kind": "crossed", "columns": ("a",)}, "expected columns to name two different ones"),
        ({"kind": "crossed"}, "expected columns to name two different ones"),
        ({"kind": "bucketed", "edges": (2, 1)}, "expected edges that rise"),
        (
            {"kind": "hour", "delimiter": ","},
            "expected of kind hour only column, harmonics, known_before, received delimiter",
        ),
    ],
)
def test_keys_that_a_kind_does_not_have_are_refused_by_name(mistake, words):
    with pytest.raises(ValidationError, match=f"feature 'f': {words}"):
        feature_of({"name": "f", **mistake})


CITY = Categorical(name="city", buckets=30)
BIRTHPLACE = Categorical(name="birthplace", buckets=30, shares="city")
VISITED = MultiValued(name="visited", buckets=30, max_values=2, shares="city")


def test_features_that_share_name_the_same_row_for_equal_values_and_rows_of_their_own_for_missing_ones():
    table = pa.table(
        {"city": ["Oslo", "Rome", None], "birthplace": ["Rome", None, None], "visited": ["Oslo|Riga", "", None]}
    )
    features = fitted(table, (BIRTHPLACE, CITY, VISITED))
    encoded = encode(table, features)
    assert field_offsets(features) == (0, 1, 1 + 2 + 3, 7)  # Oslo, Rome and Riga
    oslo, rome = encoded.ids[:2, 1]
    riga = encoded.ids[0, 3]
    assert {oslo, rome, riga} == {3, 4, 5}
    assert encoded.ids.tolist() == [[rome, oslo, oslo, riga], [0, rome, 6, 6], [0, 1, 6, 6]]
    assert np.array_equal(in_graph(table, features)["ids"].numpy(), encoded.ids)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"shares": "town"}, r"expected shares to be one of \['city'\], received 'town'"),
        ({"shares": "born_in"}, r"expected shares to be one of \['city'\], received 'born_in'"),
        ({"buckets": 40}, "expected the buckets and min_rows of 'city', .* 30 and 1, received 40 and 1"),
    ],
)
def test_features_that_cannot_share_are_refused(change, words):
    feature = Categorical.model_validate({"name": "born_in", "buckets": 30, "shares": "city"} | change)
    (mistake,) = sharing_mistakes((CITY, feature))
    assert re.search(words, mistake)


def test_neither_shared_rows_nor_bounds_nor_names_change_what_an_encoded_day_holds():
    plain = encoding_of((CITY, BIRTHPLACE))
    alone = Categorical(name="birthplace", min_rows=7)
    assert encoding_of((CITY.model_copy(update={"name": "town", "column": "city", "buckets": 0}), alone)) == plain


def test_values_on_too_few_rows_and_unseen_ones_share_a_row():
    three = {"min_rows": 3, "buckets": 0}
    features = (USER, CITY.model_copy(update=three), AGE, BIRTHPLACE.model_copy(update=three))
    cities, born = ["Oslo"] * 2 + ["Rome"] * 2 + [None], ["Oslo", None, None, None, None]
    table = pa.table({"user": ["a"] * 5, "city": cities, "birthplace": born, "age": [1.0] * 5})
    features, (users, found) = told(table, features)
    asked = pa.table({"city": ["Oslo", "Rome", "Bergen", None], "birthplace": ["Bergen", "Oslo", None, "Rome"]})
    # The user's rows are 0, 1 and 2; the city's 3 of a missing one, 4 of rare ones and 5 of Oslo, which stands on three
    # rows, once as a birthplace.
    assert encode(asked, features).ids[:, 1:].tolist() == [[5, 4], [4, 5], [4, 6], [3, 4]]
    assert users == FieldValues(name="user", values=1, own_rows=1, shared_share=0, cut_values=0, cut_share=0)
    assert (found.name, found.values, found.own_rows, found.cut_values) == ("city", 2, 1, 0)
    assert found.shared_share == pytest.approx(2 / 5)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras reads TensorFlow's variables
def test_rare_values_are_served_as_they_were_trained(tmp_path):
    table = pa.table({"city": ["Oslo", "Oslo", "Rome", None], "user": ["a", "b", "a", "b"]})
    recipe = recipe_of(fitted(table, (CITY.model_copy(update={"min_rows": 2}), USER)))
    model = build_network(recipe, fit_numeric_state([], recipe.features), -3.0, 7)
    model.get_layer("embedding").table.assign(np.arange(4 * 7).reshape(7, 4) / 1000)  # 3 rows of cities, 4 of users
    calibration = Calibration(method="identity", rows=0, positives=0)
    save_serving(serving_model(model, recipe, calibration), tmp_path / "serving")
    asked = pa.table({"city": ["Oslo", "Rome", "Bergen", None], "user": ["a"] * 4})
    oslo, rome, unseen, missing = Scorer(tmp_path / "serving").score(asked)
    assert rome == unseen
    assert len({oslo, rome, missing}) == 3
