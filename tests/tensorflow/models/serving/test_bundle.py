"""Rules of the served model."""

import re
import shutil
import subprocess
import sys

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from ctr_retrain.models.errors import DataRejectedError, StorageError
from ctr_retrain.models.feature_kinds.categorical import Categorical
from ctr_retrain.models.feature_kinds.clock import Hour
from ctr_retrain.models.feature_kinds.numeric import Numeric
from ctr_retrain.models.features.encoder import encode
from ctr_retrain.models.features.standardize import NumericState
from ctr_retrain.models.network.build_network import build_network
from ctr_retrain.models.recipe.channel_section import Channel, Cost
from ctr_retrain.models.recipe.gate_section import Gate
from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.models.recipe.training_section import Training
from ctr_retrain.models.serving.bundle import save_serving, serving_model, signature_names
from ctr_retrain.models.serving.calibration import Calibration
from ctr_retrain.models.serving.scorer import Scorer
from ctr_retrain.models.training.training_loop import logits_function
from tests.support.known_values import fitted

FEATURES = (
    Categorical(name="user_id"),
    Categorical(name="device"),
    Categorical(name="affinity", column="user-item affinity.0"),
    Hour(name="hour"),
    Numeric(name="age", encoding="standardized"),
    Numeric(name="bid", transform="log", encoding="standardized"),
)
# Bent, and steep enough that the tiny differences of an untrained network show.
CALIBRATION = Calibration(
    method="isotonic", rows=100_000, positives=6000, knots=(-3.3, -3.0, -2.7), values=(-9.0, -3.0, -1.0)
)

# All that another program needs: TensorFlow, and nothing of this code.
FOREIGN_SCORER = """
import sys, pyarrow.parquet as pq, tensorflow as tf
answer = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
columns = pq.read_table(sys.argv[2]).to_pydict()
dtypes = {name: spec.dtype for name, spec in answer.structured_input_signature[1].items()}
inputs = {name: tf.constant(columns[name], dtype) for name, dtype in dtypes.items()}
print(*[float(p) for p in answer(**inputs)["probability"].numpy()])
"""


def impressions(n=200):
    rng = np.random.default_rng(2)
    return pa.table(
        {
            "user_id": [f"u{number}" for number in rng.integers(0, 90, n)],
            "device": rng.choice(["ios", "android"], n),
            "user-item affinity.0": rng.integers(0, 5, n),
            "ts": pa.array(rng.integers(0, 10**15, n), pa.timestamp("us", "UTC")),
            "age": rng.normal(40, 10, n),
            "bid": rng.exponential(2, n),
            "note": ["not a feature"] * n,
        }
    )


@pytest.fixture(scope="module")
def recipe():
    return Recipe(
        name="small",
        channels={"ad": Channel(positive_ratio=(0, 1), cost=Cost(true_positive=-1, false_positive=0.02))},
        features=fitted(impressions(), FEATURES),
        training=Training(embedding_dim=4, hidden_units=(16,)),
        gate=Gate(max_cost_delta_per_1000=1, max_channel_cost_delta_per_1000=1),
    )


@pytest.fixture(scope="module")
def network(recipe):
    return build_network(recipe, NumericState((False, True), (40.0, 1.0), (10.0, 0.5)), -3.0, 7)


@pytest.fixture(scope="module")
def served(recipe, network, tmp_path_factory):
    path = tmp_path_factory.mktemp("bundle") / "serving"
    save_serving(serving_model(network, recipe, CALIBRATION), path)
    return path


@pytest.fixture(scope="module")
def scorer(served):
    return Scorer(served)


def test_served_probabilities_are_the_calibrated_logits(recipe, network, scorer):
    table = impressions()
    encoded = encode(table, recipe.features)
    expected = CALIBRATION.apply(logits_function(network)(encoded.ids, encoded.numeric))
    served = scorer.score(table)
    assert np.abs(served - expected).max() < 1e-6
    assert served.std() > 1e-3


def test_a_recalibration_moves_the_label_and_leaves_further_heads_where_they_are(recipe, network, scorer, tmp_path):
    both = keras.Model(network.input, keras.ops.concatenate([network.output, network.output], axis=1))
    model = serving_model(both, recipe, CALIBRATION, {"conversion": CALIBRATION}, {"": 0.3})
    save_serving(model, tmp_path / "serving")
    table = impressions(50)
    answers, judged = Scorer(tmp_path / "serving").score_all(table), scorer.score(table)
    assert answers["probability_conversion"] == pytest.approx(judged, abs=1e-6)
    odds = np.exp(0.3) * judged / (1 - judged)
    assert answers["probability"] == pytest.approx(odds / (1 + odds), abs=1e-6)


def test_a_fresh_process_without_this_code_gives_the_same_numbers(served, scorer, tmp_path):
    table = impressions(50)
    plain = table.set_column(table.column_names.index("ts"), "ts", table["ts"].cast(pa.int64()))
    plain = plain.set_column(2, "column_user_item_affinity_0", plain["user-item affinity.0"].cast(pa.string()))
    pq.write_table(plain, tmp_path / "rows.parquet")
    finished = subprocess.run(
        [sys.executable, "-c", FOREIGN_SCORER, str(served), str(tmp_path / "rows.parquet")],
        cwd=tmp_path,  # where models/ can't be imported from
        capture_output=True,
        text=True,
        check=True,
    )
    foreign = np.array([float(number) for number in finished.stdout.split()])
    assert np.abs(foreign - scorer.score(table)).max() < 1e-6


def test_scores_do_not_depend_on_how_rows_are_batched(scorer):
    table = impressions()
    assert np.abs(scorer.score(table, batch_rows=17) - scorer.score(table)).max() < 1e-6


