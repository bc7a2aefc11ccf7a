"""Raw numbers as a network reads them: what is fitted on the training rows, and the layer that standardises by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from ctr_retrain.models.features.number_knots import fit_bounds, fit_knots
from ctr_retrain.models.features.table_layout import numbers_with_rows, plain_numbers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ctr_retrain.models.feature_kinds.feature import Feature

CLIP = 10.0  # standard deviations: a long tail mustn't decide a row
SAMPLE_ROWS = 500_000  # for quantiles, whose standard error is then below 0.1 % of the rows
Lists = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class NumericState:
    """Statistics of a training window's numbers, by which the network reads them; in the recipe's order."""

    # One entry for each number without rows in the table.
    log: tuple[bool, ...]  # whether sign(x) · ln(1 + |x|) is read rather than x
    mean: tuple[float, ...]  # after that, within the bounds
    scale: tuple[float, ...]  # standard deviation after that; 1 where nothing varies
    edges: Lists = ()  # of each number with rows: what parts its rows, rising
    # Again of numbers without rows; none in models of before, which read numbers without bounds.
    bounds: Lists = ()  # least and largest value that is told apart
    knots: Lists = ()  # where its pieces meet, rising, before any logarithm; none where it is standardised

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Read what `asdict` gave from a JSON file."""
        plain: dict[str, Any] = {name: tuple(values[name]) for name in ("log", "mean", "scale")}
        lists: dict[str, Any] = {name: tuple(map(tuple, values.get(name, ()))) for name in ("edges", "bounds", "knots")}
        return cls(**plain, **lists)

    def of(self, places: Sequence[int]) -> Self:
        """Return what is known of some of the numbers without rows, by their places."""
        known = {name: getattr(self, name) for name in ("log", "mean", "scale", "bounds", "knots")}
        chosen: dict[str, Any] = {
            name: tuple(values[place] for place in places) if values else () for name, values in known.items()
        }
        return type(self)(**chosen)


def fit_numeric_state(chunks: Iterable[npt.NDArray[np.float32]], features: tuple[Feature, ...]) -> NumericState:
    """Fit bounds, knots, mean and standard deviation, and edges, over chunks of raw rows (n, numbers).

    Values that aren't finite are left out; a feature without values gets mean 0, one that never varies scale 1. All is
    of SAMPLE_ROWS rows or more, evenly spaced over all.
    """
    plain, with_rows = plain_numbers(features), numbers_with_rows(features)
    sample = _EvenSample(len(plain) + len(with_rows))
    for chunk in chunks:
        sample.add(chunk)
    columns = sample.rows().T
    bounds = tuple(map(fit_bounds, columns[: len(plain)]))
    fitted = tuple(zip(plain, columns, bounds, strict=False))
    moments = [_moments(column, limits, log=feature.logarithmic) for feature, column, limits in fitted]
    return NumericState(
        log=tuple(feature.logarithmic for feature in plain),
        mean=tuple(mean for mean, _ in moments),
        scale=tuple(scale for _, scale in moments),
        edges=tuple(f.fit_edges(column) for f, column in zip(with_rows, columns[len(plain) :], strict=True)),
        bounds=bounds,
        knots=tuple(fit_knots(column, limits) if feature.piecewise else () for feature, column, limits in fitted),
    )


def _moments(sample: npt.NDArray[np.float32], bounds: tuple[float, float], *, log: bool) -> tuple[float, float]:
    """Return mean and standard deviation of a number's finite values within the bounds."""
    values = np.clip(sample[np.isfinite(sample)].astype(np.float64), *bounds)
    values = logarithms(values) if log else values
    mean, scale = (float(values.mean()), float(values.std())) if len(values) else (0.0, 0.0)
    # What varies by rounding alone doesn't vary: divided by its deviation, it would be noise of size 1.
    return mean, 1.0 if scale <= max(1e-6 * abs(mean), 1e-30) else scale


def logarithms(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return sign(x) · ln(1 + |x|), which `transform = "log"` stands for."""
    return np.asarray(np.sign(values) * np.log1p(np.abs(values)))


def bounded(raw: Any, state: NumericState) -> tuple[Any, Any]:
    """Return raw numbers, (batch, numbers), within their bounds and after their logarithms, and which are missing.

    A missing number is 0 there. In a state without bounds, numbers have none.
    """
    missing = tf.math.is_nan(raw)
    if state.bounds:
        low, high = zip(*state.bounds, strict=True)
        raw = tf.clip_by_value(raw, tf.constant(low, tf.float32), tf.constant(high, tf.float32))
    values = tf.where(tf.constant(state.log), tf.sign(raw) * tf.math.log1p(tf.abs(raw)), raw)
    return tf.where(missing, 0.0, values), missing


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

    A missing value counts as the mean. Without numbers, one column of zeros.
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
        mean, scale = (tf.constant(self.state[name], tf.float32) for name in ("mean", "scale"))
        values, missing = bounded(raw, NumericState.from_json(self.state))
        standardized = tf.clip_by_value((values - mean) / scale, -CLIP, CLIP)
        return tf.concat([tf.where(missing, 0.0, standardized), tf.cast(missing, tf.float32)], axis=1)

    def get_config(self) -> dict[str, Any]:
        """Return all that the constructor takes."""
        return {**super().get_config(), "state": dict(self.state)}
