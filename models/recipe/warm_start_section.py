"""The recipe's [warm_start]: starting from the champion instead of from nothing."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ctr_retrain.models.section import Section


class WarmStart(Section):
    """Training that goes on from the champion's weights, on the days that the champion hasn't seen."""

    enabled: bool = False
    """Start from the champion and train only on days after those that it was trained on."""
    freeze: tuple[str, ...] = ()
    """Layers that a warm run leaves as the champion has them, such as `embedding` or `dense`."""
    optimizer: Literal["kept", "reset"] = "kept"
    """The optimizer's sums and moments; steps and learning rates always begin anew."""
    rate_share: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share of both learning rates that a warm run takes."""
    expire_days: Annotated[int, Field(ge=1)] = 14
    """Embedding rows of values on none of so many newest days of the training window begin anew."""
    cold_every: Annotated[int, Field(ge=0)] = 7
    """Every so many days a cold twin is trained beside and compared; 0: never."""

    def wants_twin(self, day_ordinal: int) -> bool:
        """Return True if the run of a day trains a cold twin; it goes by the calendar, so that a run can be made again.

        day_ordinal: the day as `date.toordinal` numbers it.
        """
        return self.cold_every > 0 and day_ordinal % self.cold_every == 0
