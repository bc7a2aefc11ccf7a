"""Encoded rows as a network reads them: an embedding a field or number in pieces, and standardised numbers."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from ctr_retrain.models.features.embedding import FusedEmbedding
from ctr_retrain.models.features.field_layers import ExtraNumbers, NumberRows, PooledFields
from ctr_retrain.models.features.piecewise import (
    NUMBER_PIECES,
    PIECEWISE_NUMBERS,
    NumberPieces,
    PiecewiseNumbers,
)
from ctr_retrain.models.features.standardize import StandardizedNumbers
from ctr_retrain.models.features.table_layout import (
    field_offsets,
    id_features,
    numbers,
    numbers_with_rows,
    plain_numbers,
    slots,
)

if TYPE_CHECKING:
    from ctr_retrain.models.feature_kinds.feature import Feature
    from ctr_retrain.models.features.standardize import NumericState


def network_inputs(
    features: tuple[Feature, ...], state: NumericState, width: int, seed: int
) -> tuple[dict[str, Any], Any, Any, Any]:
    """Return the model's inputs {ids (batch, slots), numeric (batch, numbers)}, and what networks read of them.

    That is embeddings of the fields, (batch, fields, width), in the order of `fields`; embeddings of the numbers in
    pieces, (numbers in pieces, batch, width), None without any; and numbers, (batch, 2 · numbers without rows + extra
    numbers beside embeddings). Numbers in pieces are among these too: pieces needn't learn what a straight line says.
    """
    ids = keras.Input((slots(features),), dtype="int32", name="ids")
    numeric = keras.Input((len(numbers(features)),), dtype="float32", name="numeric")
    rows, values, table_rows = ids, numeric, field_offsets(features)[-1]
    if numbers_with_rows(features):
        first = len(plain_numbers(features))
        values = numeric[:, :first]
        found = NumberRows(features, state.edges, name="number_rows")(numeric[:, first:])
        rows = ops.concatenate([ids, found], axis=1)
    embedded = FusedEmbedding(max(1, table_rows), width, seed, name="embedding")(rows)
    # Where each field has one slot, pooling would be a copy of all embeddings.
    if any(feature.slots > 1 for feature in id_features(features)):
        embedded = PooledFields(features, name="pooled")([embedded, rows])
    in_pieces, pieces = None, [place for place, feature in enumerate(plain_numbers(features)) if feature.piecewise]
    if pieces:
        cut = values if len(pieces) == values.shape[1] else ops.take(values, np.array(pieces, np.int32), axis=1)
        columns = NumberPieces(asdict(state.of(pieces)), name=NUMBER_PIECES)(cut)
        in_pieces = PiecewiseNumbers(width, seed, name=PIECEWISE_NUMBERS)(columns)
    standardized = StandardizedNumbers(asdict(state), name="standardized_numbers")(values)
    if any(feature.extra_numbers for feature in id_features(features)):
        standardized = ops.concatenate([standardized, ExtraNumbers(features, name="extra_numbers")(ids)], axis=1)
    return {"ids": ids, "numeric": numeric}, embedded, in_pieces, standardized
