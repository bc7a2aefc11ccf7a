"""Where a fit stands between two batches: all that going on from there needs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import tensorflow as tf

if TYPE_CHECKING:
    Arrays = tuple[npt.NDArray[Any], ...]


@dataclass(frozen=True, eq=False)
class TrainingState:
    """Weights, optimizer slots and step counter, and what was observed on the way.

    epoch, batch: the next one to train on. history: (rows seen, smoothed loss). stopping_losses: after each finished
    epoch, on the slice for early stopping. variables: of network and optimizer, in their order, empty before the first
    step. best: the network's variables after the best epoch so far, empty where no slice is kept out to stop by.
    """

    epoch: int = 0
    batch: int = 0
    history: tuple[tuple[int, float], ...] = ()
    stopping_losses: tuple[float, ...] = ()
    variables: Arrays = ()
    best: Arrays = ()

    @property
    def best_epoch(self) -> int | None:
        """Which finished epoch had the lowest loss on the slice for early stopping, None where none was measured."""
        return int(np.argmin(self.stopping_losses)) if self.stopping_losses else None

    def moved(self, **changes: Any) -> TrainingState:
        """The same fit, further on."""
        return replace(self, **changes)


class Checkpoints(Protocol):
    """Where states are kept; one fit writes, and another process with the same inputs goes on."""

    def due(self) -> bool:
        """Whether it is time to save."""

    def save(self, state: TrainingState) -> None:
        """Keep the state instead of what was kept before; a kill at any moment leaves the one or the other."""

    def load(self) -> TrainingState | None:
        """The state that was kept, None where there is none or a damaged one."""


def capture(*owners: Any) -> Arrays:
    """The values of all variables of models and optimizers, random generators' states included."""
    return tuple(tf.convert_to_tensor(v.value).numpy() for owner in owners for v in owner.variables)


def restore(values: Arrays, *owners: Any) -> bool:
    """Set what `capture` gave; False, with nothing changed, where shapes or types are not those of the variables."""
    variables = [variable for owner in owners for variable in owner.variables]
    if [(v.shape, str(v.dtype)) for v in variables] != [(a.shape, str(a.dtype)) for a in values]:
        return False
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
    return True
