"""What weights of classes and samples change on the installed Keras, seen on a model that can't learn.

`make bench-weight-semantics`. All layers are frozen, so each figure of `fit` depends on the weights alone: beside a fit
without weights, whatever differs has been touched by them. The second table shows which class Keras takes a row of
labels for, and what it refuses. tests/tensorflow/models/imbalance/test_weight_semantics.py pins both.
"""

from __future__ import annotations

import argparse
import os
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from tests.benchmarks.table import print_table, write_rows

FIGURES = {
    "loss": "training loss",
    "metric": "metrics",
    "weighted_metric": "weighted metrics",
    "val_loss": "validation loss",
    "val_metric": "validation metrics",
    "val_weighted_metric": "validation weighted metrics",
}
X, Y = np.array([[-2.0], [-1.0], [0.5], [3.0]]), np.array([[0.0], [1.0], [0.0], [1.0]])
VALIDATION_X, VALIDATION_Y = np.array([[-1.5], [-0.5], [1.0], [2.0]]), np.array([[1.0], [0.0], [0.0], [1.0]])
ONE, ZERO, TWO = np.ones(4), np.array([1.0, 0.0, 1.0, 0.0]), np.full(4, 2.0)  # zero: of the positives
BOTH = {"x": np.concatenate([X, VALIDATION_X]), "y": np.concatenate([Y, VALIDATION_Y])}


def validated_with(*weights):
    return {"validation_data": (VALIDATION_X, VALIDATION_Y, *weights)}


def from_stream(**more):
    return {"x": tf.data.Dataset.from_tensors((X, Y)), "y": None, **more}


FITS = {
    "none": {},
    "class_weight of 1": {"class_weight": {0: 1.0, 1: 1.0}},
    "class_weight of 0 for positives": {"class_weight": {0: 1.0, 1: 0.0}},
    "class_weight of 0 for positives, tf.data": from_stream(class_weight={0: 1.0, 1: 0.0}),
    "class_weight of 2": {"class_weight": {0: 2.0, 1: 2.0}},
    "sample_weight of 1": {"sample_weight": ONE},
    "sample_weight of 0 for positives": {"sample_weight": ZERO},
    "sample_weight of 2": {"sample_weight": TWO},
    "sample_weight of 0 for positives, validation_split": BOTH
    | {"sample_weight": np.concatenate([ZERO, 1 - ZERO]), "validation_split": 0.5, "validation_data": None},
    "class_weight of 0 for positives, validation_split": BOTH
    | {"class_weight": {0: 1.0, 1: 0.0}, "validation_split": 0.5, "validation_data": None},
    "validation sample weights of 1": validated_with(ONE),
    "validation sample weights of 0 for some": validated_with(ZERO),
    "validation sample weights of 2": validated_with(TWO),
}


