"""Rules of class weights and of counts, in every format of labels."""

import logging

import keras
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from keras.src.trainers.data_adapters.data_adapter_utils import class_weight_to_sample_weights
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight

from ctr_retrain.models.errors import DataRejectedError, UsageError
from ctr_retrain.models.imbalance.class_counts import ClassCounts, count_classes
from ctr_retrain.models.imbalance.class_weights import class_weights
from ctr_retrain.models.imbalance.losses import WeightedCrossEntropy
from ctr_retrain.models.recipe.weights_section import Weights
from ctr_retrain.models.weights.class_balance import class_weights_of

COUNTS = {0: 60, 1: 30, 2: 9, 3: 1}
INTEGERS = np.random.default_rng(3).permutation(np.repeat(list(COUNTS), list(COUNTS.values())))
NAMES = np.array(["alert", "click", "mute", "open"])[INTEGERS]
FORMATS = {
    "list": INTEGERS.tolist(),
    "integers": INTEGERS,
    "small unsigned integers": INTEGERS.astype(np.uint8),
    "whole floats": INTEGERS.astype(np.float32),
    "column": INTEGERS[:, None],
    "one-hot": np.eye(4)[INTEGERS],
    "one-hot lists": np.eye(4, dtype=int)[INTEGERS].tolist(),
    "objects": INTEGERS.astype(object),
    "series": pd.Series(INTEGERS),
    "nullable series": pd.Series(INTEGERS, dtype="Int64"),
    "frame": pd.DataFrame({"label": INTEGERS}),
    "arrow": pa.array(INTEGERS),
    "chunked": pa.chunked_array([INTEGERS[:40], INTEGERS[40:]]),
    "batch": pa.record_batch({"label": INTEGERS}),
    "dictionary": pa.array(INTEGERS).dictionary_encode(),
    "tensor": keras.ops.convert_to_tensor(INTEGERS),
}
STRINGS = {
    "list": NAMES.tolist(),
    "numpy": NAMES,
    "objects": NAMES.astype(object),
    "series": pd.Series(NAMES),
    "categories": pd.Series(NAMES, dtype="category"),
    "arrow": pa.array(NAMES),
    "dictionary chunks": pa.chunked_array([pa.array(NAMES[:7]), pa.array(NAMES[7:])]).dictionary_encode(),
    "table": pa.table({"label": NAMES}),
}
# Of four rows: label 0 in three, label 1 in one, label 2 in none.
MATRIX = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [1, 0, 0]])
MATRICES = {
    "integers": MATRIX,
    "booleans": MATRIX.astype(bool),
    "floats": MATRIX.astype(np.float32),
    "lists": MATRIX.tolist(),
    "objects": MATRIX.astype(object),
}
FRAMES = {
    "frame": pd.DataFrame(MATRIX, columns=["click", "buy", "leave"]),
    "table": pa.table(dict(zip(["click", "buy", "leave"], MATRIX.T, strict=True))),
    "batch": pa.record_batch(dict(zip(["click", "buy", "leave"], MATRIX.T, strict=True))),
}


@pytest.mark.parametrize("labels", FORMATS.values(), ids=FORMATS)
def test_balanced_weights_are_scikit_learns_in_every_format_and_those_that_keras_takes(labels):
    weights = class_weights(labels)
    right = compute_class_weight("balanced", classes=np.arange(4), y=INTEGERS)
    assert weights.as_dict() == pytest.approx(dict(enumerate(right)))
    assert weights.sample_weights(labels) == pytest.approx(compute_sample_weight("balanced", INTEGERS))
    kerass = class_weight_to_sample_weights(INTEGERS, weights.as_dict())
    np.testing.assert_allclose(weights.sample_weights(labels), kerass)


@pytest.mark.parametrize("labels", STRINGS.values(), ids=STRINGS)
def test_strings_are_classes_by_name_and_for_keras_by_their_place_in_rising_order(labels):
    weights = class_weights(labels)
    right = compute_class_weight("balanced", classes=np.unique(NAMES), y=NAMES)
    assert weights.by_name() == pytest.approx(dict(zip(np.unique(NAMES).tolist(), right, strict=True)))
    assert weights.as_dict() == pytest.approx(dict(enumerate(right)))
    assert weights.sample_weights(labels) == pytest.approx(compute_sample_weight("balanced", NAMES))


