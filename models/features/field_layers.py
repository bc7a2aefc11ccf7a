"""The Keras layers through which the kinds of features take part in a network: each calls a method of the kinds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from ctr_retrain.models.feature_kinds.feature import Feature
from ctr_retrain.models.feature_kinds.kinds import feature_of
from ctr_retrain.models.features.table_layout import encoded_fields, field_offsets, fields, numbers_with_rows, slots
from ctr_retrain.models.features.vocabulary import known_values, with_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


# None in a network has variables, so that neither their names nor their number are part of what is stored of one.
class FieldLayer(keras.layers.Layer):  # type: ignore[misc]
    """A layer that is made from the recipe's features."""

    def __init__(
        self,
        features: Iterable[Feature | dict[str, Any]],
        known: Mapping[str, Iterable[int]] | None = None,
        **options: Any,
    ) -> None:
        """Take the recipe's features as fitted on the training window; or, as Keras saves them, with `known` values."""
        super().__init__(**options)
        self.features = tuple(f if isinstance(f, Feature) else feature_of(f) for f in features)
        if known:
            arrays = {name: np.fromiter(values, np.int64) for name, values in known.items()}
            self.features = with_values(self.features, arrays)

    def get_config(self) -> dict[str, Any]:
        """Return all that the constructor takes."""
        known = {name: values.tolist() for name, values in known_values(self.features).items()}
        features = [feature.model_dump() for feature in self.features]
        return {**super().get_config(), "features": features, "known": known}


@keras.saving.register_keras_serializable("ctr_retrain")
class NumberRows(FieldLayer):
    """Raw numbers (batch, numbers with rows) → their table rows, of the same shape, int32."""

    def __init__(
        self, features: Iterable[Feature | dict[str, Any]], edges: Iterable[Iterable[float]], **options: Any
    ) -> None:
        """Take the features, and the fitted edges of each number with rows."""
        super().__init__(features, **options)
        self.edges = [list(field) for field in edges]

    def call(self, raw: Any) -> Any:
        """Return the rows."""
        found = numbers_with_rows(self.features)
        offsets = field_offsets(self.features)[-1 - len(found) : -1]
        return tf.stack(
            [
                offset + feature.find_row(raw[:, column], edges)
                for column, (feature, offset, edges) in enumerate(zip(found, offsets, self.edges, strict=True))
            ],
            axis=1,
        )

    def get_config(self) -> dict[str, Any]:
        """Return all that the constructor takes."""
        return {**super().get_config(), "edges": self.edges}


@keras.saving.register_keras_serializable("ctr_retrain")
class PooledFields(FieldLayer):
    """[embedded (batch, slots, width), table rows (batch, slots)] → an embedding a field, (batch, fields, width).

    In a slot without a value stands the field's missing row.
    """

    def call(self, inputs: list[Any]) -> Any:
        """Return one embedding a field."""
        embedded, rows = inputs
        pooled = []
        for feature, field, part in encoded_fields(self.features):
            own = embedded[:, part]
            if feature.slots > 1:
                there = tf.cast(tf.not_equal(rows[:, part], field.offset), embedded.dtype)
                own = feature.pool(own, there)[:, None]
            pooled.append(own)
        return tf.concat([*pooled, embedded[:, slots(self.features) :]], axis=1)  # numbers with rows have one slot each

    def compute_output_shape(self, shapes: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """Return (batch, fields, width)."""
        return (shapes[0][0], len(fields(self.features)), shapes[0][2])


@keras.saving.register_keras_serializable("ctr_retrain")
class ExtraNumbers(FieldLayer):
    """Ids (batch, slots) → the numbers that features give beside their embeddings, (batch, numbers) float32."""

    def call(self, ids: Any) -> Any:
        """Return the numbers."""
        return tf.concat(
            [
                feature.numbers_beside(ids[:, columns.start] - field.offset)
                for feature, field, columns in encoded_fields(self.features)
                if feature.extra_numbers
            ],
            axis=1,
        )

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return (batch, numbers)."""
        return (shape[0], sum(feature.extra_numbers for feature, *_ in encoded_fields(self.features)))
