"""Hours and weekdays as points on a circle, so that 23:00 and 0:00 are neighbours, beside their embedding rows."""

from __future__ import annotations

from math import pi
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from ctr_retrain.models.features.encoder import HOUR_ROWS, WEEKDAY_ROWS, field_offsets, fields

if TYPE_CHECKING:
    from ctr_retrain.models.recipe.feature_section import Feature


def cycles(features: tuple[Feature, ...]) -> list[dict[str, int]]:
    """Of each clock feature with harmonics: its `slot` among the ids, `first` row, `period` and `harmonics`."""
    found, slot = [], 0
    for feature, offset in zip(fields(features), field_offsets(features), strict=False):
        if feature.harmonics:
            period = (HOUR_ROWS if feature.kind == "hour" else WEEKDAY_ROWS) - 1
            found.append({"slot": slot, "first": offset + 1, "period": period, "harmonics": feature.harmonics})
        slot += feature.slots
    return found


@keras.saving.register_keras_serializable("ctr_retrain")
class CyclicTimes(keras.layers.Layer):  # type: ignore[misc]
    """Ids (batch, slots) → sin(2πkt/period) and cos(2πkt/period), k = 1 … harmonics, of each cycle; 0 where missing.

    Answers (batch, 2 · harmonics of all cycles).
    """

    def __init__(self, cycles: list[dict[str, int]], **options: Any) -> None:
        """Take what `cycles` says."""
        super().__init__(**options)
        self.cycles = [dict(cycle) for cycle in cycles]

    def call(self, ids: Any) -> Any:
        """The points."""
        points = []
        for cycle in self.cycles:
            time = ids[:, cycle["slot"]] - cycle["first"]
            there = tf.cast(time >= 0, tf.float32)[:, None]
            turns = tf.range(1.0, cycle["harmonics"] + 1)[None, :] / cycle["period"]
            angle = 2 * pi * tf.cast(time, tf.float32)[:, None] * turns
            points += [there * tf.sin(angle), there * tf.cos(angle)]
        return tf.concat(points, axis=1)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """(batch, 2 · harmonics of all cycles)."""
        return (shape[0], 2 * sum(cycle["harmonics"] for cycle in self.cycles))

    def get_config(self) -> dict[str, Any]:
        """All that the constructor takes."""
        return {**super().get_config(), "cycles": self.cycles}
