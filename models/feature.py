"""One feature of a recipe: which columns it reads, and as what."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from models.section import Name, Section

ENCODING = 2  # of what `models.features.encode` answers; another number makes all encoded days anew
GRAPHS_OWN = {"name", "column", "columns", "transform", "quantiles", "edges", "pooling"}  # keys that no encoding reads

KEYS = {  # that each kind has beside `name`
    "categorical": {"column", "buckets"},
    "multi_valued": {"column", "buckets", "delimiter", "max_values", "pooling"},
    "crossed": {"columns", "buckets"},
    "numeric": {"column", "transform"},
    "bucketed": {"column", "quantiles", "edges"},
    "hour": {"column"},
    "weekday": {"column"},
}


class Feature(Section):
    """One input of the model, computed from one column of the impression, or from two that are crossed."""

    name: Name
    kind: Literal["categorical", "multi_valued", "crossed", "numeric", "bucketed", "hour", "weekday"]
    column: str = ""  # default: the feature's name
    columns: tuple[str, ...] = ()  # crossed: the two columns
    buckets: Annotated[int, Field(ge=2, le=2**30)] = 2**14  # of what is hashed: rows of the embedding
    transform: Literal["none", "log"] = "none"  # numeric: log is sign(x)·ln(1 + |x|), before standardising
    quantiles: Annotated[int, Field(ge=2, le=1000)] = 16  # bucketed: buckets of equal mass on T, unless there are edges
    edges: tuple[float, ...] = ()  # bucketed: where one bucket ends and the next, which holds the edge, begins
    delimiter: Annotated[str, Field(min_length=1)] = "|"  # multi_valued: between the values of a text
    max_values: Annotated[int, Field(ge=1, le=1000)] = 8  # multi_valued: the first so many count
    pooling: Literal["mean", "sum"] = "mean"  # multi_valued: of the values' embeddings

    @model_validator(mode="after")
    def _keys_are_of_the_kind(self) -> Self:
        given = {key for key, field in type(self).model_fields.items() if getattr(self, key) != field.default}
        if foreign := sorted(given - KEYS[self.kind] - {"name", "kind"}):
            known = ", ".join(sorted(KEYS[self.kind]))
            msg = f"feature {self.name!r}: expected of kind {self.kind} only {known}, received {', '.join(foreign)}"
        elif self.kind == "crossed" and (len(self.columns) != 2 or len(set(self.columns)) != 2):
            msg = f"feature {self.name!r}: expected columns to name two different ones, received {list(self.columns)}"
        elif any(low >= high for low, high in zip(self.edges, self.edges[1:], strict=False)):
            msg = f"feature {self.name!r}: expected edges that rise, received {list(self.edges)}"
        else:
            return self
        raise ValueError(msg)

    @property
    def sources(self) -> tuple[str, ...]:
        """The impression columns that are read."""
        return self.columns or (self.column or ("ts" if self.kind in ("hour", "weekday") else self.name),)

    @property
    def source(self) -> str:
        """The impression column that is read, of crossed ones the first."""
        return self.sources[0]

    @property
    def holds(self) -> Literal["text", "number", "time"]:
        """What its columns hold."""
        if self.kind in ("hour", "weekday"):
            return "time"
        return "number" if self.kind in ("numeric", "bucketed") else "text"

    @property
    def slots(self) -> int:
        """Columns of the encoded ids: as many as it has values at most."""
        return {"numeric": 0, "bucketed": 0, "multi_valued": self.max_values}.get(self.kind, 1)


def encoding_of(features: tuple[Feature, ...]) -> list[dict[str, Any]]:
    """All that `encode` depends on, as JSON values: two recipes with equal ones encode alike."""
    spec = [feature.model_dump(mode="json", exclude=GRAPHS_OWN) for feature in features]
    sources = [feature.sources for feature in features]
    return [{"encoding": ENCODING}, *({**one, "sources": source} for one, source in zip(spec, sources, strict=True))]
