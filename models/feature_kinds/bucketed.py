"""A number with an embedding row for each bucket, between edges that are given or fitted on the training window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from ctr_retrain.models.feature_kinds.feature import NumberFeature

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt


class Bucketed(NumberFeature):
    """The embedding row of the number's bucket; bucket k, from the k-th edge on and below the next, has row 1 + k."""

    kind: Literal["bucketed"] = "bucketed"
    quantiles: Annotated[int, Field(ge=2, le=1000)] = 16
    """Number of buckets of equal mass on the training window, where there are no `edges`."""
    edges: tuple[float, ...] = ()
    """Rising numbers at which one bucket ends and the next, which holds the edge, begins."""

    meaning: ClassVar[str] = "the number's bucket, with embedding rows"
    missing: ClassVar[str] = "a row of its own"
    network_keys: ClassVar[frozenset[str]] = frozenset({"quantiles", "edges"})

    @property
    def table_rows(self) -> int:
        """A row a bucket, and the missing value's."""
        return 1 + (len(self.edges) + 1 if self.edges else self.quantiles)

    def mistakes(self) -> Iterator[str]:
        """Expect rising edges."""
        if any(low >= high for low, high in zip(self.edges, self.edges[1:], strict=False)):
            yield f"expected edges that rise, received {list(self.edges)}"

    def fit_edges(self, sample: npt.NDArray[np.float32]) -> tuple[float, ...]:
        """Return the recipe's edges, else the sample's quantiles."""
        return self.edges or quantile_edges(sample, self.quantiles)

    def find_row(self, numbers: Any, edges: Sequence[float]) -> Any:
        """Search the edges."""
        import tensorflow as tf

        # Edges are float32 values of the sample itself, so a number on an edge is equal to it here and when served.
        bucket = tf.searchsorted(tf.constant(edges, tf.float32), numbers, side="right")
        return tf.where(tf.math.is_nan(numbers), 0, 1 + bucket)


def quantile_edges(sample: npt.NDArray[np.float32], quantiles: int) -> tuple[float, ...]:
    """Return edges between buckets of equal mass: different finite values that occur, at most quantiles − 1."""
    values = sample[np.isfinite(sample)]
    if not len(values):
        return ()
    # The inverted distribution takes values that occur; an interpolated edge would part no more, and look made up.
    inner = np.quantile(values, np.arange(1, quantiles) / quantiles, method="inverted_cdf")
    edges = np.unique(inner)
    return tuple(float(edge) for edge in edges[edges > values.min()])  # nothing lies below the smallest
