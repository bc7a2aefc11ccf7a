"""The fused embedding table: rows of all fields in one variable, read by one gather."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

EMBEDDING_TABLE = "embedding_table"  # name of the variables that are updated by rows
EMBEDDING_SPREAD = 0.01  # initial embeddings are uniform from minus this to this: small beside what a step moves


@keras.saving.register_keras_serializable("ctr_retrain")
class FusedEmbedding(keras.layers.Layer):  # type: ignore[misc]
    """Rows of one table for the ids of all fields: (batch, fields) → (batch, fields, width).

    The field of a slot needs no mention: an id is a row of the whole table.
    """

    def __init__(self, rows: int, width: int, seed: int, **options: Any) -> None:
        """Take the table's shape and the seed of its initial values."""
        super().__init__(**options)
        self.rows, self.width, self.seed = rows, width, seed
        spread = keras.initializers.RandomUniform(-EMBEDDING_SPREAD, EMBEDDING_SPREAD, seed=seed)
        # With autocast, Keras would cast and so copy the whole table wherever a layer computes in another precision.
        self.table = self.add_weight(shape=(rows, width), initializer=spread, name=EMBEDDING_TABLE, autocast=False)

    def call(self, ids: Any) -> Any:
        """Return the rows of the ids."""
        # keras.layers.Embedding reads the whole table, which TensorFlow then copies at every sparse update: 57 ms at a
        # million rows.
        return tf.nn.embedding_lookup(self.table.value, ids)

    def compute_output_shape(self, ids_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return (batch, fields, width)."""
        return (*ids_shape, self.width)

    def get_config(self) -> dict[str, Any]:
        """Return all that the constructor takes."""
        return {**super().get_config(), "rows": self.rows, "width": self.width, "seed": self.seed}
