"""Summarise a landed day: rows by what became of them, values that couldn't be read, outcomes that found nothing."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq

from ctr_retrain.models.data.schema import Column, impression_columns, landed_columns, outcome_columns
from ctr_retrain.models.data.user_sample import add_up_samples, sample_of
from ctr_retrain.models.documents.day_documents import MOST_KINDS, Attribution, Counts, DaySummary, UnreadableValues
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.ingest.column_fill import add_up_fill, count_filled, read_fill
from ctr_retrain.tasks.ingest.quarantine_reasons import mostly_quarantined
from ctr_retrain.tasks.landing.column_rules import unreadable_example
from ctr_retrain.tasks.store.layout import IMPRESSIONS, OUTCOMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from ctr_retrain.models.documents.day_documents import UserSample
    from ctr_retrain.models.recipe.recipe import Recipe
    from ctr_retrain.tasks.ingest.deduplicate import Deduplicated
    from ctr_retrain.tasks.landing.file_parts import LandedFile

NOTHING = Counts(received=0, kept=0, duplicates=0, quarantined=0)
NO_OUTCOMES = Attribution(outcomes=0, found=0, not_found=0, unnamed=0)
VALUES_SHOWN = 5  # of a column, in a notice
HASH_BITS = 52  # of a user's hash, which JSON keeps whole
SAMPLED_ROWS = 32_768  # of a day, by users: those with the least hashes of these are its sample
WHOLE_ROWS = 65_536  # of a file up to which users of all rows are looked at


def summarise(
    connection: duck.Connection,
    folder: Path,
    impressions: Deduplicated,
    outcomes: Deduplicated,
    left_out: Mapping[str, str],
    recipe: Recipe,
) -> DaySummary:
    """Return the summary of a day, or of a shard, whose rows stand below `folder`; its landed files still lie there.

    left_out: what else lay in the day's folders, and why it was not read.
    """
    bad = impressions.quarantined | outcomes.quarantined
    known, known_of_outcomes = (_sources(columns) for columns in (landed_columns(recipe), outcome_columns(recipe)))
    unknown = impressions.columns - known
    unknown |= {f"{OUTCOMES}.{name}" for name in outcomes.columns - known_of_outcomes}
    files = sorted((folder / IMPRESSIONS).glob("*.parquet"))
    labelled = count_filled(files, ["label"])["label"] if recipe.inline_label else impressions.counts.kept
    return DaySummary(
        impressions=impressions.counts,
        outcomes=outcomes.counts,
        unreadable=impressions.unreadable | outcomes.unreadable,
        unknown_columns=tuple(sorted(unknown)),
        not_read=left_out,
        mostly_quarantined=mostly_quarantined(bad),
        quarantined_files=bad,
        unreadable_values=_unreadable_values(connection, files, impressions, recipe),
        without_label=impressions.counts.kept - labelled,
        fill=read_fill(connection, files, recipe),
        attribution=_attribution(connection, folder, outcomes.counts.kept, recipe),
        notices=tuple(_notices(connection, impressions, recipe)),
        rows_in_files=impressions.rows_in_files,
        users=_users(connection, files, impressions.counts.kept, recipe),
    )


def add_up_summaries(shards: list[DaySummary]) -> DaySummary:
    """Return the summary of a day from those of its shards."""
    first = shards[0]  # all read the same files, and so have the same unreadable ones, columns and notices
    unreadable = sorted({name for shard in shards for name in shard.unreadable_values})
    bad: dict[str, tuple[int, int]] = {}
    for name, (quarantined, rows) in (found for shard in shards for found in shard.quarantined_files.items()):
        bad[name] = (bad.get(name, (0, 0))[0] + quarantined, rows)
    none = UnreadableValues(rows=0, values=0)
    attributions = [shard.attribution for shard in shards if shard.attribution]
    return DaySummary(
        impressions=sum((shard.impressions for shard in shards), NOTHING),
        outcomes=sum((shard.outcomes for shard in shards), NOTHING),
        unreadable=first.unreadable,
        unknown_columns=first.unknown_columns,
        not_read=first.not_read,
        mostly_quarantined=mostly_quarantined(bad),
        quarantined_files=bad,
        unreadable_values={
            name: sum((shard.unreadable_values.get(name, none) for shard in shards), none) for name in unreadable
        },
        without_label=sum(shard.without_label for shard in shards),
        fill=add_up_fill([shard.fill for shard in shards]),
        attribution=sum(attributions, NO_OUTCOMES) if attributions else None,
        notices=first.notices,
        rows_in_files=first.rows_in_files,
        users=add_up_samples(shard.users for shard in shards if shard.users),
    )


def _unreadable_values(
    connection: duck.Connection, files: list[Path], impressions: Deduplicated, recipe: Recipe
) -> dict[str, UnreadableValues]:
    """Return by column the values that can't be read, beside those that it has at all, with an example."""
    columns = {column.name: column for column in impression_columns(recipe)}
    found = impressions.unreadable_values
    readable = count_filled(files, found)
    return {
        name: UnreadableValues(
            rows=rows,
            values=rows + readable[name],
            example=_example(connection, impressions.files, columns[name], recipe),
        )
        for name, rows in sorted(found.items())
    }


