"""The served model: raw feature columns in, a calibrated probability out.

A TensorFlow SavedModel that needs none of this code to run, and the scorer that answers Arrow tables with one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from models.calibration import Calibration
from models.errors import StorageError
from models.features import FeatureEncoder, as_numbers, as_texts, as_times, column_of, raw_columns

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from models.recipe import Recipe

SCORING_ROWS = 32_768


@keras.saving.register_keras_serializable("ctr_retrain")
class CalibrationLayer(keras.layers.Layer):  # type: ignore[misc]
    """`Calibration.apply` in the served graph: logits (n, 1) → probabilities (n, 1) float32, computed in float64."""

    def __init__(self, calibration: dict[str, Any], **options: Any) -> None:
        """Take a calibration as JSON values, which Keras can save."""
        super().__init__(**options)
        self.calibration = Calibration.from_json(calibration)

    def call(self, logit: Any) -> Any:
        """The same formula as `Calibration.line`, then σ."""
        logit = tf.cast(logit, tf.float64)
        parts = (self.calibration.knots, self.calibration.values, self.calibration.slopes)
        knots, values, slopes = (tf.constant(part, tf.float64) for part in parts)
        piece = tf.reshape(tf.searchsorted(knots, tf.reshape(logit, [-1]), side="right"), tf.shape(logit))
        knot = tf.maximum(piece - 1, 0)
        line = tf.gather(values, knot) + tf.gather(slopes, piece) * (logit - tf.gather(knots, knot))
        return tf.cast(tf.sigmoid(line), tf.float32)

    def get_config(self) -> dict[str, Any]:
        """All that the constructor takes."""
        return {**super().get_config(), "calibration": self.calibration.to_json()}


def serving_model(network: keras.Model, recipe: Recipe, calibration: Calibration) -> keras.Model:
    """Raw columns of the recipe's features, each (n,), → {"probability": (n,) float32}."""
    columns = {name: keras.Input((), dtype=dtype, name=name) for name, dtype in raw_columns(recipe.features).items()}
    features = [feature.model_dump() for feature in recipe.features]
    encoded = FeatureEncoder(features, name="features")(columns)
    probability = CalibrationLayer(calibration.to_json(), name="calibration")(network(encoded))
    return keras.Model(columns, {"probability": keras.ops.squeeze(probability, axis=1)}, name="serving")


def save_serving(model: keras.Model, path: Path) -> None:
    """Write the served model as a SavedModel folder with the signature "serving_default"."""
    model.export(path, verbose=False)


class Scorer:
    """A SavedModel that answers Arrow tables."""

    def __init__(self, path: Path) -> None:
        """Load the model; raises StorageError where the folder holds none."""
        try:
            self._model = tf.saved_model.load(str(path))  # kept: the signature holds it by a weak reference only
            self._answer = self._model.signatures["serving_default"]
        except (OSError, KeyError) as error:
            msg = f"model {path}: expected a SavedModel with the signature serving_default, received: {error}."
            raise StorageError(msg) from error
        specs = self._answer.structured_input_signature[1]
        self._casts = {name: _CASTS[spec.dtype] for name, spec in specs.items()}

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that the model reads."""
        return tuple(self._casts)

    def score(self, table: pa.Table, batch_rows: int = SCORING_ROWS) -> npt.NDArray[np.float64]:
        """Probabilities, (n,). A column that is absent or null is answered as missing; other columns don't matter.

        Raises DataRejectedError where a column can't be read as the model's type.
        """
        probability = np.empty(len(table))
        for first in range(0, len(table), batch_rows):
            part = table.slice(first, batch_rows)
            inputs = {name: tf.constant(cast(column_of(part, name), name)) for name, cast in self._casts.items()}
            probability[first : first + len(part)] = self._answer(**inputs)["probability"].numpy()
        return probability


_CASTS: dict[Any, Any] = {tf.string: as_texts, tf.float32: as_numbers, tf.int64: as_times}
