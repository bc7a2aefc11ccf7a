"""Impressions as ids and raw numbers, offline from Arrow and in the served graph alike.

Numbers stay raw; the network itself transforms, standardises and buckets them, so that training and serving can't
differ. How a value becomes an id is a kind's own affair: see `models/feature_kinds/`. Offline it takes two steps, since
the first doesn't depend on the training window: values become codes into a dictionary, then codes rows of the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from ctr_retrain.models.feature_kinds.arrow_columns import as_numbers, column_of
from ctr_retrain.models.features.dictionary import Dictionary
from ctr_retrain.models.features.field_layers import FieldLayer
from ctr_retrain.models.features.table_layout import encoded_fields, id_features, numbers, slots

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pyarrow as pa

    from ctr_retrain.models.feature_kinds.feature import Feature


@dataclass(frozen=True, eq=False)
class Encoded:
    """Rows as a network reads them."""

    ids: npt.NDArray[np.int32]  # (n, slots) rows of the fused table
    numeric: npt.NDArray[np.float32]  # (n, numbers) raw, NaN where missing


@dataclass(frozen=True, eq=False)
class Coded:
    """Rows before the training window is known, which says what row of the table a value has."""

    codes: npt.NDArray[np.int32]  # (n, slots) into the dictionary
    numeric: npt.NDArray[np.float32]  # (n, numbers) raw, NaN where missing
    dictionary: Dictionary


def encode(table: pa.Table, features: tuple[Feature, ...]) -> Encoded:
    """Return ids and raw numbers of a table's rows, by the features as fitted on the training window.

    Raises as `encode_values`.
    """
    coded = encode_values(table, features)
    return Encoded(coded.dictionary.table_rows(features)[coded.codes], coded.numeric)


def encode_values(table: pa.Table, features: tuple[Feature, ...]) -> Coded:
    """Return a table's rows as codes into a dictionary of their own, and raw numbers; the features needn't be fitted.

    An absent column is missing in each row; other columns don't matter. Raises DataRejectedError where a column can't
    be read as its feature's kind.
    """
    codes = np.empty((len(table), slots(features)), np.int32)
    values, first_code, first_slot = [], 0, 0
    for feature in id_features(features):
        found, places = feature.encode([column_of(table, source) for source in feature.sources])
        codes[:, first_slot : first_slot + feature.slots] = first_code + places
        values.append(found)
        first_code, first_slot = first_code + 1 + len(found), first_slot + feature.slots
    numeric = np.empty((len(table), len(numbers(features))), np.float32)
    for position, number in enumerate(numbers(features)):
        (source,) = number.sources
        numeric[:, position] = as_numbers(column_of(table, source), source)
    return Coded(codes, numeric, Dictionary(tuple(values)))


@keras.saving.register_keras_serializable("ctr_retrain")
class FeatureEncoder(FieldLayer):
    """`encode` as part of the served graph: raw columns, each (n,), → ids (n, slots) and raw numbers (n, numbers).

    Columns have the types that `raw_columns` says; missing are "", NaN and MISSING_TIME. The known values of each
    feature are a variable of its own.
    """

    def __init__(self, features: Iterable[Feature | dict[str, Any]], **options: Any) -> None:
        """Take the recipe's features as fitted on the training window, or as Keras saves them."""
        super().__init__(features, **options)
        # Variables and no constants or hash table: half the size on the disk, and nothing to be built at loading.
        self.known = {
            feature.name: self.add_weight(
                shape=feature.known.shape,
                dtype="int64",
                initializer=_values(feature.known),
                trainable=False,
                name=f"known_{number}",
            )
            for number, feature in enumerate(id_features(self.features))
            if feature.owner == feature.name
        }

    def call(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        """Return ids and raw numbers."""
        ids = []
        for feature, field, _ in encoded_fields(self.features):
            known = self.known[feature.owner].value
            rows = feature.encode_in_graph([columns[source] for source in feature.sources], known)
            ids.append(tf.cast(tf.where(tf.equal(rows, 0), field.offset + rows, field.values_offset + rows), tf.int32))
        numeric = [_finite(columns[source]) for number in numbers(self.features) for source in number.sources]
        rows = tf.shape(next(iter(columns.values())))[0]
        return {
            "ids": tf.concat(ids, axis=1) if ids else tf.zeros((rows, 0), tf.int32),
            "numeric": tf.stack(numeric, axis=1) if numeric else tf.zeros((rows, 0), tf.float32),
        }


def _finite(number: Any) -> Any:
    """Return numbers with NaN in place of infinite ones, which are missing in a landed file too."""
    return tf.where(tf.math.is_finite(number), number, tf.constant(float("nan"), number.dtype))


def _values(known: npt.NDArray[np.int64]) -> Any:
    """Return an initializer that gives the values."""

    def initial(shape: tuple[int, ...], dtype: Any = None) -> Any:
        del shape
        return tf.constant(known, dtype)

    return initial
