"""Hashed values on too few rows of the training window, or on none: they share one embedding row a field.

Which values are rare depends on the window, so encoded days don't know of it: the network itself sends their table rows
to the field's rare row, which lies behind the rows of all fields. A value that training never saw takes it too, and so
meets an embedding that was trained, on values as rare as itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from ctr_retrain.models.features.table_layout import table_fields

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ctr_retrain.models.feature_kinds.feature import Feature

RARE_VALUES = "rare_values"  # name of the layer


def capped_fields(features: tuple[Feature, ...]) -> list[dict[str, int]]:
    """Return for each field with rare values its `first` row of a value, its number of `rows`, and its `min_rows`."""
    return [
        {"first": field.offset + 1, "rows": feature.table_rows - 1, "min_rows": feature.rare_below}
        for field, feature in ((field, field.feature) for field in table_fields(features))
        if feature.rare_below > 1 and feature.owner == feature.name
    ]


@keras.saving.register_keras_serializable("ctr_retrain")
class RareValues(keras.layers.Layer):  # type: ignore[misc]
    """Table rows (batch, slots) → (batch, slots) int32, those of rare values replaced by their field's rare row.

    The k-th capped field's rare row is `table_rows` + k. Until the layer is adapted, no value is rare.
    """

    def __init__(self, capped: list[dict[str, int]], table_rows: int, **options: Any) -> None:
        """Take what `capped_fields` says, and the rows of all fields."""
        super().__init__(**options)
        self.capped, self.table_rows = [dict(field) for field in capped], table_rows
        # A variable and no constant: it is fitted after the network is built, and a checkpoint must hold it.
        self.target = self.add_weight(
            shape=(table_rows,), dtype="int32", initializer=_own_rows, trainable=False, name="target"
        )

    def call(self, rows: Any) -> Any:
        """Return the rows to read."""
        return tf.gather(self.target.value, rows)

    def adapt(self, chunks: Iterable[npt.NDArray[np.int32]]) -> None:
        """Count the values in chunks of ids (n, slots); rare is what stands on fewer than the field's min_rows."""
        # All slots are counted for each field: values of features that share its rows stand in theirs.
        counts = [np.zeros(field["rows"], np.int64) for field in self.capped]
        for chunk in chunks:
            for number, field in enumerate(self.capped):
                value = chunk.ravel() - field["first"]
                own = value[(value >= 0) & (value < field["rows"])]
                counts[number] += np.bincount(own, minlength=field["rows"])
        target = np.arange(self.table_rows, dtype=np.int32)
        for number, (field, count) in enumerate(zip(self.capped, counts, strict=True)):
            own = target[field["first"] : field["first"] + field["rows"]]
            own[count < field["min_rows"]] = self.table_rows + number
        self.target.assign(target)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the same shape."""
        return shape

    def get_config(self) -> dict[str, Any]:
        """Return all that the constructor takes."""
        return {**super().get_config(), "capped": self.capped, "table_rows": self.table_rows}


def adapt_rare_values(network: keras.Model, chunks: Iterable[npt.NDArray[np.int32]]) -> None:
    """Tell the network which values are rare on the training rows, ids (n, slots) a chunk, where it wants to know."""
    for layer in network.layers:
        if isinstance(layer, RareValues):
            layer.adapt(chunks)


def _own_rows(shape: tuple[int, ...], dtype: Any = None) -> Any:
    """Let each row stand for itself."""
    return tf.range(shape[0], dtype=dtype)
