"""Raw numbers standardised inside the network: what is fitted on the training rows, and the layer that applies it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from models.features import numbers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from models.feature import Feature

CLIP = 10.0  # standard deviations


@dataclass(frozen=True)
class NumericState:
    """What standardises the numeric features, in the recipe's order: log transform or not, mean and scale after it."""

    log: tuple[bool, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]


def fit_numeric_state(chunks: Iterable[npt.NDArray[np.float32]], features: tuple[Feature, ...]) -> NumericState:
    """Mean and standard deviation of the transformed numbers, over chunks of raw rows (n, numbers).

    Values that aren't finite are left out; a feature without values gets mean 0, one that never varies scale 1.
    Chunks are merged by Chan, Golub and LeVeque (1983), equation 2.1.
    """
    log = tuple(feature.transform == "log" for feature in numbers(features))
    count, mean, squares = np.zeros(len(log)), np.zeros(len(log)), np.zeros(len(log))
    for chunk in chunks:
        raw = chunk.astype(np.float64)
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
    scale[scale <= np.maximum(1e-6 * np.abs(mean), 1e-30)] = 1.0
    return NumericState(log, tuple(mean.tolist()), tuple(scale.tolist()))


@keras.saving.register_keras_serializable("ctr_retrain")
class StandardizedNumbers(keras.layers.Layer):  # type: ignore[misc]
    """Raw numbers (batch, numbers) → (batch, 2 · numbers): standardised and clipped, then a flag each for "missing".

    log: sign(x) · ln(1 + |x|) before standardising. A missing value counts as the mean. Without numbers, one column of
    zeros: products of empty matrices make oneDNN abort the process.
    """

    def __init__(self, state: dict[str, Any], **options: Any) -> None:
        """Take a NumericState as a dictionary, which Keras can save."""
        super().__init__(**options)
        self.state = state

    def call(self, raw: Any) -> Any:
        """The standardised numbers and flags."""
        if not self.state["mean"]:
            return tf.zeros((tf.shape(raw)[0], 1))
        log, mean, scale = (tf.constant(self.state[name], tf.float32) for name in ("log", "mean", "scale"))
        missing = tf.math.is_nan(raw)
        values = tf.where(log > 0, tf.sign(raw) * tf.math.log1p(tf.abs(raw)), raw)
        standardized = tf.clip_by_value((values - mean) / scale, -CLIP, CLIP)
        return tf.concat([tf.where(missing, 0.0, standardized), tf.cast(missing, tf.float32)], axis=1)

    def get_config(self) -> dict[str, Any]:
        """All that the constructor takes."""
        return {**super().get_config(), "state": dict(self.state)}
