"""Impressions as ids and raw numbers, offline from Arrow and in the served graph alike.

Numbers stay raw; the network itself transforms, standardises and buckets them, so that training and serving can't
differ. How a value becomes an id is a kind's own affair: see `models/feature_kinds/`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from ctr_retrain.models.feature_kinds.arrow_columns import as_numbers, column_of
from ctr_retrain.models.feature_kinds.kinds import feature_of
from ctr_retrain.models.features.table_layout import encoded_fields, numbers, slots

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from ctr_retrain.models.feature_kinds.feature import Feature


@dataclass(frozen=True, eq=False)
class Encoded:
    """Rows as a network reads them."""

    ids: npt.NDArray[np.int32]  # (n, slots) rows of the fused table
    numeric: npt.NDArray[np.float32]  # (n, numbers) raw, NaN where missing


def encode(table: pa.Table, features: tuple[Feature, ...]) -> Encoded:
    """Return ids and raw numbers of a table's rows.

    An absent column is missing in each row; other columns don't matter. Raises DataRejectedError where a column can't
    be read as its feature's kind, UsageError for impossible features.
    """
    encoded = Encoded(
        np.empty((len(table), slots(features)), np.int32),
        np.empty((len(table), len(numbers(features))), np.float32),
    )
    for feature, field, columns in encoded_fields(features):
        rows = feature.encode([column_of(table, source) for source in feature.sources]).reshape(-1, feature.slots)
        encoded.ids[:, columns] = np.where(rows == 0, field.offset, field.values_offset + rows)
    for position, number in enumerate(numbers(features)):
        (source,) = number.sources
        encoded.numeric[:, position] = as_numbers(column_of(table, source), source)
    return encoded


@keras.saving.register_keras_serializable("ctr_retrain")
class FeatureEncoder(keras.layers.Layer):  # type: ignore[misc]
    """`encode` as part of the served graph: raw columns, each (n,), → ids (n, slots) and raw numbers (n, numbers).

    Columns have the types that `raw_columns` says; missing are "", NaN and MISSING_TIME.
    """

    def __init__(self, features: list[dict[str, Any]], **options: Any) -> None:
        """Take the recipe's features as Keras saves them."""
        super().__init__(**options)
        self.features = tuple(feature_of(feature) for feature in features)

    def call(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        """Return ids and raw numbers."""
        ids = []
        for feature, field, _ in encoded_fields(self.features):
            rows = feature.encode_in_graph([columns[source] for source in feature.sources])
            ids.append(tf.cast(tf.where(tf.equal(rows, 0), field.offset + rows, field.values_offset + rows), tf.int32))
        numeric = [columns[source] for number in numbers(self.features) for source in number.sources]
        rows = tf.shape(next(iter(columns.values())))[0]
        return {
            "ids": tf.concat(ids, axis=1) if ids else tf.zeros((rows, 0), tf.int32),
            "numeric": tf.stack(numeric, axis=1) if numeric else tf.zeros((rows, 0), tf.float32),
        }

    def get_config(self) -> dict[str, Any]:
        """Return all that the constructor takes."""
        return {**super().get_config(), "features": [feature.model_dump() for feature in self.features]}
