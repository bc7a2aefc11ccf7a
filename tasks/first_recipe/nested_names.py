"""Names such as `device.category` of the values in a sample's objects, by which a recipe can read them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ctr_retrain.tasks.execution import duck

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ctr_retrain.models.first_recipe.column_look import ColumnLook
    from ctr_retrain.tasks.landing.file_parts import LandedFile

OBJECTS = 200  # of a column, whose keys are looked at
MOST_NAMES = 40  # of one column: beyond, keys are data and no columns
DEEPEST = 3  # keys of one name


def nested_names(connection: duck.Connection, sample: LandedFile, looks: Sequence[ColumnLook]) -> list[str]:
    """Return a name for each value in the sample's objects that is no object and no list itself."""
    known = {look.name.lower() for look in looks}
    names: list[str] = []
    for look in looks:
        if look.nested:
            found = _names_in(connection, sample, look)
            names += [name for name in found[:MOST_NAMES] if name.lower() not in known]
    return names


def _names_in(connection: duck.Connection, sample: LandedFile, look: ColumnLook) -> list[str]:
    """Return the names in one column, in the order in which they come."""
    column = duck.name(look.name)
    text = f"{column}::VARCHAR" if look.type in ("VARCHAR", "JSON") else f"to_json({column})::VARCHAR"
    objects = connection.execute(f"SELECT DISTINCT {text} FROM {sample.table} LIMIT {OBJECTS}").fetchall()
    names: dict[str, None] = {}
    for (value,) in sorted(row for row in objects if row[0] is not None):
        try:
            parsed = json.loads(value)
        except (ValueError, RecursionError):
            continue
        names |= dict.fromkeys(_leaves(parsed, look.name))
    by_case = {name.lower(): name for name in reversed(names)}  # SQL takes names for equal that differ in case alone
    return [name for name in names if by_case[name.lower()] == name]


def _leaves(value: Any, above: str) -> Iterator[str]:
    """Yield the names of all values below an object that are no object and no list."""
    if not isinstance(value, dict) or above.count(".") >= DEEPEST:
        return
    for key, below in value.items():
        if not key or "." in key or not key.isprintable():
            continue  # no name leads there
        if isinstance(below, dict):
            yield from _leaves(below, f"{above}.{key}")
        elif not isinstance(below, list):
            yield f"{above}.{key}"
