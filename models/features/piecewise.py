"""Numbers cut into pieces, with a learned embedding for each knot: a line of straight pieces, as trees cut by steps.

Piecewise linear encoding with quantiles (Gorishniy, Rubachev, Babenko 2022, section 3.2, equation 1) and a linear layer
for each number. So a linear model is linear in the encoded columns, and any network reads a number as it reads an id.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ctr_retrain.models.features.embedding import EMBEDDING_SPREAD
from ctr_retrain.models.features.number_knots import BINS
from ctr_retrain.models.features.standardize import NumericState, bounded, logarithms

COLUMNS = 2 + BINS  # of a number: whether it is missing, whether it is there, and its pieces
NUMBER_PIECES = "number_pieces"  # name of the layer that encodes
PIECEWISE_NUMBERS = "piecewise_numbers"  # name of the layer with the learned weights
STEEPEST = 1e38  # a piece's columns rise by no more, where its knots are hardly apart: nothing leaves float32


@keras.saving.register_keras_serializable("ctr_retrain")
class NumberPieces(keras.layers.Layer):  # type: ignore[misc]
    """Raw numbers (batch, numbers) → (numbers, batch, COLUMNS), each column from 0 to 1.

    1 for a missing value, and all other columns 0; else 0, 1, and of each piece the share of it that lies below the
    value. Pieces that a number hasn't, since it has few different values, are 0.
    """

    def __init__(self, state: dict[str, Any], **options: Any) -> None:
        """Take the NumericState of these numbers as a dictionary, which Keras can save."""
        super().__init__(**options)
        self.state = state
        self._numbers = NumericState.from_json(state)
        self._starts, self._slopes = _pieces(self._numbers)

    def call(self, raw: Any) -> Any:
        """Return the columns."""
        # Numbers first: products with each number's own weights take less than half of the time of batch first.
        values, missing = (tf.transpose(found)[:, :, None] for found in bounded(raw, self._numbers))
        absent = tf.cast(missing, tf.float32)
        # A missing value lies at the start of all pieces, and so has no share of any.
        values = tf.where(missing, self._starts[:, None, :1], values)
        shares = tf.clip_by_value((values - self._starts[:, None]) * self._slopes[:, None], 0.0, 1.0)
        return tf.concat([absent, 1 - absent, shares], axis=2)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return (numbers, batch, COLUMNS)."""
        return (shape[1], shape[0], COLUMNS)

    def get_config(self) -> dict[str, Any]:
        """Return all that the constructor takes."""
        return {**super().get_config(), "state": dict(self.state)}


@keras.saving.register_keras_serializable("ctr_retrain")
class PiecewiseNumbers(keras.layers.Layer):  # type: ignore[misc]
    """Encoded numbers (numbers, batch, COLUMNS) → an embedding a number, (numbers, batch, width), linear in them."""

    def __init__(self, width: int, seed: int, **options: Any) -> None:
        """Take the embeddings' width and the seed of the initial weights."""
        super().__init__(**options)
        self.width, self.seed = width, seed

    def build(self, shape: tuple[int, ...]) -> None:
        """Make the weights of each number, (numbers, COLUMNS, width)."""
        # Embeddings have to differ for products of them to learn; one linear weight says nothing at first.
        spread = EMBEDDING_SPREAD if self.width > 1 else 0.0
        initial = keras.initializers.RandomUniform(-spread, spread, seed=self.seed)
        self.kernel = self.add_weight(shape=(shape[0], shape[2], self.width), initializer=initial, name="kernel")

    def call(self, columns: Any) -> Any:
        """Return the embeddings."""
        return tf.matmul(columns, self.kernel)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return (numbers, batch, width)."""
        return (*shape[:2], self.width)

    def get_config(self) -> dict[str, Any]:
        """Return all that the constructor takes."""
        return {**super().get_config(), "width": self.width, "seed": self.seed}


def _pieces(state: NumericState) -> tuple[Any, Any]:
    """Return where each number's pieces start, and 1 over their lengths, (numbers, BINS) float32 each; 0 for none."""
    starts, slopes = np.zeros((2, len(state.knots), BINS), np.float32)
    for number, (own, log) in enumerate(zip(state.knots, state.log, strict=True)):
        knots = np.array(own, np.float64)
        knots = (logarithms(knots) if log else knots).astype(np.float32).astype(np.float64)
        lengths = np.maximum(np.diff(knots), 1 / STEEPEST)
        starts[number, : len(lengths)], slopes[number, : len(lengths)] = knots[:-1], 1 / lengths
    return starts, slopes
