"""Several texts in one column, such as a user's interests, whose embeddings are pooled to one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from ctr_retrain.models.feature_kinds.fingerprints import TextColumn

if TYPE_CHECKING:
    from collections.abc import Sequence


class MultiValued(TextColumn):
    """Several texts' embeddings, pooled."""

    kind: Literal["multi_valued"] = "multi_valued"
    delimiter: Annotated[str, Field(min_length=1)] = "|"
    """What stands between the values of a text, and joins those of a list or a JSON array."""
    max_values: Annotated[int, Field(ge=1, le=1000)] = 8
    """So many values count, from the first; further ones are cut off."""
    pooling: Literal["mean", "sum"] = "mean"
    """How the embeddings of the values become one."""

    meaning: ClassVar[str] = (
        "several texts' embeddings, pooled; landed as text with a delimiter, as a list, or as a JSON array"
    )
    missing: ClassVar[str] = "a row of its own where no value is there"
    network_keys: ClassVar[frozenset[str]] = TextColumn.network_keys | {"pooling"}
    free_keys: ClassVar[frozenset[str]] = TextColumn.free_keys | {"pooling", "max_values"}

    @property
    def slots(self) -> int:
        """One a value."""
        return self.max_values

    @property
    def list_delimiter(self) -> str:
        """The recipe's `delimiter`."""
        return self.delimiter

    def texts_of(self, columns: Sequence[Any]) -> Any:
        """Return the first values, then empty texts; nothing between two delimiters is no value."""
        import tensorflow as tf

        texts = columns[0]
        values = tf.strings.split(texts, self.delimiter)
        values = tf.ragged.boolean_mask(values, tf.not_equal(values, ""))
        nothing = tf.fill([tf.shape(texts)[0], self.max_values], "")  # behind the values, so that all rows are as long
        first = tf.concat([values, nothing], axis=1)[:, : self.max_values]
        # All rows are as long now, so the flat values are a dense tensor whose width is known before the graph runs.
        return tf.reshape(first.flat_values, [-1, self.max_values])

    def pool(self, embedded: Any, there: Any) -> Any:
        """Pool the values that are there; where none is, the first slot's missing row stands for the feature."""
        import tensorflow as tf

        # Without this a row of no values would be all zeros, and a mean of none NaN; so its missing row is learnt.
        none = tf.cast(tf.equal(tf.reduce_sum(there, axis=1, keepdims=True), 0), embedded.dtype)
        counts = tf.concat([there[:, :1] + none, there[:, 1:]], axis=1)
        total = tf.einsum("bs,bsw->bw", counts, embedded)
        return total / tf.reduce_sum(counts, axis=1, keepdims=True) if self.pooling == "mean" else total
