"""The base of each part of the recipe, immutable and strict about its keys; and the names and numbers in it."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field

from ctr_retrain.models.described_model import DescribedModel


def _rising(bounds: tuple[float, float]) -> tuple[float, float]:
    """Raise ValueError unless the lower bound comes first."""
    if bounds[0] >= bounds[1]:
        msg = "expected the lower bound first"
        raise ValueError(msg)
    return bounds


# Names become parts of paths, of SQL and of Keras layers, so they are of letters that none of these reads otherwise.
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Bounds = Annotated[tuple[Positive, Positive], AfterValidator(_rising)]
ShareBounds = Annotated[tuple[Share, Share], AfterValidator(_rising)]


class Section(DescribedModel):
    """A part of the recipe: immutable, and no key that it doesn't know.

    The docstring below each key is its meaning in `docs/recipe.md`, which `make docs` writes from the code.
    """

    # No infinity and no NaN: JSON, in which recipes are digested and stored, has neither.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
