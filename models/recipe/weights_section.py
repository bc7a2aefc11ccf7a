"""The recipe's [weights]: how rows are weighed, and which of them an epoch streams."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ctr_retrain.models.section import Positive, Section, Share

ClassWeight = Literal["balanced", "none", "auto", "effective_number"] | dict[Literal["0", "1"], Positive]


class Weights(Section):
    """Weights of rows in training. Evaluation is always unweighted."""

    half_life_days: Annotated[float, Field(ge=0)] = 0.0
    """A row this much older weighs half; 0: half of the training window, so that its newest rows weigh four times as
    much as its oldest."""
    class_weight: ClassWeight = "balanced"
    """`balanced` (`auto` means the same), `effective_number`, `none`, or a mapping such as `{ 0 = 1, 1 = 100 }`."""
    class_beta: Annotated[float, Field(ge=0, lt=1)] = 0.9999
    """effective_number: (N - 1) / N, where N rows of a class say about all that more of them could."""
    class_power: Share = 1.0
    """Power to which the class weight is raised: 1 as it stands, 0.5 its square root, 0 none."""
    cap: Annotated[float, Field(ge=0)] = 0.0
    """Largest weight, of the product and before normalising; 0: no cap."""
    offset: bool = True
    """Exact inversion of weights and sampling; off only to see what goes wrong without."""
    negative_share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of each day's negatives that an epoch streams, drawn anew each time; positives all stay."""
    positive_copies: Annotated[int, Field(ge=1, le=10_000)] = 1
    """How often an epoch streams each positive."""
    normalise: bool = True
    """Scale the weights to a mean of 1; off only to see what raw weights do to the optimizer's steps."""
