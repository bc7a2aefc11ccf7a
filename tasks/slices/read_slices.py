"""Read what divides the validation rows: a channel, campaigns, columns that the recipe names, newcomers, features."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.models.data.slices import MISSING
from ctr_retrain.models.feature_kinds.arrow_columns import as_numbers, column_of, distinct_texts
from ctr_retrain.models.judged_slices.slice_rows import Family, fifths, marked
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.label.labelled_rows import labelled_rows
from ctr_retrain.tasks.train.row_roles import validation_rows

if TYPE_CHECKING:
    import pyarrow as pa

    from ctr_retrain.models.recipe.recipe import Recipe
    from ctr_retrain.tasks.plan.run import Run

MOST_FEATURES = 20  # that the scan crosses, in the recipe's order: 190 pairs take a second for a million rows
NEWCOMERS = {"campaign_id": "launched after the training window", "user_id": "first seen after the training window"}
# The order in which the models scored these rows, and so that of the scores' file.
IN_ORDER = "ORDER BY day_index, event_id"


def read_slices(run: Run) -> tuple[list[Family], list[Family]]:
    """Return the listed families and those that the scan crosses, both in the order of the scores' rows."""
    texts, numbers = _scanned(run.recipe)
    listed = tuple(name for name in run.recipe.slice_columns if name != "channel")
    families: dict[str, Family] = {}
    with duck.connect(run.folder) as connection:
        rows = validation_rows(run)
        there = connection.sql(f"SELECT * FROM ({rows}) LIMIT 0").columns
        # A column at a time: codes of all of them take a fraction of the memory that their texts take.
        for name in dict.fromkeys(("channel", *listed, *texts, *numbers)):
            if name in there:
                table = connection.sql(f"SELECT {duck.name(name)} FROM ({rows}) {IN_ORDER}").to_arrow_table()
                families[name] = _numbers(table, name) if name in numbers else _texts(table, name)
        mapped = [name for name in NEWCOMERS if getattr(run.recipe.landing.columns, name)]
        newcomers = [_newcomers(connection, run, name) for name in mapped]
    own = [families[name] for name in dict.fromkeys(("channel", *listed)) if name in families]
    scanned = dict.fromkeys(("channel", *listed, *texts, *numbers))
    return [*own, *newcomers], [families[name] for name in scanned if name in families][:MOST_FEATURES]


def _scanned(recipe: Recipe) -> tuple[list[str], list[str]]:
    """Return the columns of texts and of numbers that features read, without users, of whom each has few rows."""
    single = [feature for feature in recipe.features if not feature.list_delimiter]
    texts, numbers = (
        [source for feature in single if feature.holds == holds for source in feature.sources]
        for holds in ("text", "number")
    )
    return [name for name in texts if name != "user_id"], numbers


def _texts(table: pa.Table, name: str) -> Family:
    """Make a slice of each text of a column."""
    values, code = distinct_texts(column_of(table, name), name)
    shown = tuple(value.decode(errors="replace") or MISSING for value in values)
    return Family(name, shown, code.astype(np.int32))


def _numbers(table: pa.Table, name: str) -> Family:
    """Divide a column of numbers into fifths."""
    return fifths(name, as_numbers(column_of(table, name), name).astype(np.float64))


def _newcomers(connection: duck.Connection, run: Run, name: str) -> Family:
    """Mark the rows whose campaign, or user, has no row in the training window."""
    own, column = validation_rows(run), duck.name(name)
    window = " UNION ALL ".join(
        f"SELECT {column}::VARCHAR AS known FROM ({labelled_rows(run.store, day)})" for day in run.plan.window
    )
    # The window's rows stream past the few values of the validation days, so that no long list of users is held.
    known = f"SELECT DISTINCT known FROM ({window}) WHERE known IN (SELECT {column}::VARCHAR FROM ({own}))"
    new = f"v.{column} IS NOT NULL AND k.known IS NULL AS new"  # who isn't named at all is no newcomer
    query = f"SELECT {new} FROM ({own}) v LEFT JOIN ({known}) k ON v.{column}::VARCHAR = k.known {IN_ORDER}"
    marks = connection.sql(query).to_arrow_table()["new"].to_numpy(zero_copy_only=False)
    return marked(name, NEWCOMERS[name], marks.astype(bool))
