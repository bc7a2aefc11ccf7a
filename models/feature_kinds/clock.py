"""The hour of the day and the day of the week of the impression's time, UTC."""

from __future__ import annotations

from abc import abstractmethod
from math import pi
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from ctr_retrain.models.feature_kinds.arrow_columns import END_OF_TIME, FIRST_TIME, as_times
from ctr_retrain.models.feature_kinds.feature import Holds, IdFeature, OneColumn

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import pyarrow as pa

HOUR_MICROSECONDS = 3_600_000_000
EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday; Monday counts 0


class ClockFeature(IdFeature, OneColumn):
    """Place of a time in a cycle: an embedding row a step, and on request points on a circle beside it.

    With points on a circle, 23:00 and 0:00 are neighbours. What is no time in microseconds from 1971 to 2261 is
    missing: whoever serves seconds, milliseconds or nanoseconds gets the answer to no time, and not to a wrong one.
    """

    column: str = ""
    """The impression's column; empty: `ts`."""
    harmonics: Annotated[int, Field(ge=0, le=3)] = 0
    """Number of sine and cosine pairs of the cycle, added to the embedding rows."""

    holds: ClassVar[Holds] = "time"
    missing: ClassVar[str] = "a row of its own"
    network_keys: ClassVar[frozenset[str]] = frozenset({"harmonics"})
    free_keys: ClassVar[frozenset[str]] = frozenset({"harmonics"})
    period: ClassVar[int]  # steps of the cycle

    @property
    def sources(self) -> tuple[str, ...]:
        """The impression's time, whatever the feature's name."""
        return (self.column or "ts",)

    @property
    def table_rows(self) -> int:
        """A row a step, and the missing time's."""
        return 1 + self.period

    @property
    def extra_numbers(self) -> int:
        """Sine and cosine of each harmonic."""
        return 2 * self.harmonics

    @abstractmethod
    def step(self, microseconds: Any) -> Any:
        """Return the step, from 0, of times since the epoch, as NumPy arrays or tensors.

        In both, // rounds down, so that times before 1970 have the right step too.
        """

    def encode(self, columns: Sequence[pa.Array]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        """Return all steps of the cycle, and 1 + each time's step."""
        times = as_times(columns[0], self.sources[0])
        places = np.where((times < FIRST_TIME) | (times >= END_OF_TIME), 0, 1 + self.step(times))
        return np.arange(self.period), places.astype(np.int32)[:, None]

    def rows_of(self, values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return 1 + the step."""
        return 1 + values

    def encode_in_graph(self, columns: Sequence[Any], known: Any) -> Any:
        """Return 1 + the step."""
        import tensorflow as tf

        del known
        time = columns[0]
        none = tf.logical_or(time < FIRST_TIME, time >= END_OF_TIME)
        return tf.where(none, tf.zeros_like(time), 1 + self.step(time))[:, None]

    def numbers_beside(self, rows: Any) -> Any:
        """Return sin(2πkt/period), then cos(2πkt/period), for k = 1 … harmonics; 0 where the time is missing."""
        import tensorflow as tf

        step = rows - 1
        there = tf.cast(step >= 0, tf.float32)[:, None]
        turns = tf.range(1.0, self.harmonics + 1)[None, :] / self.period
        angle = 2 * pi * tf.cast(step, tf.float32)[:, None] * turns
        return tf.concat([there * tf.sin(angle), there * tf.cos(angle)], axis=1)


class Hour(ClockFeature):
    """The hour of the day, 0 to 23."""

    kind: Literal["hour"] = "hour"

    meaning: ClassVar[str] = "the hour of `ts`, UTC, with embedding rows; `harmonics` add points on the cycle"
    period: ClassVar[int] = 24

    def step(self, microseconds: Any) -> Any:
        """Hours since midnight."""
        return microseconds // HOUR_MICROSECONDS % 24


class Weekday(ClockFeature):
    """The day of the week, Monday 0."""

    kind: Literal["weekday"] = "weekday"

    meaning: ClassVar[str] = "the weekday of `ts`, UTC, with embedding rows; `harmonics` add points on the cycle"
    period: ClassVar[int] = 7

    def step(self, microseconds: Any) -> Any:
        """Days since Monday."""
        return (microseconds // HOUR_MICROSECONDS // 24 + EPOCH_WEEKDAY) % 7
