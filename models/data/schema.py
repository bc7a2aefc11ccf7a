"""Our columns of impressions and outcomes, their types, and the reasons for which a row is quarantined."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ctr_retrain.models.recipe.landing_section import Columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ctr_retrain.models.recipe.recipe import Recipe

Kind = Literal["text", "number", "time", "label"]


@dataclass(frozen=True)
class Column:
    """One of our columns, and the landed column that it comes from."""

    name: str  # ours
    source: str  # its name in the landed files
    kind: Kind  # how its values are read
    required: bool  # a file without it is unreadable, and a row without a value is quarantined
    delimiter: str = ""  # between a row's values, of a text that holds several; it joins those of a list
    written: str = ""  # how times are written, as the recipe's `landing.time` says it
    instead: str = ""  # stands for a missing value, so that the row is kept
    may_be_null: bool = False  # a row without a value is kept, though a file has to have the column

    @property
    def spares_row(self) -> bool:
        """True where a value that can't be read is missing, and counted, and the row is kept all the same."""
        return self.kind == "number" and self.name != "confidence"  # which weighs: a row of no weight says nothing

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Bounds beyond which a number can't be what the column says; None where any number can."""
        return (0.0, 1.0) if self.name in PROBABILITIES else None


def impression_columns(recipe: Recipe) -> tuple[Column, ...]:
    """Return the columns of a clean impression beside `event_id`: the contract's, features', validation's."""
    mapped = recipe.landing.columns
    columns = [Column("ts", mapped.ts, "time", required=True, written=recipe.landing.time)]
    if not recipe.landing.channel_constant:
        columns.append(Column("channel", mapped.channel, "text", required=True))
    for name, kind in CONTRACT.items():
        source = getattr(mapped, name)
        if source:
            required = name in ("user_id", "campaign_id", "label")
            instead = recipe.landing.missing_campaign if name == "campaign_id" else ""
            columns.append(Column(name, source, kind, required, instead=instead, may_be_null=name == "label"))
    known = {column.name for column in columns} | {"channel", "event_id"}
    delimiters = {source: f.list_delimiter for f in recipe.features for source in f.sources if f.list_delimiter}
    for feature in recipe.features:
        holds: Kind = "number" if feature.holds == "number" else "text"
        for source in feature.sources:
            if source not in known:
                columns.append(Column(source, source, holds, required=False, delimiter=delimiters.get(source, "")))
                known.add(source)
    for source in (*recipe.validation.max_null_share, *recipe.validation.value_sets):
        if source not in known:
            columns.append(Column(source, source, "text", required=False))
            known.add(source)
    return tuple(columns)


def landed_columns(recipe: Recipe) -> tuple[Column, ...]:
    """Return the columns to look for in landed impressions: a clean one's, its `event_id`'s, its inline outcomes'."""
    columns = impression_columns(recipe)
    log = (recipe.landing.event_log.column,) if recipe.landing.event_log.column else ()
    columns += tuple(
        Column(name, name, "text", required=False) for name in (*recipe.landing.inline_outcome_columns, *log)
    )
    if recipe.landing.event_id_from == "file_row":
        return columns
    ids = tuple(Column("event_id", source, "text", required=True) for source in recipe.landing.event_id_columns)
    return (*ids, *columns)


def outcome_columns(recipe: Recipe) -> tuple[Column, ...]:
    """Return the columns of an outcome, landed and clean."""
    mapped, constant = recipe.landing.outcome_columns, recipe.landing.outcome_kind
    return (
        Column("event_id", mapped.event_id, "text", required=True),
        Column("ts", mapped.ts, "time", required=True, written=recipe.landing.outcome_time or recipe.landing.time),
        Column("kind", mapped.kind, "text", required=not constant, instead=constant),
    )


def required_keys(recipe: Recipe) -> dict[str, str]:
    """Return each landed column without which a file of impressions is refused, and the recipe's key that names it."""
    made = recipe.landing.event_id_columns if recipe.landing.event_id_from == "columns" else ()
    mapped = {column.source: key_of(column) for column in impression_columns(recipe) if column.required}
    return dict.fromkeys(made, "landing.event_id_columns") | mapped


def absent_words(missing: Mapping[str, str], received: Iterable[str]) -> str:
    """Say which mapped columns a file lacks and by which keys they are mapped; missing: column → key."""
    names = list(received)
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return (
        "expected the columns that the recipe maps, received none called "
        f"{', '.join(f'{name!r} ({key})' for name, key in missing.items())} among "
        f'{", ".join(names[:MOST_NAMED])}{more}. Put your names into these keys of the recipe, or "" where your files '
        "have none"
    )


def key_of(column: Column, stream: str = "impressions") -> str:
    """Name the recipe's key that says which landed column one of ours comes from."""
    if stream == "outcomes":
        return f"landing.outcome_columns.{column.name}"
    return f"landing.columns.{column.name}" if column.name in Columns.model_fields else "[[features]] or [validation]"


MOST_NAMED = 40  # columns of a file that a message lists
PROBABILITIES = frozenset({"propensity", "served_probability"})
# The landing contract's columns beside id, time and channel. The recipe says which of them the user's files have.
CONTRACT: dict[str, Kind] = {
    "user_id": "text",
    "campaign_id": "text",
    "value": "number",
    "confidence": "number",
    "propensity": "number",
    "explore": "text",
    "served_probability": "number",
    "model_version": "text",
    "label": "label",
}
