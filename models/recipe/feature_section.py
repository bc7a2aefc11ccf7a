"""One feature of a recipe: which columns it reads, and as what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from ctr_retrain.models.recipe.section import Name, Section

if TYPE_CHECKING:
    from collections.abc import Iterator

ENCODING = 2  # of what `models.features.encode` answers; another number makes all encoded days anew
GRAPHS_OWN = {  # keys that no encoding reads
    "name", "column", "columns", "transform", "quantiles", "edges", "pooling", "min_rows", "shares",
    "harmonics",
}  # fmt: skip

KEYS = {  # that each kind has beside `name`
    "categorical": {"column", "buckets", "min_rows", "shares"},
    "multi_valued": {"column", "buckets", "delimiter", "max_values", "pooling", "min_rows", "shares"},
    "crossed": {"columns", "buckets", "min_rows"},
    "numeric": {"column", "transform"},
    "bucketed": {"column", "quantiles", "edges"},
    "hour": {"column", "harmonics"},
    "weekday": {"column", "harmonics"},
}


class Feature(Section):
    """One input of the model, computed from one column of the impression, or from two that are crossed."""

    name: Name
    """Name of the feature; unique in the recipe."""
    kind: Literal["categorical", "multi_valued", "crossed", "numeric", "bucketed", "hour", "weekday"]
    """How the columns become inputs of the network."""
    column: str = ""
    """The impression's column; empty: the feature's name, and `ts` for hour and weekday."""
    columns: tuple[str, ...] = ()
    """crossed: the two columns whose pair is hashed."""
    buckets: Annotated[int, Field(ge=2, le=2**30)] = 2**14
    """Hashed kinds: rows of the embedding table into which the values are hashed."""
    min_rows: Annotated[int, Field(ge=1)] = 1
    """Hashed kinds: values on fewer rows of the training window share one embedding row with values never seen."""
    shares: str = ""
    """categorical, multi_valued: another feature with as many buckets, whose embedding rows stand for equal values here
    too."""
    transform: Literal["none", "log"] = "none"
    """numeric: `log` is sign(x)·ln(1 + |x|), taken before standardising."""
    quantiles: Annotated[int, Field(ge=2, le=1000)] = 16
    """bucketed: number of buckets of equal mass on the training window, where there are no `edges`."""
    edges: tuple[float, ...] = ()
    """bucketed: rising numbers at which one bucket ends and the next, which holds the edge, begins."""
    harmonics: Annotated[int, Field(ge=0, le=3)] = 0
    """hour, weekday: number of sine and cosine pairs of the cycle, added to the embedding rows."""
    delimiter: Annotated[str, Field(min_length=1)] = "|"
    """multi_valued: what stands between the values of a text, and joins those of a list or a JSON array."""
    max_values: Annotated[int, Field(ge=1, le=1000)] = 8
    """multi_valued: so many values count, from the first; further ones are cut off."""
    pooling: Literal["mean", "sum"] = "mean"
    """multi_valued: how the embeddings of the values become one."""

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
    def owner(self) -> str:
        """The feature that the embedding rows belong to: this one, or the one that it shares with."""
        return self.shares or self.name

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
    names = [feature.name for feature in features]
    spec = []
    for feature in features:
        own = {"sources": feature.sources} | ({"shares": names.index(feature.shares)} if feature.shares else {})
        spec.append(feature.model_dump(mode="json", exclude=GRAPHS_OWN) | own)
    return [{"encoding": ENCODING}, *spec]


def sharing_mistakes(features: tuple[Feature, ...]) -> Iterator[str]:
    """What is wrong with features that share another's embedding rows."""
    by_name = {feature.name: feature for feature in features}
    for feature in (feature for feature in features if feature.shares):
        owner = by_name.get(feature.shares)
        if owner is None or owner.shares or "shares" not in KEYS[owner.kind]:
            others = [f.name for f in features if not f.shares and "shares" in KEYS[f.kind]]
            yield f"feature {feature.name!r}: expected shares to be one of {others}, received {feature.shares!r}"
        elif (feature.buckets, feature.min_rows) != (owner.buckets, owner.min_rows):
            yield (
                f"feature {feature.name!r}: expected the buckets and min_rows of {owner.name!r}, whose embedding rows "
                f"it shares, {owner.buckets} and {owner.min_rows}, received {feature.buckets} and {feature.min_rows}"
            )
