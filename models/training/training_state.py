"""The state of a fit between two batches: all that another process needs to go on from there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    Arrays = tuple[npt.NDArray[Any], ...]


@dataclass(frozen=True, eq=False)
class TrainingState:
    """Weights, optimizer slots, step counter and losses of a fit between two batches."""

    epoch: int = 0  # the next one to train on, from 0
    batch: int = 0  # the next one of that epoch
    history: tuple[tuple[int, float], ...] = ()  # (rows seen, smoothed loss)
    stopping_losses: tuple[float, ...] = ()  # on the slice for early stopping, after each finished epoch
    variables: Arrays = ()  # of network and optimizer, in their order; empty before the first step
    best: Arrays = ()  # the network's after the best epoch so far; empty where no slice is kept out to stop by

    @property
    def best_epoch(self) -> int | None:
        """Return the finished epoch, from 0, with the lowest loss on the slice for early stopping; None without one."""
        return int(np.argmin(self.stopping_losses)) if self.stopping_losses else None

    def changed(self, **changes: Any) -> TrainingState:
        """Return the state with other values of these fields."""
        return replace(self, **changes)


class Checkpoints(Protocol):
    """A place that keeps states; one fit writes, and another process with the same inputs goes on from there."""

    def due(self) -> bool:
        """Return True if it is time to save."""

    def save(self, state: TrainingState) -> None:
        """Keep the state instead of what was kept before; a kill at any moment leaves the one or the other."""

    def load(self) -> TrainingState | None:
        """Return the state that was kept; None where there is none or a damaged one."""


def capture(*owners: Any) -> Arrays:
    """Copy the values of all variables of models and optimizers, random generators' states included."""
    import tensorflow as tf  # noqa: PLC0415 - what only looks after saved states does without it

    return tuple(tf.convert_to_tensor(v.value).numpy() for owner in owners for v in owner.variables)


def restore(values: Arrays, *owners: Any) -> bool:
    """Set the values that `capture` gave; return False, with nothing changed, where shapes or types don't fit."""
    variables = [variable for owner in owners for variable in owner.variables]
    if [(v.shape, str(v.dtype)) for v in variables] != [(a.shape, str(a.dtype)) for a in values]:
        return False
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
    return True
