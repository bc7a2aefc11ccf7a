"""Encoded rows as what a network reads: an embedding a field, and standardised numbers."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from ctr_retrain.models.features.buckets import BucketIds
from ctr_retrain.models.features.cyclic import CyclicTimes, cycles
from ctr_retrain.models.features.embedding import FusedEmbedding
from ctr_retrain.models.features.encoder import bucketed, field_offsets, fields, numbers
from ctr_retrain.models.features.pooling import PooledFields
from ctr_retrain.models.features.rare_values import RARE_VALUES, RareValues, capped_fields
from ctr_retrain.models.features.standardize import StandardizedNumbers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctr_retrain.models.features.standardize import NumericState
    from ctr_retrain.models.recipe.feature_section import Feature


def network_inputs(
    features: tuple[Feature, ...], state: NumericState, width: int, seed: int
) -> tuple[dict[str, Any], Any, Any]:
    """The model's inputs {ids (batch, slots), numeric (batch, numbers)}; from them embedded ids and numbers.

    Embedded: (batch, fields, width), in the order of `fields`. Numbers: (batch, 2 · numeric
    features, and 2 a harmonic of the clock features).
    """
    ids = keras.Input((sum(feature.slots for feature in features),), dtype="int32", name="ids")
    numeric = keras.Input((len(numbers(features)),), dtype="float32", name="numeric")
    offsets, in_buckets = field_offsets(features), bucketed(features)
    rows, values = ids, numeric
    if in_buckets:
        first = len(numbers(features)) - len(in_buckets)
        values = numeric[:, :first]
        own = offsets[len(fields(features)) - len(in_buckets) : -1]
        found = BucketIds([list(edges) for edges in state.edges], list(own), name="buckets")(numeric[:, first:])
        rows = ops.concatenate([ids, found], axis=1)
    capped = capped_fields(features)
    if capped:
        rows = RareValues(capped, offsets[-1], name=RARE_VALUES)(rows)
    embedded = FusedEmbedding(max(1, offsets[-1] + len(capped)), width, seed, name="embedding")(rows)
    if any(feature.slots > 1 for feature in features):
        embedded = PooledFields(_pooled(fields(features), offsets), name="pooled")([embedded, rows])
    standardized = StandardizedNumbers(asdict(state), name="standardized_numbers")(values)
    if found := cycles(features):
        standardized = ops.concatenate([standardized, CyclicTimes(found, name="cyclic_times")(ids)], axis=1)
    return {"ids": ids, "numeric": numeric}, embedded, standardized


def _pooled(features: tuple[Feature, ...], offsets: Sequence[int]) -> list[dict[str, Any]]:
    return [
        {"slots": max(1, feature.slots), "pooling": feature.pooling, "missing": offset}
        for feature, offset in zip(features, offsets, strict=False)
    ]
