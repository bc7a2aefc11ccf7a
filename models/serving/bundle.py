"""The served model: raw feature columns in, a calibrated probability out.

A TensorFlow SavedModel that needs none of this code to run; `scorer.py` runs one on Arrow tables.
"""

from __future__ import annotations

import json
import re
from keyword import iskeyword
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from ctr_retrain.models.errors import StorageError
from ctr_retrain.models.features.encoder import FeatureEncoder
from ctr_retrain.models.features.table_layout import raw_columns
from ctr_retrain.models.serving.calibration import LOGIT_LIMIT, Calibration
from ctr_retrain.models.serving.output_names import PROBABILITY, probability_column
from ctr_retrain.models.serving.scorer import COLUMNS_FILE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ctr_retrain.models.recipe.recipe import Recipe

CHANNEL = "channel"  # the column by which shifts are told apart


@keras.saving.register_keras_serializable("ctr_retrain")
class CalibrationLayer(keras.layers.Layer):  # type: ignore[misc]
    """`Calibration.apply` in the served graph: logits (n, 1) → probabilities (n, 1) float32, computed in float64."""

    def __init__(self, calibration: dict[str, Any], shifts: dict[str, float] | None = None, **options: Any) -> None:
        """Take a calibration as JSON values, since Keras saves and reloads a layer by what its constructor takes.

        shifts: what a recalibration adds to the log-odds by the text of the channel; under "" for every row.
        """
        super().__init__(**options)
        self.calibration = Calibration.from_json(calibration)
        self.shifts = shifts or {}

    def call(self, logit: Any, channel: Any = None) -> Any:
        """Calibrate logits by the formula of `Calibration.line`, move them by their channel's shift, then σ."""
        logit = tf.cast(logit, tf.float64)
        lists = (self.calibration.knots, self.calibration.values, self.calibration.slopes)
        knots, values, slopes = (tf.constant(numbers, tf.float64) for numbers in lists)
        segment = tf.reshape(tf.searchsorted(knots, tf.reshape(logit, [-1]), side="right"), tf.shape(logit))
        knot = tf.maximum(segment - 1, 0)  # segments 0 and 1 both start from the first knot
        line = tf.gather(values, knot) + tf.gather(slopes, segment) * (logit - tf.gather(knots, knot))
        for name, shift in self.shifts.items():
            of_channel = 1.0 if not name else tf.cast(tf.reshape(channel, [-1, 1]) == name, tf.float64)
            line += shift * of_channel
        return tf.cast(tf.sigmoid(tf.clip_by_value(line, -LOGIT_LIMIT, LOGIT_LIMIT)), tf.float32)

    def get_config(self) -> dict[str, Any]:
        """Return all that the constructor takes, for Keras."""
        return {**super().get_config(), "calibration": self.calibration.to_json(), "shifts": self.shifts}


def serving_model(
    network: keras.Model,
    recipe: Recipe,
    calibration: Calibration,
    heads: Mapping[str, Calibration] | None = None,
    shifts: Mapping[str, float] | None = None,
) -> keras.Model:
    """Build the served graph: raw columns of the features, each (n,), → {"probability": (n,) float32}.

    Each head adds "probability_KIND". The inputs have the columns' names as `signature_names` writes them. shifts: what
    a recalibration adds to the label's log-odds by channel, a column that the features read, or under "" on all rows.
    """
    dtypes = raw_columns(recipe.features)
    names = signature_names(dtypes)
    inputs = {names[column]: keras.Input((), dtype=dtype, name=names[column]) for column, dtype in dtypes.items()}
    encoded = FeatureEncoder(recipe.features, name="features")({column: inputs[names[column]] for column in dtypes})
    logit = network(encoded)
    channel = [inputs[names[CHANNEL]]] if shifts and set(shifts) != {""} else []
    if not heads:
        probability = CalibrationLayer(calibration.to_json(), dict(shifts or {}), name="calibration")(logit, *channel)
        return keras.Model(inputs, {PROBABILITY: keras.ops.squeeze(probability, axis=1)}, name="serving")
    outputs = {}
    for index, (kind, own) in enumerate({"": calibration, **heads}.items()):
        moved = {} if kind else dict(shifts or {})  # validation labels are the label's own
        layer = CalibrationLayer(own.to_json(), moved, name=f"calibration_{index}")
        probability = layer(logit[:, index : index + 1], *([] if kind else channel))
        outputs[probability_column(kind)] = keras.ops.squeeze(probability, axis=1)
    return keras.Model(inputs, outputs, name="serving")


def reads_channel(recipe: Recipe) -> bool:
    """Return whether the served graph has the channel among its inputs, as a text."""
    return raw_columns(recipe.features).get(CHANNEL) == "string"


def signature_names(columns: Iterable[str]) -> dict[str, str]:
    """Name the graph's input of each column: as the column where TensorFlow takes that, else by a name like it."""
    names: dict[str, str] = {}
    for column in columns:
        name = column
        # TensorFlow makes Python arguments of the names.
        if not re.fullmatch(r"[A-Za-z]\w*", column, re.ASCII) or iskeyword(column) or column == "self":
            name = "column_" + re.sub(r"\W", "_", column, flags=re.ASCII)
        while name in names.values():
            name += "_"
        names[column] = name
    return names


def save_serving(model: keras.Model, path: Path) -> None:
    """Write the served model as a SavedModel folder: signature "serving_default", and COLUMNS_FILE.

    That file maps the signature's names to the columns'. Raises StorageError where TensorFlow can't write.
    """
    # Not by Keras' export, which takes three times as long: most of it looks for tables that none of our layers has.
    columns = {name: tf.TensorSpec((None,), column.dtype, name) for name, column in model.input.items()}
    answer = tf.function(lambda **inputs: model(inputs, training=False), autograph=False)
    module = tf.Module()
    module.weights = [variable.value for variable in model.variables]
    try:
        signatures = {"serving_default": answer.get_concrete_function(**columns)}
        tf.saved_model.save(module, str(path), signatures=signatures)
    except tf.errors.OpError as error:
        msg = f"model {path}: expected a writable disk with room, received: {error.message}. Free space and run again."
        raise StorageError(msg) from error
    names = signature_names(raw_columns(model.get_layer("features").features))
    file = path / COLUMNS_FILE
    file.parent.mkdir()
    file.write_text(json.dumps({name: column for column, name in names.items()}, indent=1), encoding="utf-8")
