"""The recipe's [weights]: how rows are weighed, and which of them an epoch streams."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ctr_retrain.models.recipe.section import Section

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]


class Weights(Section):
    """How rows are weighed in training. Evaluation is always unweighted."""

    half_life_days: Positive = 7.0
    class_weight: Literal["balanced", "none", "auto", "effective_number"] | dict[Literal["0", "1"], Positive] = (
        "balanced"
    )
    class_beta: Annotated[float, Field(ge=0, lt=1)] = 0.9999  # of effective_number
    class_power: Share = 1.0
    cap: Annotated[float, Field(ge=0)] = 0.0  # on the product, before it is normalised; 0: no cap
    offset: bool = True  # exact inversion of the weights; off only to see what goes wrong without
    negative_share: Annotated[float, Field(gt=0, le=1)] = 1.0  # of each day's negatives, drawn anew each epoch
    positive_copies: Annotated[int, Field(ge=1, le=10_000)] = 1  # how often an epoch streams each positive
    normalise: bool = True  # to a mean of 1; off only to see what raw weights do to the optimizer's steps
