"""One feature of a recipe: which column it reads, and as what."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from models.section import Name, Section


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
