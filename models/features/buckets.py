"""Numbers as buckets with embedding rows of their own: the layer that finds a number's row."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf


def quantile_edges(sample: npt.NDArray[np.float32], quantiles: int) -> tuple[float, ...]:
    """Edges between buckets of equal mass: different finite values that occur, at most quantiles − 1, perhaps none."""
    values = sample[np.isfinite(sample)]
    if not len(values):
        return ()
    inner = np.quantile(values, np.arange(1, quantiles) / quantiles, method="inverted_cdf")
    edges = np.unique(inner)
    return tuple(float(edge) for edge in edges[edges > values.min()])  # nothing lies below the smallest


@keras.saving.register_keras_serializable("ctr_retrain")
class BucketIds(keras.layers.Layer):  # type: ignore[misc]
    """Raw numbers (batch, fields) → table rows (batch, fields) int32.

    A field's first row is for missing values; bucket k, from the k-th edge on and below the next, has row 1 + k.
    """

    def __init__(self, edges: list[list[float]], offsets: list[int], **options: Any) -> None:
        """Take each field's edges, rising, and its first row."""
        super().__init__(**options)
        self.edges, self.offsets = [list(field) for field in edges], list(offsets)

    def call(self, raw: Any) -> Any:
        """The rows."""
        rows = []
        for field, (edges, offset) in enumerate(zip(self.edges, self.offsets, strict=True)):
            values = raw[:, field]
            bucket = tf.searchsorted(tf.constant(edges, tf.float32), values, side="right")
            rows.append(offset + tf.where(tf.math.is_nan(values), 0, 1 + bucket))
        return tf.stack(rows, axis=1)

    def get_config(self) -> dict[str, Any]:
        """All that the constructor takes."""
        return {**super().get_config(), "edges": self.edges, "offsets": self.offsets}
