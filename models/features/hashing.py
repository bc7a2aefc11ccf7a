"""Texts as rows of an embedding table, by TensorFlow's own fingerprint: one code offline and in the served graph.

Row 0 of a field is for a missing value, which is the empty text; others are 1 + FarmHash fingerprint64 modulo the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf

if TYPE_CHECKING:
    from ctr_retrain.models.recipe.feature_section import Feature

BETWEEN = "\x1f"  # the two texts of a crossed pair


def hashed_rows(texts: Any, buckets: int) -> Any:
    """Row of each text, of the texts' shape, int64."""
    row = 1 + tf.strings.to_hash_bucket_fast(texts, buckets - 1)
    return tf.where(tf.equal(texts, ""), tf.zeros_like(row), row)


def rows_of_values(texts: Any, feature: Feature) -> Any:
    """Rows of the values of each delimited text, (n,) → (n, max_values): the first ones, then row 0.

    Nothing between two delimiters is no value.
    """
    values = tf.strings.split(texts, feature.delimiter)
    values = tf.ragged.boolean_mask(values, tf.not_equal(values, ""))
    nothing = tf.fill([tf.shape(texts)[0], feature.max_values], "")  # behind the values, so that all rows are as long
    first = tf.concat([values, nothing], axis=1)[:, : feature.max_values]
    return hashed_rows(tf.reshape(first.flat_values, [-1, feature.max_values]), feature.buckets)


def rows_of_pairs(first: Any, second: Any, feature: Feature) -> Any:
    """Row of each pair of texts, (n,): missing where either is."""
    pairs = tf.strings.join([first, second], BETWEEN)
    missing = tf.logical_or(tf.equal(first, ""), tf.equal(second, ""))
    return hashed_rows(tf.where(missing, tf.zeros_like(pairs), pairs), feature.buckets)