def main() -> None:
    """Fit with each kind of weights, print what was touched."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--json", type=Path, help="write the rows here")
    arguments = parser.parse_args()
    touched, classes = touches(), row_classes()
    print_table(f"What weights touch on Keras {keras.__version__}: figures of a model that can't learn", touched)
    print_table("What class_weight takes a row for: the row's weight among {0: 10, 1: 11, 2: 12}", classes)
    if arguments.json:
        write_rows(arguments.json, touched + classes)


def touches() -> list[dict[str, object]]:
    """A row a kind of weights: what differs from the fit without, and all figures."""
    plain = fitted({})
    rows = []
    for name, options in FITS.items():
        figures = fitted(options)
        differs = [words for figure, words in FIGURES.items() if not np.isclose(figures[figure], plain[figure])]
        rows.append({"weights": name, "touches": ", ".join(differs) or "nothing", **rounded(figures)})
    return rows


def fitted(options: dict[str, object]) -> dict[str, float]:
    """The history of one epoch in one batch."""
    model = static_model([1.0])
    model.compile(
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        metrics=[keras.metrics.MeanSquaredError("metric")],
        weighted_metrics=[keras.metrics.MeanSquaredError("weighted_metric")],
        run_eagerly=True,
    )
    arguments = {"x": X, "y": Y, "shuffle": False, **validated_with(), **options}
    return {name: values[0] for name, values in quiet_fit(model, arguments).items()}


def row_classes() -> list[dict[str, object]]:
    """A row a form of labels: the weight that class_weight gives it, or what Keras says against it."""
    weights = {0: 10.0, 1: 11.0, 2: 12.0}
    forms = {
        "integer 2": ([[2.0]], "the class"),
        "integer 7, not in the dictionary": ([[7.0]], "no class: 1"),
        "one-hot of class 1": ([[0.0, 1.0, 0.0]], "the class"),
        "multi-label, 1 and 2": ([[0.0, 1.0, 1.0]], "the first label that is there (argmax)"),
        "multi-label, none": ([[0.0, 0.0, 0.0]], "label 0 (argmax of zeros)"),
    }
    rows = [
        {"weights": name, "touches": words, "weight": weight_of(label, weights)}
        for name, (label, words) in forms.items()
    ]
    together = {"sample_weight": ONE, "class_weight": {0: 1.0, 1: 1.0}}
    one = static_model([1.0])
    one.compile(loss="mean_squared_error", run_eagerly=True)
    rows.append({"weights": "class_weight and sample_weight", "touches": refusal(one, X, Y, together)})
    two, both = two_outputs(), {"a": Y, "b": Y}
    refused = refusal(two, X, both, {"class_weight": {0: 1.0, 1: 1.0}})
    rows.append({"weights": "class_weight with two outputs", "touches": refused})
    plain, weighted = (
        quiet_fit(two, {"x": X, "y": both, **options}) for options in ({}, {"sample_weight": {"a": ONE, "b": 0 * ONE}})
    )
    differs = [name for name in ("a_loss", "b_loss") if not np.isclose(plain[name][0], weighted[name][0])]
    rows.append({"weights": "sample_weight of 0 for output b of two", "touches": ", ".join(differs)})
    return rows


def weight_of(label: list[list[float]], class_weight: dict[int, float]) -> float:
    """How many times as high the loss of one row is with class weights as without."""
    width = len(label[0])
    losses = []
    for options in ({}, {"class_weight": class_weight}):
        model = static_model([1.0] * width)
        model.compile(loss="mean_squared_error", run_eagerly=True)
        losses.append(quiet_fit(model, {"x": X[:1], "y": np.array(label), **options})["loss"][0])
    return round(losses[1] / losses[0], 3)


def refusal(model: keras.Model, x: np.ndarray, y: object, options: dict[str, object]) -> str:
    """The first words of Keras' error, or that there was none."""
    try:
        quiet_fit(model, {"x": x, "y": y, **options})
    except ValueError as error:
        return f"refused: {str(error).split('.', maxsplit=1)[0]}"
    return "taken"


def static_model(kernel: list[float]) -> keras.Model:
    """One frozen layer, (n, 1) → (n, width): x times the kernel."""
    layer = keras.layers.Dense(len(kernel), use_bias=False, trainable=False)
    model = keras.Sequential([keras.Input((1,)), layer])
    layer.set_weights([np.array([kernel])])
    return model


def two_outputs() -> keras.Model:
    """Two frozen layers of one input, (n, 1) → {a, b} (n, 1)."""
    inputs = keras.Input((1,))
    model = keras.Model(inputs, {name: keras.layers.Dense(1, name=name, trainable=False)(inputs) for name in "ab"})
    model.compile(loss={"a": "mean_squared_error", "b": "mean_squared_error"}, run_eagerly=True)
    return model


def quiet_fit(model: keras.Model, arguments: dict[str, object]) -> dict[str, list[float]]:
    """The history of a fit, in which Keras rightly says that there is nothing to train."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The model does not have any trainable weights")
        return model.fit(**arguments, epochs=1, verbose=0).history


def rounded(figures: dict[str, float]) -> dict[str, float]:
    """Four digits."""
    return {name: round(figures[name], 4) for name in FIGURES}


if __name__ == "__main__":
    main()
