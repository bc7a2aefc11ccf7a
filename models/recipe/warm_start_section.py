"""What a recipe says of starting from the champion instead of from nothing."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ctr_retrain.models.recipe.section import Section


class WarmStart(Section):
    """How a run goes on from the champion's weights, on the days that the champion hasn't seen."""

    enabled: bool = False
    freeze: tuple[str, ...] = ()  # layers that a warm run leaves as the champion has them
    optimizer: Literal["kept", "reset"] = "kept"  # its sums and moments; steps and learning rates always begin anew
    rate_share: Annotated[float, Field(gt=0, le=1)] = 0.5  # of both learning rates, for a warm run
    expire_days: Annotated[int, Field(ge=1)] = 14  # rows of values not seen on so many newest days of T begin anew
    cold_every: Annotated[int, Field(ge=0)] = 7  # days; on every such day a cold twin is trained beside; 0: never

    def wants_twin(self, day_ordinal: int) -> bool:
        """Whether the run of that day trains a cold twin: it goes by the calendar, so that a run can be made again."""
        return self.cold_every > 0 and day_ordinal % self.cold_every == 0
