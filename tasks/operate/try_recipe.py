"""Try a recipe on what has landed: the beginnings of the newest day's files, read by the very rules of `ingest`.

What `ingest` would refuse is found in seconds, before a night depends on it, and each mistake is told with its key.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from typing import TYPE_CHECKING

from ctr_retrain.models.data.schema import absent_words, impression_columns, key_of, outcome_columns, required_keys
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.landing.column_rules import clean_impressions, clean_outcomes
from ctr_retrain.tasks.landing.containers import BLOCK_BYTES, HEAD_BYTES, PARQUET, decoded, encoding_of, packing_of
from ctr_retrain.tasks.landing.csv_records import TO_UTF8
from ctr_retrain.tasks.landing.file_parts import LandedFile, RowRange, UnreadableFile
from ctr_retrain.tasks.landing.landed_bytes import landed_name, link_problem, name_problem, open_landed
from ctr_retrain.tasks.landing.parse_lines import one_line
from ctr_retrain.tasks.landing.read_landing import Reading, read_file
from ctr_retrain.tasks.landing.text_blocks import first_block
from ctr_retrain.tasks.landing.text_to_parquet import ROW

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ctr_retrain.models.data.schema import Column
    from ctr_retrain.models.recipe.recipe import Recipe
    from ctr_retrain.tasks.landing.landing_zone import LandingZone

MOST_FILES = 20  # of a stream, that are tried: of a day in thousands of files, those at its beginning
MOST_ROWS = 5_000  # of each


@dataclass
class TriedStream:
    """The findings of trying a recipe on one stream."""

    name: str  # impressions or outcomes
    day: str = ""  # the newest on which something landed; empty: nothing did
    files: int = 0  # that were tried
    rows: int = 0  # of them
    columns: set[str] = field(default_factory=set)  # that some file has
    reasons: Counter[str] = field(default_factory=Counter)  # why rows can't be used
    values: dict[str, str] = field(default_factory=dict)  # of each reason a value, where a value is to blame
    problems: list[str] = field(default_factory=list)  # sentences: expected, received, and the key to change

    @property
    def usable(self) -> int:
        """Rows that `ingest` would keep."""
        return self.rows - self.reasons.total()


def try_recipe(landing: LandingZone, recipe: Recipe, scratch: Path) -> list[TriedStream]:
    """Read the beginnings of the newest day's files as `ingest` does, and say of each stream what stands against it."""
    impressions = _try_stream(landing, "impressions", recipe, impression_columns(recipe), scratch)
    if recipe.inline_label:
        return [impressions]
    outcomes = _try_stream(landing, "outcomes", recipe, outcome_columns(recipe), scratch)
    if not outcomes.day:
        outcomes.problems.append(
            f"{landing}/outcomes: expected outcomes, received none, so that nothing would be a positive. Land them "
            "there; or name the impression's own columns that tell of them, under [[landing.outcomes]] or as "
            "landing.columns.label, and land the file with `land`"
        )
    return [impressions, outcomes]


def _try_stream(
    landing: LandingZone, name: str, recipe: Recipe, columns: tuple[Column, ...], scratch: Path
) -> TriedStream:
    """Try the recipe on one stream."""
    days = [day for day in landing.days(name) if _is_day(day)]
    tried = TriedStream(name, max(days, default=""))
    if not tried.day:
        return tried
    keys = (
        required_keys(recipe) if name == "impressions" else {c.source: key_of(c, name) for c in columns if c.required}
    )
    with duck.connect(scratch, threads=1) as connection:
        for number, path in enumerate(landing.files(name, date.fromisoformat(tried.day))[:MOST_FILES]):
            folder = scratch / f"{name}-{number}"
            folder.mkdir()
            file = _read(connection, path, recipe, columns, folder)
            tried.files += 1
            if isinstance(file, UnreadableFile):
                tried.problems.append(f"{_place(tried, file.name)}: {file.reason}")
            elif missing := {source: key for source, key in keys.items() if source not in file.columns}:
                tried.problems.append(f"{_place(tried, file.name)}: {absent_words(missing, file.columns)}")
            else:
                _try_rows(connection, file, tried, recipe, columns)
    tried.problems += _stream_problems(tried, recipe, columns)
    return tried


def _is_day(text: str) -> bool:
    """Tell whether a folder's name is that of a day."""
    try:
        return str(date.fromisoformat(text)) == text
    except ValueError:
        return False


def _place(tried: TriedStream, file: str) -> str:
    """Name a file below the landing zone."""
    return f"{tried.name}/dt={tried.day}/{file}"


