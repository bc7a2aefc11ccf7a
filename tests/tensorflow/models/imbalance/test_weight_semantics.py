"""Pins what weights mean on the installed Keras, so that an upgrade which changes it is noticed."""

import pytest

from tests.benchmarks.weight_semantics import row_classes, touches

TRAINING = "training loss, weighted metrics"
VALIDATION = "validation loss, validation weighted metrics"
EXPECTED = {
    "none": "nothing",
    "class_weight of 1": "nothing",
    "class_weight of 0 for positives": TRAINING,
    "class_weight of 0 for positives, tf.data": TRAINING,
    "class_weight of 2": "training loss",  # a weighted metric is divided by the weights, a loss by the rows
    "sample_weight of 1": "nothing",
    "sample_weight of 0 for positives": TRAINING,
    "sample_weight of 2": "training loss",
    "sample_weight of 0 for positives, validation_split": f"{TRAINING}, {VALIDATION}",
    "class_weight of 0 for positives, validation_split": TRAINING,
    "validation sample weights of 1": "nothing",
    "validation sample weights of 0 for some": VALIDATION,
    "validation sample weights of 2": "validation loss",
}


@pytest.fixture(scope="module")
def table():
    return {row["weights"]: row for row in touches()}


@pytest.mark.parametrize(("weights", "touched"), EXPECTED.items(), ids=EXPECTED)
def test_weights_touch_the_same_figures_as_when_this_was_written(table, weights, touched):
    assert table[weights]["touches"] == touched


def test_a_loss_is_the_sum_of_weighted_losses_over_rows_whatever_the_weights(table):
    assert table["class_weight of 2"]["loss"] == pytest.approx(2 * table["none"]["loss"], abs=2e-4)
    assert table["validation sample weights of 2"]["val_loss"] == pytest.approx(2 * table["none"]["val_loss"], abs=2e-4)


def test_class_weight_takes_a_row_of_labels_for_its_first_label():
    found = {row["weights"]: row.get("weight", row["touches"]) for row in row_classes()}
    assert found == {
        "integer 2": 12,
        "integer 7, not in the dictionary": 1,
        "one-hot of class 1": 11,
        "multi-label, 1 and 2": 11,
        "multi-label, none": 10,
        "class_weight and sample_weight": "refused: You cannot `class_weight` and `sample_weight` at the same time",
        "class_weight with two outputs": "refused: `class_weight` is only supported for Models with a single output",
        "sample_weight of 0 for output b of two": "b_loss",
    }
