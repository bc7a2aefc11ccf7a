"""One feature of a recipe: which column it reads, and as what."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from models.section import Name, Section

ENCODING = 1  # of what `models.features.encode` answers; another number makes all encoded days anew


class Feature(Section):
    """One input of the model, computed from one column of the impression."""

    name: Name
    kind: Literal["categorical", "numeric", "hour", "weekday"]
    column: str = ""  # default: the feature's name
    buckets: Annotated[int, Field(ge=2, le=2**30)] = 2**14  # categorical: rows of the hashed embedding
    transform: Literal["none", "log"] = "none"  # numeric: log is sign(x)·ln(1 + |x|), before standardising

    @property
    def source(self) -> str:
        """The impression column that is read."""
        return self.column or ("ts" if self.kind in ("hour", "weekday") else self.name)


def encoding_of(features: tuple[Feature, ...]) -> list[dict[str, Any]]:
    """All that `encode` depends on, as JSON values: two recipes with equal ones encode alike."""
    spec = [feature.model_dump(mode="json", exclude={"name", "column", "transform"}) for feature in features]
    sources = [feature.source for feature in features]
    return [{"encoding": ENCODING}, *({**one, "source": source} for one, source in zip(spec, sources, strict=True))]