def test_unseen_missing_and_absent_values_are_answered(scorer):
    strange = pa.table(
        {
            "user_id": [None, "", "never seen before", "日本", "x" * 192],
            "device": pa.nulls(5),
            "age": [None, float("nan"), float("inf"), 1e300, -1e300],
        }
    )
    probability = scorer.score(strange)
    assert np.isfinite(probability).all()
    assert ((probability > 0) & (probability < 1)).all()
    assert probability[0] == probability[1]  # nothing known of either


def signature_of(served):
    """The signature that any program finds, and how to call it with some of a table's rows, changed as given."""
    model = tf.saved_model.load(str(served))
    signature = model.signatures["serving_default"]
    dtypes = {name: spec.dtype for name, spec in signature.structured_input_signature[1].items()}
    columns = {**impressions(3).to_pydict(), "column_user_item_affinity_0": ["1", "2", "3"]}
    given = {name: columns[name] if name != "ts" else [1_772_445_600_000_000] * 3 for name in dtypes}

    def call(**changes):
        inputs = {name: tf.constant(value, dtypes[name]) for name, value in {**given, **changes}.items()}
        return signature(**inputs)["probability"].numpy()

    return model, signature, given, call


def test_the_signature_takes_infinite_numbers_and_times_in_other_units_for_missing_as_score_does(served):
    model, _, _, call = signature_of(served)
    assert np.array_equal(call(age=[np.inf, -np.inf, np.nan]), call(age=[np.nan] * 3))
    assert not np.array_equal(call(age=[np.nan] * 3), call())
    none = call(ts=[-(2**63)] * 3)
    seconds = 1_772_445_600
    for unit in (1, 1_000, 1_000_000_000):
        assert np.array_equal(call(ts=[seconds * unit] * 3), none)
    assert not np.array_equal(call(), none)
    del model


def test_a_wrong_type_is_an_error_that_names_the_inputs_place_in_alphabetic_order(served):
    model, signature, given, _ = signature_of(served)
    for wrong in given:
        inputs = {name: tf.constant(value) for name, value in given.items()}
        inputs |= {name: tf.constant(given[name], tf.float32) for name in ("age", "bid")}
        inputs[wrong] = tf.constant([True] * 3)
        with pytest.raises((TypeError, tf.errors.InvalidArgumentError)) as caught:
            signature(**inputs)
        place = re.search(r"input #(\d+)", str(caught.value))
        named = sorted(given)[int(place[1])] if place else re.search(r"\b(\w+)\b", str(caught.value))[1]
        assert named == wrong, str(caught.value)
    del model


def test_an_absent_column_counts_as_a_missing_value(scorer):
    table = impressions()
    for name in scorer.columns:
        position = table.column_names.index(name)
        nulls = table.set_column(position, name, pa.nulls(len(table), table.schema.field(name).type))
        assert np.array_equal(scorer.score(table.drop_columns(name)), scorer.score(nulls))
        assert not np.array_equal(scorer.score(nulls), scorer.score(table))  # the column is really read


def test_other_columns_and_their_order_do_not_matter(scorer):
    table = impressions()
    turned = table.select(list(reversed(table.column_names))).drop_columns("note")
    assert np.array_equal(scorer.score(turned), scorer.score(table))


def test_the_scorer_names_the_columns_as_the_user_does(scorer):
    assert sorted(scorer.columns) == ["age", "bid", "device", "ts", "user-item affinity.0", "user_id"]


def test_a_table_without_rows_has_no_scores(scorer):
    assert scorer.score(impressions(0)).shape == (0,)


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("age", ["forty"], "column 'age': expected numbers, received string"),
        ("ts", [1.5], "column 'ts': expected times, received double"),
        ("user_id", [[1, 2]], "column 'user_id': expected values that can be written as text, received list"),
    ],
)
def test_a_column_of_a_wrong_type_is_refused_by_name(scorer, name, values, words):
    with pytest.raises(DataRejectedError, match=words):
        scorer.score(pa.table({name: values}))


def test_a_model_is_loaded_where_its_folder_and_that_of_temporary_files_are_called_like_a_pattern(
    served, scorer, tmp_path, monkeypatch
):
    place = tmp_path / "a*[x]?"
    shutil.copytree(served, place / "serving")
    monkeypatch.setattr("tempfile.tempdir", str(place))
    assert np.array_equal(Scorer(place / "serving").score(impressions(5)), scorer.score(impressions(5)))
    assert [path.name for path in place.iterdir()] == ["serving"]


def test_a_folder_without_a_whole_model_is_refused(served, tmp_path):
    with pytest.raises(StorageError, match="expected a complete SavedModel of this software"):
        Scorer(tmp_path / "nothing")
    broken = tmp_path / "broken"
    for file in served.rglob("*"):
        if file.is_file() and "variables.data" not in file.name:
            copy = broken / file.relative_to(served)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(file.read_bytes())
    with pytest.raises(StorageError, match="expected a complete SavedModel of this software"):
        Scorer(broken)


def test_the_signature_keeps_names_that_tensorflow_takes_and_makes_others_unique():
    assert signature_names(["user_id", "a.b", "a b", "größe", "self", "class", "7d", "column_a_b"]) == {
        "user_id": "user_id",
        "a.b": "column_a_b",
        "a b": "column_a_b_",
        "größe": "column_gr__e",
        "self": "column_self",
        "class": "column_class",
        "7d": "column_7d",
        "column_a_b": "column_a_b__",
    }


def test_the_signature_answers_probabilities_alone(served):
    answer = tf.saved_model.load(str(served)).signatures["serving_default"]
    assert answer.structured_outputs.keys() == {"probability"}