@pytest.mark.parametrize("labels", MATRICES.values(), ids=MATRICES)
def test_of_several_labels_each_has_a_weight_without_and_with_it(labels):
    weights = class_weights(labels, multi_label=True)
    assert weights.weights == pytest.approx(np.array([[2, 2 / 3, 1], [2 / 3, 2, 1]]))
    assert weights.offset() == pytest.approx(np.log([1 / 3, 3, 1]))
    assert weights.absent == (2,)
    assert weights.sample_weights(labels) == pytest.approx(
        np.array([[2 / 3, 2 / 3, 1], [2 / 3, 2, 1], [2, 2 / 3, 1], [2 / 3, 2 / 3, 1]])
    )
    for label in (0, 1):
        assert weights.weights[:, label] == pytest.approx(
            compute_class_weight("balanced", classes=np.array([0, 1]), y=MATRIX[:, label])
        )


@pytest.mark.parametrize("labels", FRAMES.values(), ids=FRAMES)
def test_labels_of_frames_and_tables_have_their_columns_names(labels):
    found = class_weights(labels, multi_label=True).by_name()
    assert found["click"] == pytest.approx((2, 2 / 3))
    assert found["leave"] == (1, 1)


def test_a_loss_takes_the_weights_of_labels_with_their_offsets():
    weights = class_weights(MATRIX, multi_label=True)
    loss = WeightedCrossEntropy(**weights.for_loss())
    assert loss.settings["positive_weight"] == pytest.approx([2 / 3, 2, 1])
    assert loss.settings["negative_weight"] == pytest.approx([2, 2 / 3, 1])
    assert loss.settings["offset"] == pytest.approx(np.log([1 / 3, 3, 1]).tolist())
    assert class_weights([0, 0, 0, 1]).for_loss() == pytest.approx(
        {"negative_weight": 2 / 3, "positive_weight": 2, "offset": np.log(3)}
    )
    with pytest.raises(UsageError, match="expected two classes or several labels"):
        class_weights(INTEGERS).for_loss()


def test_several_labels_make_no_dictionary_since_keras_would_take_the_argmax():
    with pytest.raises(UsageError, match="Keras takes the argmax of each row"):
        class_weights(MATRIX, multi_label=True).as_dict()


def test_counts_of_parts_add_up_whatever_part_a_class_is_in():
    parts = [INTEGERS[:3], INTEGERS[3:50], INTEGERS[50:], np.array([], int)]
    whole = sum(count_classes(part) for part in parts)
    assert whole.classes == tuple(COUNTS)
    assert whole.mass.tolist() == list(COUNTS.values())
    matrices = count_classes(MATRIX[:1], multi_label=True) + count_classes(MATRIX[1:], multi_label=True)
    assert matrices.mass.tolist() == [[1, 3, 4], [3, 1, 0]]


def test_a_window_of_any_size_is_read_once_batch_by_batch(tmp_path):
    file = tmp_path / "labels.parquet"
    pq.write_table(pa.table({"label": NAMES}), file)
    weights = class_weights(pq.ParquetFile(file).iter_batches(batch_size=7))
    assert weights.by_name() == class_weights(NAMES).by_name()
    counts = (count_classes(batch["label"]) for batch in pq.ParquetFile(file).iter_batches(batch_size=7))
    assert class_weights(counts).by_name() == class_weights(NAMES).by_name()


def test_mass_counts_instead_of_rows():
    counts = count_classes([0, 0, 1], mass=[1, 0.5, 0.5])
    assert counts.mass.tolist() == [1.5, 0.5]
    assert class_weights(counts).as_dict() == pytest.approx({0: 2 / 3, 1: 2})
    of_labels = count_classes([[0, 1], [1, 1]], mass=[1, 0.25], multi_label=True)
    assert of_labels.mass.tolist() == [[1, 0], [0.25, 1.25]]


def test_a_power_draws_weights_towards_1_and_a_cap_bounds_them():
    assert class_weights(INTEGERS, power=0).as_dict() == dict.fromkeys(COUNTS, 1.0)
    half = class_weights(INTEGERS, power=0.5).weights
    assert half**2 == pytest.approx(class_weights(INTEGERS).weights)
    assert class_weights(INTEGERS, cap=2).weights == pytest.approx([100 / 240, 100 / 120, 2, 2])
    assert class_weights(INTEGERS, "none").as_dict() == dict.fromkeys(COUNTS, 1.0)