def _attribution(connection: duck.Connection, folder: Path, kept: int, recipe: Recipe) -> Attribution | None:
    """Count the day's outcomes, so many were kept, by whether an impression that landed with them has their id."""
    if recipe.inline_label:
        return None
    if not kept:  # no query: it would read all impressions
        return NO_OUTCOMES
    outcomes = duck.parquet(folder / OUTCOMES / "*.parquet")
    connection.execute(f"CREATE OR REPLACE TABLE asked AS SELECT DISTINCT event_id FROM {outcomes}")
    connection.execute("CREATE OR REPLACE TABLE answered (event_id VARCHAR)")

    def find(cursor: duck.Connection, part: Path) -> None:
        ids = f"SELECT event_id FROM {duck.parquet(part)} SEMI JOIN asked USING (event_id)"
        cursor.execute(f"INSERT INTO answered {ids}")

    duck.in_parallel(connection, find, sorted((folder / IMPRESSIONS).glob("*.parquet")))
    kinds = connection.execute(
        "SELECT kind, count(*), count(*) FILTER (event_id IN (SELECT event_id FROM answered)) "
        f"FROM {outcomes} GROUP BY kind ORDER BY 2 DESC, 1"
    ).fetchall()
    named, unnamed = ([row for row in kinds if (row[0] in recipe.kinds) is is_named] for is_named in (True, False))
    found = sum(row[2] for row in named)
    return Attribution(
        outcomes=sum(row[1] for row in kinds),
        found=found,
        not_found=sum(row[1] for row in named) - found,
        unnamed=sum(row[1] for row in unnamed),
        unnamed_kinds={kind: rows for kind, rows, _ in unnamed[:MOST_KINDS]},
    )


def _users(connection: duck.Connection, files: list[Path], kept: int, recipe: Recipe) -> UserSample | None:
    """Sample the users by a hash. Of a large file the first half is looked at: to read the column is what takes time.

    So a user may be called new whom only the other halves had before, on each day alike.
    """
    if not recipe.landing.columns.user_id or not files:
        return None
    below = int(2**HASH_BITS * min(1.0, SAMPLED_ROWS / max(kept, 1)))
    user = f"hash(user_id) >> {64 - HASH_BITS}"

    def find(cursor: duck.Connection, part: Path) -> NDArray[np.uint64]:
        rows = pq.read_metadata(part).num_rows
        looked_at = max(rows // 2, min(rows, WHOLE_ROWS))
        found = cursor.execute(
            f"SELECT {user} AS user FROM read_parquet({duck.text(part)}, file_row_number = true) "
            f"WHERE file_row_number < {looked_at} AND user < {below}"
        )
        return np.asarray(found.fetchnumpy()["user"])

    users, rows = np.unique(np.concatenate(duck.in_parallel(connection, find, files)), return_counts=True)
    probe = connection.execute(f"SELECT hash('user') >> {64 - HASH_BITS}").fetchone()
    return sample_of(probe[0] if probe else 0, below, dict(zip(users.tolist(), rows.tolist(), strict=True)))


def _notices(connection: duck.Connection, impressions: Deduplicated, recipe: Recipe) -> Iterable[str]:
    """Say what landed otherwise than the recipe says, and costs no row: each a sentence with column and value."""
    files, landing = impressions.files, recipe.landing
    if not files:
        return
    columns = {column.name: column for column in impression_columns(recipe)}
    spare = sorted(impressions.columns - _sources(landed_columns(recipe)))
    for column in columns.values():
        if not any(column.source in file.columns or file.cleaned for file in files):
            yield f"column {column.source!r}: expected in the files, received {_instead(column, spare)}"
    own = landing.columns.channel
    if landing.channel_constant and (values := _values(connection, files, own)) - {landing.channel_constant}:
        shown = ", ".join(map(repr, sorted(values)[:VALUES_SHOWN]))
        yield (
            f"column {own!r}: expected none beside landing.channel_constant = {landing.channel_constant!r}, which all "
            f"rows get, received {shown}. Remove the key where the files' own channels count"
        )


def _instead(column: Column, spare: list[str]) -> str:
    """Say what the files have in place of a column that none of them has."""
    lower = {name.lower(): name for name in spare}
    near = get_close_matches(column.source.lower(), lower, n=1, cutoff=0.7)
    guess = f"Did you mean {lower[near[0]]!r}?" if near else "Check its spelling; until then it counts as missing"
    return f"none of that name. {guess}"


def _example(connection: duck.Connection, files: list[LandedFile], column: Column, recipe: Recipe) -> str:
    """Return a landed value that couldn't be read, from the first file that has one."""
    for file in files:
        if (query := unreadable_example(file, column, recipe.landing)) and (
            row := connection.execute(query).fetchone()
        ):
            return str(row[0])
    return ""


def _values(connection: duck.Connection, files: list[LandedFile], column: str) -> set[str]:
    """Return the different values of a landed column, or some of them where there are many."""
    found: set[str] = set()
    for file in files:
        if column in file.columns and len(found) <= VALUES_SHOWN:
            name = duck.name(column)
            query = f"SELECT DISTINCT left({name}::VARCHAR, 100) FROM {file.table} WHERE {name} IS NOT NULL LIMIT 6"
            found |= {row[0] for row in connection.execute(query).fetchall()}
    return found


def _sources(columns: Iterable[Column]) -> set[str]:
    """Return the landed columns that are read, and of nested keys the column that holds them."""
    return {name for column in columns for name in (column.source, column.source.partition(".")[0])}
