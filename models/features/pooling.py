"""Embeddings of a field with several values, pooled to one."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("ctr_retrain")
class PooledFields(keras.layers.Layer):  # type: ignore[misc]
    """[embedded (batch, slots, width), ids (batch, slots)] → (batch, fields, width).

    Of a field with several slots, those that hold its missing row don't count, unless no other is there: then that row
    itself stands for the field.
    """

    def __init__(self, fields: list[dict[str, Any]], **options: Any) -> None:
        """Take of each field its `slots`, its `pooling` (mean or sum) and the table row for `missing`."""
        super().__init__(**options)
        self.fields = [dict(field) for field in fields]

    def call(self, inputs: list[Any]) -> Any:
        """One embedding a field."""
        embedded, ids = inputs
        pooled, first = [], 0
        for field in self.fields:
            part = slice(first, first + field["slots"])
            first = part.stop
            if field["slots"] == 1:
                pooled.append(embedded[:, part])
                continue
            counts = tf.cast(tf.not_equal(ids[:, part], field["missing"]), embedded.dtype)  # (batch, slots)
            none = tf.cast(tf.equal(tf.reduce_sum(counts, axis=1, keepdims=True), 0), embedded.dtype)
            counts = tf.concat([counts[:, :1] + none, counts[:, 1:]], axis=1)
            total = tf.einsum("bs,bsw->bw", counts, embedded[:, part])
            if field["pooling"] == "mean":
                total /= tf.reduce_sum(counts, axis=1, keepdims=True)
            pooled.append(total[:, None])
        return tf.concat(pooled, axis=1)

    def compute_output_shape(self, shapes: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """(batch, fields, width)."""
        return (shapes[0][0], len(self.fields), shapes[0][2])

    def get_config(self) -> dict[str, Any]:
        """All that the constructor takes."""
        return {**super().get_config(), "fields": self.fields}