def test_effective_numbers_run_from_no_weights_to_one_over_the_count():
    number = np.array([(1 - 0.9**n) / 0.1 for n in COUNTS.values()])  # Cui et al. 2019: (1 − βⁿ)/(1 − β)
    assert class_weights(INTEGERS, "effective_number", beta=0.9).weights == pytest.approx(
        4 / number / (1 / number).sum()
    )
    assert class_weights(INTEGERS, "effective_number", beta=0).weights == pytest.approx(1)
    nearly = class_weights(INTEGERS, "effective_number", beta=1 - 1e-9).weights
    balanced = class_weights(INTEGERS).weights
    assert nearly / nearly[0] == pytest.approx(balanced / balanced[0], rel=1e-6)


def test_weights_can_be_given_and_what_is_not_given_weighs_1_as_in_keras():
    assert class_weights([0, 1, 1], {0: 1, 1: 100}).as_dict() == {0: 1, 1: 100}
    assert class_weights(INTEGERS, {3: 100}, cap=50).as_dict() == {0: 1, 1: 1, 2: 1, 3: 50}
    assert class_weights(NAMES, {"click": 4}, power=0.5).by_name() == {"alert": 1, "click": 2, "mute": 1, "open": 1}
    labels = class_weights(MATRIX, {0: 3, 1: (0.5, 8)}, multi_label=True)
    assert labels.by_name() == {0: (1, 3), 1: (0.5, 8), 2: (1, 1)}


def test_auto_means_balanced_and_says_so(caplog):
    with caplog.at_level(logging.WARNING):
        assert class_weights(INTEGERS, "auto").as_dict() == class_weights(INTEGERS).as_dict()
    assert "'auto' means 'balanced'" in caplog.text


def test_normalized_weights_have_mean_1_over_the_counted_rows():
    weights = class_weights([0] * 99 + [1], {1: 100}).normalized()
    assert weights.sample_weights([0] * 99 + [1]).mean() == pytest.approx(1)
    assert weights.weights[1] / weights.weights[0] == pytest.approx(100)
    labels = class_weights(MATRIX, {0: 3, 1: (0.5, 8)}, multi_label=True).normalized()
    assert labels.sample_weights(MATRIX).mean(axis=0) == pytest.approx(1)


def test_a_class_that_is_absent_weighs_1_and_does_not_count_as_a_class():
    weights = class_weights(np.eye(3)[[0, 0, 0, 2]])
    assert weights.as_dict() == pytest.approx({0: 4 / 6, 1: 1, 2: 2})
    assert weights.absent == (1,)
    named = class_weights([0, 0, 0, 2], classes=[0, 1, 2])
    assert named.as_dict() == weights.as_dict()
    assert named.sample_weights([1, 2]).tolist() == [1, 2]
    effective = class_weights(np.eye(3)[[0, 0, 0, 2]], "effective_number", beta=0.5)
    assert effective.as_dict() == pytest.approx({0: 2 * 4 / 11, 1: 1, 2: 2 * 7 / 11})  # 1/E: 1/1.75 and 1/1


@pytest.mark.parametrize("how", ["balanced", "effective_number", "none"])
def test_a_single_class_weighs_1(how):
    assert class_weights([1, 1, 1], how).as_dict() == {1: 1}
    assert class_weights(np.ones((3, 2)), how, multi_label=True).by_name() == {0: (1, 1), 1: (1, 1)}


MISSING = {
    "None in a list": [0, None, 1],
    "NaN in a list": [0.0, float("nan"), 1.0],
    "NaN among strings": ["click", float("nan")],
    "NaN in an array": np.array([0, np.nan, 1]),
    "NaN in an Arrow array": pa.array([0.0, float("nan")]),
    "null in a column": pa.chunked_array([[1], [None]]),
    "NA in a series": pd.Series([1, None], dtype="Int64"),
    "None among strings": pd.Series(["click", None]),
}


@pytest.mark.parametrize("labels", MISSING.values(), ids=MISSING)
def test_rows_without_a_label_are_refused_by_number(labels):
    with pytest.raises(DataRejectedError, match=r"expected a label in every row, .* in 1 of [23] rows"):
        count_classes(labels)


@pytest.mark.parametrize(
    "labels", [[[0, 1], [np.nan, 0]], pa.table({"a": [0, 1], "b": [None, 0]})], ids=["NaN", "null"]
)
def test_an_indicator_matrix_with_gaps_is_refused(labels):
    with pytest.raises(DataRejectedError, match="in 1 of 2 rows"):
        count_classes(labels, multi_label=True)


