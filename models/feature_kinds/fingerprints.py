"""Texts known by their fingerprints: shared by the kinds that read texts.

A text's value is its fingerprint, by TensorFlow's own operation, so that it is the same offline and in the served
graph. Which values have an embedding row of their own is fitted on the training window (`features/vocabulary.py`). Row
0 of a feature is for a missing value, which is the empty text, row 1 for all values without a row of their own, and the
known values have the rows after that.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

import numpy as np
from pydantic import Field, PrivateAttr

from ctr_retrain.models.feature_kinds.arrow_columns import distinct_texts
from ctr_retrain.models.feature_kinds.feature import Feature, Holds, IdFeature, OneColumn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt
    import pyarrow as pa

SHARED_ROW = 1  # of values that are rare, or that the training window doesn't hold
FIRST_KNOWN_ROW = 2


class TextFeature(IdFeature):
    """A feature whose values are texts."""

    buckets: Annotated[int, Field(ge=0, le=2**30)] = 0
    """At most so many values, the most frequent, have an embedding row of their own: a bound on memory. 0: no bound."""
    min_rows: Annotated[int, Field(ge=1)] = 1
    """Values on fewer rows of the training window share one embedding row with values never seen."""

    _known: bytes = PrivateAttr(default=b"")  # the fingerprints as int64, rising: bytes are compared and never changed

    holds: ClassVar[Holds] = "text"
    network_keys: ClassVar[frozenset[str]] = frozenset({"buckets", "min_rows"})
    free_keys: ClassVar[frozenset[str]] = frozenset({"buckets", "min_rows"})

    @property
    def known(self) -> npt.NDArray[np.int64]:
        """The values with rows of their own, rising; none before they are fitted."""
        return np.frombuffer(self._known, np.int64)

    def knowing(self, values: npt.NDArray[np.int64]) -> Self:
        """Return the feature with these values known."""
        fitted = self.model_copy()
        fitted._known = np.unique(values).tobytes()  # noqa: SLF001 - of a copy of its own
        return fitted

    @property
    def table_rows(self) -> int:
        """A row a known value, and those of a missing and of any other value."""
        return FIRST_KNOWN_ROW + len(self.known)

    def rows_of(self, values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Search the known values."""
        known = self.known
        if not len(known):
            return np.full(values.shape, SHARED_ROW)
        place = np.minimum(np.searchsorted(known, values), len(known) - 1)
        return np.where(known[place] == values, FIRST_KNOWN_ROW + place, SHARED_ROW)

    def encode_in_graph(self, columns: Sequence[Any], known: Any) -> Any:
        """Search the known values."""
        import tensorflow as tf

        texts = self.texts_of(columns)
        values = fingerprints(texts)
        rows = tf.fill(tf.shape(values), tf.constant(SHARED_ROW, tf.int64))
        if known.shape[0]:
            place = tf.reshape(tf.searchsorted(known, tf.reshape(values, [-1]), out_type=tf.int64), tf.shape(values))
            place = tf.minimum(place, known.shape[0] - 1)
            rows = tf.where(tf.equal(tf.gather(known, place), values), FIRST_KNOWN_ROW + place, rows)
        return tf.where(tf.equal(texts, ""), tf.zeros_like(rows), rows)

    @abstractmethod
    def texts_of(self, columns: Sequence[Any]) -> Any:
        """Return the texts that are the feature's values, (n, slots), of the columns' texts, (n,); "" where missing."""


class TextColumn(TextFeature, OneColumn):
    """A feature of the texts of one column, which may share the rows of another one."""

    shares: str = ""
    """Another feature with the same bounds, whose embedding rows stand for equal values here too."""

    @property
    def owner(self) -> str:
        """The feature that it shares the rows of, else itself."""
        return self.shares or self.name

    def encode(self, columns: Sequence[pa.Array]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        """Take the fingerprint of each different text once."""
        texts, codes = distinct_texts(columns[0], self.sources[0])
        values, places = places_of(self.texts_of([texts]))
        return values, places[codes]


def fingerprints(texts: Any) -> Any:
    """Return the fingerprint of each text, a tensor of the texts' shape, int64."""
    import tensorflow as tf

    # FarmHash's fingerprint64, which TensorFlow promises never to change: it is stored in encoded days and in models.
    flat = tf.fingerprint(tf.reshape(texts, [-1]), "farmhash64")
    return tf.reshape(tf.bitcast(flat, tf.int64), tf.shape(texts))


def places_of(texts: Any) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """Return the different values of texts, rising, and each text's place among them, from 1; 0 for the empty text."""
    import tensorflow as tf

    there = tf.not_equal(texts, "").numpy()
    values, inverse = np.unique(fingerprints(texts).numpy()[there], return_inverse=True)
    places = np.zeros(there.shape, np.int32)
    places[there] = 1 + inverse
    return values, places


def sharing_mistakes(features: tuple[Feature, ...]) -> Iterator[str]:
    """Yield a sentence for each feature that can't share the embedding rows that it names."""
    columns = [feature for feature in features if isinstance(feature, TextColumn)]
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