def _read(
    connection: duck.Connection, path: Path, recipe: Recipe, columns: tuple[Column, ...], scratch: Path
) -> LandedFile | UnreadableFile:
    """Read the beginning of a landed file."""
    name = landed_name(path)
    if problem := name_problem(path) or link_problem(path):
        return UnreadableFile(one_line(name), problem)
    beginning = _beginning(path, scratch)
    file = read_file(connection, beginning, Reading(columns, scratch, recipe.landing), name)
    if isinstance(file, LandedFile) and file.damage and beginning == path:
        return UnreadableFile(name, file.damage)
    return file


def _beginning(path: Path, scratch: Path) -> Path:
    """Return a file with the first lines of a long text; other files as they are."""
    with open_landed(path) as file:
        head = file.read(HEAD_BYTES)
    block = b"" if head.startswith(PARQUET) else first_block(path, packing_of(head))
    if len(block) < BLOCK_BYTES or block.startswith(PARQUET) or packing_of(block):
        return path
    # Of wide letters the last may be cut off: what was decoded before it is enough.
    lines = next(decoded(iter([block]), *encoding_of(block)), b"").rpartition(b"\n")[0]
    if not lines:
        return path
    target = scratch / path.name
    target.write_bytes(lines + b"\n")
    return target


def _try_rows(
    connection: duck.Connection, file: LandedFile, tried: TriedStream, recipe: Recipe, columns: tuple[Column, ...]
) -> None:
    """Count why rows of a file can't be used."""
    day = date.fromisoformat(tried.day)
    rows = [RowRange(file, 0, file.positions, f"{ROW} < {MOST_ROWS}")]
    clean = clean_impressions(rows, recipe, columns, day) if tried.name == "impressions" else ""
    query = clean or clean_outcomes(rows, recipe, day)
    known = ", ".join(duck.text(kind) for kind in recipe.kinds)
    reason = "_reason" if clean else f"coalesce(_reason, CASE WHEN kind NOT IN ({known}) THEN 'kind_unknown' END)"
    value = "_value" if clean else "coalesce(_value, kind)"
    counted = f"SELECT {reason} AS reason, count(*), min({value}) FROM ({query}) GROUP BY 1"
    for why, count, example in connection.execute(counted).fetchall():
        tried.rows += count
        if why is not None:
            tried.reasons[why] += count
            tried.values.setdefault(why, example or "")
    for line in islice(file.malformed, MOST_ROWS):
        tried.rows += 1
        tried.reasons[line.reason.partition(":")[0]] += 1
    tried.columns |= file.columns.keys()


def _stream_problems(tried: TriedStream, recipe: Recipe, columns: tuple[Column, ...]) -> Iterable[str]:
    """Say what stands against a stream as a whole."""
    where = f"{tried.name}/dt={tried.day}"
    if not tried.rows and not tried.problems:
        yield f"{where}: expected rows, received none in {tried.files} files"
    if 2 * tried.usable < tried.rows:
        told = "; ".join(_reason_words(tried, why, n, recipe) for why, n in tried.reasons.most_common(3))
        yield f"{where}: expected usable rows, received {tried.usable:,} of {tried.rows:,} that were tried: {told}"
    absent = [c for c in columns if not (c.required or c.instead) and c.source not in tried.columns]
    if tried.rows and absent and not tried.problems:
        names = ", ".join(f"{c.source!r} ({key_of(c, tried.name)})" for c in absent)
        yield f"{where}: expected the columns that the recipe reads, received no file with {names}"


def _reason_words(tried: TriedStream, why: str, count: int, recipe: Recipe) -> str:
    """Say how many rows can't be used for a reason, with a value and the key to look at."""
    value = f" such as {tried.values[why]!r}" if tried.values.get(why) else ""
    landing = recipe.landing
    looked_at = {
        "ts_unreadable": f"landing.time = {landing.time!r}",
        "ts_too_old": f"landing.late_days = {landing.late_days}, landing.day_zone = {landing.day_zone!r}",
        "ts_in_future": f"landing.early_minutes = {landing.early_minutes}, landing.day_zone = {landing.day_zone!r}",
        "channel_unknown": f"[channels] has {', '.join(recipe.channels)}",
        "event_id_missing": "landing.event_id_columns",
        "kind_unknown": f"[channels] labels {', '.join(recipe.kinds)}",
        "malformed_encoding": f"the encoding; perhaps it is that of Windows: {TO_UTF8}",
    }
    if why.startswith(("malformed", "torn")):
        return f"{count:,} {why} ({looked_at.get(why, 'see the lines; `ingest` keeps each in the quarantine')})"
    section = "columns" if tried.name == "impressions" else "outcome_columns"
    name = why.removesuffix("_missing").removesuffix("_wrong_type").removesuffix("_out_of_range")
    return f"{count:,} {why}{value} (see {looked_at.get(why, f'landing.{section}.{name}')})"