WRONG = {
    "integers and strings": ([1, "click"], {}, "expected integers or strings, one type in all rows"),
    "fractions": ([0.0, 0.5], {}, r"expected classes as integers or strings, received 0\.5 \(float\)"),
    "infinity": ([0.0, float("inf")], {}, "received inf"),
    "bytes": (np.array([b"a"]), {}, "expected classes as integers or strings, received b'a'"),
    "a number": (np.array(3), {}, r"expected the shape of \(rows,\), \(rows, 1\) or one-hot, received \(\)"),
    "three dimensions": (np.zeros((2, 2, 2)), {}, r"received \(2, 2, 2\)"),
    "several labels a row": (MATRIX, {}, r"received 2 in row 1, and 2 such rows.*multi_label=True"),
    "a label of 2": ([[0, 2], [1, 0]], {}, "expected a matrix of 0 and 1, received 2 in row 0, column 1"),
    "words in a matrix": (np.array([["a", "b"]]), {}, "expected a matrix of 0 and 1"),
    "ragged rows": ([[0, 1], [1]], {}, "expected rows of one length, received rows of 1 to 2"),
    "labels in one dimension": ([0, 1], {"multi_label": True}, r"expected the shape of an indicator matrix"),
    "mass of another length": ([0, 1], {"mass": [1]}, r"mass: expected one number a row, \(2,\), received \(1,\)"),
    "negative mass": ([0, 1], {"mass": [1, -1]}, "mass: expected finite numbers of at least 0, received -1"),
    "a class that was not named": ([0, 5], {"classes": [0, 1]}, r"received \[0, 1\] without \[5\]"),
}


@pytest.mark.parametrize(("labels", "options", "message"), WRONG.values(), ids=WRONG)
def test_labels_of_another_format_are_refused_in_words(labels, options, message):
    with pytest.raises(UsageError, match=message):
        count_classes(labels, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"how": "heavy"}, "expected balanced, none, auto, effective_number or a mapping"),
        ({"how": {7: 2}}, r"expected classes of \[0, 1\], received \[7\] too"),
        ({"how": {1: 0}}, "expected finite numbers above 0.*leave its rows out"),
        ({"how": {1: float("nan")}}, "expected finite numbers above 0"),
        ({"how": {1: "much"}}, "expected a number a class"),
        ({"power": -1}, "power: expected a number of at least 0, received -1"),
        ({"cap": 0}, "cap: expected a largest weight above 0"),
        ({"how": "effective_number", "beta": 1}, r"beta: expected a number in \[0, 1\), received 1"),
    ],
)
def test_weights_that_make_no_sense_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        class_weights([0, 1, 1], **options)


@pytest.mark.parametrize("labels", [[], np.array([]), iter([]), ClassCounts((), np.zeros(0)), np.empty((0, 3))])
def test_weights_of_no_rows_are_refused(labels):
    with pytest.raises(DataRejectedError, match="expected at least one row, received none"):
        class_weights(labels)


def test_a_class_that_was_not_counted_has_no_weight():
    with pytest.raises(UsageError, match=r"expected the classes that were counted, \[0, 1\], received \[2\] too"):
        class_weights([0, 1]).sample_weights([0, 2])
    with pytest.raises(UsageError, match="expected 3 columns as were counted, received 2"):
        class_weights(MATRIX, multi_label=True).sample_weights(MATRIX[:, :2])


def test_parts_of_different_labels_do_not_add_up():
    with pytest.raises(UsageError, match="expected integers or strings, received both"):
        _ = count_classes([0, 1]) + count_classes(["click"])
    with pytest.raises(UsageError, match="expected parts with the same labels"):
        _ = count_classes(MATRIX, multi_label=True) + count_classes(MATRIX[:, :2], multi_label=True)
    with pytest.raises(UsageError, match="expected parts with the same labels"):
        _ = count_classes(MATRIX, multi_label=True) + count_classes([0, 1, 2])


@pytest.mark.parametrize("way", ["balanced", "auto", "none", "effective_number"])
def test_the_recipe_weighs_its_two_classes_by_the_same_rules(way):
    rules = Weights(half_life_days=7, class_weight=way, class_power=0.5, class_beta=0.99)
    expected = class_weights([0] * 90 + [1] * 10, way, power=0.5, beta=0.99)
    assert class_weights_of(np.array([90.0, 10.0]), rules) == pytest.approx(tuple(expected.weights))
