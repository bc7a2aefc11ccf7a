"""The pair of two texts, such as user and campaign, with an embedding row for each pair."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import ConfigDict

from ctr_retrain.models.feature_kinds.arrow_columns import distinct_texts
from ctr_retrain.models.feature_kinds.fingerprints import TextFeature, places_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt
    import pyarrow as pa

BETWEEN = "\x1f"  # joins the texts; hardly any text holds this separator, so ("ab", "c") isn't ("a", "bc")


class Crossed(TextFeature):
    """The embedding row of two texts together."""

    # It has a default, which recipes of before hold for all kinds; but of a pair it is refused.
    model_config = ConfigDict(json_schema_extra=lambda schema: schema["required"].append("columns"))

    kind: Literal["crossed"] = "crossed"
    columns: tuple[str, ...] = ()
    """The two columns whose pair is the value."""

    meaning: ClassVar[str] = "the pair of two texts, with an embedding row"
    missing: ClassVar[str] = "a row of its own where either is missing"

    @property
    def sources(self) -> tuple[str, ...]:
        """The two columns."""
        return self.columns

    def mistakes(self) -> Iterator[str]:
        """Expect two different columns."""
        if len(self.columns) != 2 or len(set(self.columns)) != 2:
            yield f"expected columns to name two different ones, received {list(self.columns)}"

    def encode(self, columns: Sequence[pa.Array]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        """Take the fingerprint of each different pair once."""
        texts, codes = zip(*map(distinct_texts, columns, self.sources), strict=True)
        # A pair's two codes make one integer, so that one sort of integers finds the different pairs.
        pairs, code = np.unique(codes[0] * len(texts[1]) + codes[1], return_inverse=True)
        values, places = places_of(self.texts_of([texts[0][pairs // len(texts[1])], texts[1][pairs % len(texts[1])]]))
        return values, places[code]

    def texts_of(self, columns: Sequence[Any]) -> Any:
        """Join each pair; it is missing where either text is."""
        import tensorflow as tf

        first, second = columns
        pairs = tf.strings.join([first, second], BETWEEN)
        missing = tf.logical_or(tf.equal(first, ""), tf.equal(second, ""))
        return tf.where(missing, tf.zeros_like(pairs), pairs)[:, None]
