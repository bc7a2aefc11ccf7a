"""Raw numbers standardised inside the network: what is fitted on the training rows, and the layer that applies it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from ctr_retrain.models.features.table_layout import numbers_with_rows, standardized_numbers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ctr_retrain.models.feature_kinds.feature import Feature

CLIP = 10.0  # standard deviations: a typing error of a price mustn't decide a row
SAMPLE_ROWS = 500_000  # for quantiles, whose standard error is then below 0.1 % of the rows


@dataclass(frozen=True)
class NumericState:
    """Statistics of a training window's numbers, by which the network reads them; in the recipe's order."""

    # One value for each number that is standardised.
    log: tuple[bool, ...]  # whether sign(x) · ln(1 + |x|) is standardised rather than x
    mean: tuple[float, ...]  # after that
    scale: tuple[float, ...]  # standard deviation after that; 1 where nothing varies
    edges: tuple[tuple[float, ...], ...] = ()  # of each number with rows: what parts its rows, rising

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Read what `asdict` gave from a JSON file."""
        plain = {name: tuple(value) for name, value in values.items()}
        return cls(**{**plain, "edges": tuple(tuple(edges) for edges in values["edges"])})


def fit_numeric_state(chunks: Iterable[npt.NDArray[np.float32]], features: tuple[Feature, ...]) -> NumericState:
    """Fit mean and standard deviation of the transformed numbers, and edges, over chunks of raw rows (n, numbers).

    Values that aren't finite are left out; a feature without values gets mean 0, one that never varies scale 1.
    Quantiles are of SAMPLE_ROWS rows or more, evenly spaced over all.
    Chunks are merged by Chan, Golub and LeVeque (1983), equation 2.1.
    """
    with_rows = numbers_with_rows(features)
    log = tuple(feature.logarithmic for feature in standardized_numbers(features))
    sample = _EvenSample(len(with_rows))
    count, mean, squares = np.zeros(len(log)), np.zeros(len(log)), np.zeros(len(log))
    for chunk in chunks:
        raw = chunk[:, : len(log)].astype(np.float64)
        sample.add(chunk[:, len(log) :])
        values = np.where(log, np.sign(raw) * np.log1p(np.abs(raw)), raw)
        finite = np.isfinite(values)
        n = finite.sum(0)
        chunk_mean = np.where(finite, values, 0).sum(0) / np.maximum(n, 1)
        deviation = np.where(finite, values - chunk_mean, 0)
        share = n / np.maximum(count + n, 1)
        squares += (deviation**2).sum(0) + (chunk_mean - mean) ** 2 * count * share
        mean += (chunk_mean - mean) * share
        count += n
    scale = np.sqrt(squares / np.maximum(count, 1))
    # What varies by rounding alone doesn't vary: divided by its deviation, it would be noise of size 1.
    scale[scale <= np.maximum(1e-6 * np.abs(mean), 1e-30)] = 1.0
    columns = sample.rows().T
    edges = (feature.fit_edges(column) for feature, column in zip(with_rows, columns, strict=True))
    return NumericState(log, tuple(mean.tolist()), tuple(scale.tolist()), tuple(edges))


class _EvenSample:
    """Every n-th row of a stream of unknown length: SAMPLE_ROWS at least, where there are so many, and twice at most.

    Even spacing, since neighbouring rows are of the same hour, and no seed.
    """

    def __init__(self, columns: int) -> None:
        self._parts: list[npt.NDArray[np.float32]] = [np.empty((0, columns), np.float32)]
        self._step, self._seen = 1, 0

    def add(self, rows: npt.NDArray[np.float32]) -> None:
        """Take what falls due of the next rows of the stream."""
        # Rows 0, step, 2 · step … of the whole stream, wherever a chunk begins.
        self._parts.append(rows[-self._seen % self._step :: self._step])
        self._seen += len(rows)
        while sum(map(len, self._parts)) > 2 * SAMPLE_ROWS:
            self._parts, self._step = [self.rows()[::2]], 2 * self._step

    def rows(self) -> npt.NDArray[np.float32]:
        """Return the rows that were taken."""
        return np.concatenate(self._parts)


@keras.saving.register_keras_serializable("ctr_retrain")
class StandardizedNumbers(keras.layers.Layer):  # type: ignore[misc]
    """Raw numbers (batch, numbers) → (batch, 2 · numbers): standardised and clipped, then a flag each for "missing".

    log: sign(x) · ln(1 + |x|) before standardising. A missing value counts as the mean. Without numbers, one column of
    zeros.
    """

    def __init__(self, state: dict[str, Any], **options: Any) -> None:
        """Take a NumericState as a dictionary, which Keras can save."""
        super().__init__(**options)
        self.state = state

    def call(self, raw: Any) -> Any:
        """Return the standardised numbers and flags."""
        # Products of empty matrices make oneDNN abort the process.
        if not self.state["mean"]:
            return tf.zeros((tf.shape(raw)[0], 1))
        log, mean, scale = (tf.constant(self.state[name], tf.float32) for name in ("log", "mean", "scale"))
        missing = tf.math.is_nan(raw)
        values = tf.where(log > 0, tf.sign(raw) * tf.math.log1p(tf.abs(raw)), raw)
        standardized = tf.clip_by_value((values - mean) / scale, -CLIP, CLIP)
        return tf.concat([tf.where(missing, 0.0, standardized), tf.cast(missing, tf.float32)], axis=1)

    def get_config(self) -> dict[str, Any]:
        """Return all that the constructor takes."""
        return {**super().get_config(), "state": dict(self.state)}
