"""Texts hashed to rows of the embedding table: shared by the kinds that read texts.

TensorFlow's own fingerprint hashes them, so that the code is the same offline and in the served graph. Row 0 of a
feature is for a missing value, which is the empty text; others are 1 + FarmHash fingerprint64 modulo the rest.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from ctr_retrain.models.feature_kinds.arrow_columns import distinct_texts
from ctr_retrain.models.feature_kinds.feature import Feature, Holds, IdFeature, OneColumn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt
    import pyarrow as pa


class Hashed(IdFeature):
    """A feature whose texts are hashed."""

    buckets: Annotated[int, Field(ge=2, le=2**30)] = 2**14
    """Rows of the embedding table into which the values are hashed."""
    min_rows: Annotated[int, Field(ge=1)] = 1
    """Values on fewer rows of the training window share one embedding row with values never seen."""

    holds: ClassVar[Holds] = "text"
    network_keys: ClassVar[frozenset[str]] = frozenset({"min_rows"})
    free_keys: ClassVar[frozenset[str]] = frozenset({"min_rows"})

    @property
    def table_rows(self) -> int:
        """A row a bucket."""
        return self.buckets

    @property
    def rare_below(self) -> int:
        """The recipe's `min_rows`."""
        return self.min_rows


class HashedColumn(Hashed, OneColumn):
    """A feature that hashes the texts of one column, and may do so into the rows of another one."""

    shares: str = ""
    """Another feature with as many buckets, whose embedding rows stand for equal values here too."""

    @property
    def owner(self) -> str:
        """The feature that it shares the rows of, else itself."""
        return self.shares or self.name

    @abstractmethod
    def rows_of(self, texts: Any) -> Any:
        """Return the rows of texts (n,), as a tensor (n, slots) int64."""

    def encode(self, columns: Sequence[pa.Array]) -> npt.NDArray[np.int64]:
        """Hash each different text once."""
        texts, codes = distinct_texts(columns[0], self.sources[0])
        return np.asarray(self.rows_of(texts).numpy()[codes])

    def encode_in_graph(self, columns: Sequence[Any]) -> Any:
        """Hash each text."""
        return self.rows_of(columns[0])


def hashed_rows(texts: Any, buckets: int) -> Any:
    """Return the row of each text, a tensor of the texts' shape, int64."""
    import tensorflow as tf

    # FarmHash's fingerprint64, which TensorFlow promises never to change: rows are stored in encoded days and models.
    row = 1 + tf.strings.to_hash_bucket_fast(texts, buckets - 1)
    return tf.where(tf.equal(texts, ""), tf.zeros_like(row), row)


def sharing_mistakes(features: tuple[Feature, ...]) -> Iterator[str]:
    """Yield a sentence for each feature that can't share the embedding rows that it names."""
    columns = [feature for feature in features if isinstance(feature, HashedColumn)]
    owners = {feature.name: feature for feature in columns if not feature.shares}
    for feature in (feature for feature in columns if feature.shares):
        owner = owners.get(feature.shares)
        if owner is None:
            expected = f"expected shares to be one of {list(owners)}"
            yield f"feature {feature.name!r}: {expected}, received {feature.shares!r}"
        elif (feature.buckets, feature.min_rows) != (owner.buckets, owner.min_rows):
            yield (
                f"feature {feature.name!r}: expected the buckets and min_rows of {owner.name!r}, whose embedding rows "
                f"it shares, {owner.buckets} and {owner.min_rows}, received {feature.buckets} and {feature.min_rows}"
            )
