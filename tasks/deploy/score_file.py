"""Score a file of raw impressions with a bundle's served graph, without anything that belongs to training.

`ctr-retrain score` does so for users, and the serving check of stage 9 in a process of its own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from ctr_retrain.models.data.schema import Column, impression_columns
from ctr_retrain.models.documents.bundle_documents import BundleDocument
from ctr_retrain.models.documents.day_documents import UnreadableValues
from ctr_retrain.models.errors import DataRejectedError, StorageError, UsageError
from ctr_retrain.models.number_format import percent
from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.execution.progress import progress_of
from ctr_retrain.tasks.landing.column_rules import typed, unreadable
from ctr_retrain.tasks.landing.file_parts import LandedFile, UnreadableFile
from ctr_retrain.tasks.landing.landed_values import writable
from ctr_retrain.tasks.landing.read_landing import Reading, read_file
from ctr_retrain.tasks.landing.text_to_parquet import ROW
from ctr_retrain.tasks.store.layout import BUNDLE_FILE, SERVING
from ctr_retrain.tasks.store.staging import atomic_write

if TYPE_CHECKING:
    from ctr_retrain.models.serving.scorer import Scorer

BATCH_ROWS = 200_000  # scored and written at once, so that memory doesn't grow with the file
EXAMPLE_CHARACTERS = 100  # of a value that can't be read
TARGETS = (".parquet", ".csv")  # how the file of scores may end


@dataclass(frozen=True)
class ScoredFile:
    """A file that was scored."""

    rows: int  # that were scored
    absent_columns: tuple[str, ...]  # that the model reads and the file lacks: it was told that their values miss
    unreadable: Mapping[str, UnreadableValues]  # by the file's column: values that it was told miss, as well


def score_sample(bundle: str, source: str, target: str) -> None:
    """Score the serving check's sample, whose columns have our names: what stage 9 calls in a process of its own."""
    score_file(Path(bundle), Path(source), Path(target), our_names=True)


def load_served(bundle: str) -> None:
    """Load a bundle's served graph and answer a row without values: what is done before a model is put into service."""
    from ctr_retrain.models.serving.scorer import Scorer  # noqa: PLC0415 - TensorFlow takes seconds to import

    Scorer(Path(bundle) / SERVING).score(pa.table({"unknown": pa.nulls(1)}))


def require_scorable(source: Path, target: Path) -> None:
    """Raise UsageError for a source or a target that can't be one, whatever the model."""
    if target.suffix not in TARGETS:
        msg = (
            f"scores to {target}: expected a name that ends in {' or '.join(TARGETS)}, received another. Set --output."
        )
        raise UsageError(msg)
    if not source.is_file():
        msg = f"scoring {source}: expected a Parquet, CSV or JSON lines file, received none. Set --input."
        raise UsageError(msg)


def score_file(
    bundle: Path, source: Path, target: Path, *, our_names: bool = False, max_unreadable: float = 1
) -> ScoredFile:
    """Write the source's rows with a column `probability` as Parquet or CSV, in their order.

    Models with heads add a column `probability_KIND` for each.
    Columns are found under the landed names of the bundle's recipe, or else under ours (with our_names: under ours
    alone), and read as ingest reads them. Columns that the file lacks, nulls and unseen values are answered. Of JSON
    lines, the keys of the first hundred rows and those that the model reads are kept. A target appears whole or not at
    all. Values that can't be read count as missing and are counted. Raises UsageError for a source or target that can't
    be one, DataRejectedError for a file that can't be read whole or has a column of which nothing, or less than
    1 − `max_unreadable`, can be read, StorageError for a failing disk.
    """
    require_scorable(source, target)
    from ctr_retrain.models.serving.scorer import Scorer  # noqa: PLC0415 - TensorFlow: not for the flow

    recipe, scorer = Recipe.model_validate(BundleDocument.read(bundle / BUNDLE_FILE).recipe), Scorer(bundle / SERVING)
    with tempfile.TemporaryDirectory() as scratch, duck.connect(Path(scratch)) as connection:
        file = _read(connection, source, recipe, Path(scratch), scorer.output_names)
        columns = _columns(file, recipe, scorer.columns, our_names=our_names)
        inputs = {column.name: typed(file, column, recipe.landing) for column in columns}
        if recipe.landing.channel_constant and "channel" in scorer.columns:
            inputs["channel"] = duck.text(recipe.landing.channel_constant)
        if not inputs:
            wanted, received = ", ".join(scorer.columns), ", ".join(file.columns) or "none"
            msg = f"scoring {source}: expected at least one of the model's columns {wanted}, received {received}."
            raise DataRejectedError(msg)
        found = _count_unreadable(connection, file, columns, recipe)
        _refuse_unreadable(source, found, max_unreadable)
        selects = [f"{expression} AS {duck.name(f'_model_{name}')}" for name, expression in inputs.items()]
        ours = ", ".join([ROW, *map(duck.name, sorted(file.columns.keys() - file.names))])  # nested keys as columns
        rows = f"SELECT * EXCLUDE ({ours}), "
        order = f" ORDER BY {ROW}" if source.suffix != ".parquet" else ""
        query = f"{rows}{', '.join(selects)} FROM {file.table}{order}"
        batches = connection.sql(query).to_arrow_reader(BATCH_ROWS)
        _write(batches.schema, _checked(batches, source), scorer, file.rows, target)
    absent = tuple(column for column in scorer.columns if column not in inputs)
    return ScoredFile(file.rows, absent, {name: values for name, values in found.items() if values.rows})


def _read(
    connection: duckdb.DuckDBPyConnection, source: Path, recipe: Recipe, scratch: Path, answers: tuple[str, ...]
) -> LandedFile:
    """Open the source as ingest would, but refuse what ingest would quarantine: each row is to get its probability.

    answers: the columns that scoring adds. Raises DataRejectedError where it can't be read whole or has a column of
    such a name.
    """
    file = read_file(connection, source, Reading(impression_columns(recipe), scratch, recipe.landing))
    if isinstance(file, UnreadableFile):
        msg = f"scoring {source}: expected a readable Parquet, CSV or JSON lines file, received: {file.reason}"
        raise DataRejectedError(msg)
    if file.damage:
        msg = f"scoring {source}: expected a whole file, received a torn one: {file.damage}. Nothing was written."
        raise DataRejectedError(msg)
    if file.malformed:
        first = next(iter(file.malformed))
        msg = (
            f"scoring {source}: expected rows throughout, received {len(file.malformed)} malformed lines, the first in "
            f"row {first.row}: {first.reason}. Mend or remove them; nothing was written."
        )
        raise DataRejectedError(msg)
    if taken := [name for name in answers if name in file.columns]:
        msg = f"scoring {source}: expected no column {taken[0]!r}, which scoring adds, received one. Rename it."
        raise DataRejectedError(msg)
    return file


def _columns(file: LandedFile, recipe: Recipe, wanted: tuple[str, ...], *, our_names: bool) -> list[Column]:
    """Return the served graph's columns, each with the file's own column; those that the file lacks are left out."""
    found = []
    for column in impression_columns(recipe):
        source = column.name if our_names or column.source not in file.columns else column.source
        if column.name in wanted and source in file.columns:
            found.append(replace(column, source=source))
    return found


def _count_unreadable(
    connection: duckdb.DuckDBPyConnection, file: LandedFile, columns: list[Column], recipe: Recipe
) -> dict[str, UnreadableValues]:
    """Count by the file's column the values that can't be read as numbers or times."""
    checked = [column for column in columns if column.kind in ("number", "time")]
    selects = []
    for column in checked:
        wrong, there = unreadable(file, column, recipe.landing)
        value = f"left({writable(column.source, file.columns[column.source])}::VARCHAR, {EXAMPLE_CHARACTERS})"
        selects += [f"count_if({wrong})", f"count_if({there})", f"any_value({value}) FILTER ({wrong})"]
    # All rows, though there is one: DuckDB takes no other query before a result has been read to its end.
    rows = connection.execute(f"SELECT {', '.join(selects)} FROM {file.table}").fetchall() if selects else [()]
    counted = [rows[0][3 * place : 3 * place + 3] for place in range(len(checked))]
    return {
        column.source: UnreadableValues(rows=int(bad or 0), values=int(there or 0), example=example or "")
        for column, (bad, there, example) in zip(checked, counted, strict=True)
    }


def _refuse_unreadable(source: Path, found: Mapping[str, UnreadableValues], most: float) -> None:
    """Raise DataRejectedError for each column of which nothing can be read, or too little."""
    bad = [
        f"column {name!r}: {values.rows:,} of {values.values:,} values can't be read, such as {values.example!r}"
        for name, values in found.items()
        if values.rows and (values.rows == values.values or values.share > most)
    ]
    if bad:
        msg = (
            f"scoring {source}: expected values as the model's recipe reads them (landing.time, landing.decimal), "
            f"at most {percent(most)} unreadable and never all, received {'; '.join(bad)}. Nothing was written."
        )
        raise DataRejectedError(msg, unreadable={name: values.to_json() for name, values in found.items()})


def _checked(batches: pa.RecordBatchReader, source: Path) -> Iterator[pa.Table]:
    """Yield the batches as tables; raise DataRejectedError where the file turns out to be damaged in the middle."""
    # Here and not where scores are written: there the disk of the target would be blamed for it.
    try:
        for batch in batches:
            yield pa.table(batch)
    except (OSError, pa.ArrowException) as error:
        msg = f"scoring {source}: expected a file whose rows can all be read, received: {error}. Nothing was written."
        raise DataRejectedError(msg) from error


def _write(columns: pa.Schema, tables: Iterator[pa.Table], scorer: Scorer, rows: int, target: Path) -> None:
    """Score each table and write it, without the model's inputs and with its probabilities, to the target.

    columns: of the tables; those named _model_NAME are the served graph's inputs. Raises StorageError where the target
    can't be written, UsageError where its format can't hold a column of the source.
    """
    kept = [field for field in columns if not field.name.startswith("_model_")]
    schema = pa.schema([*kept, *(pa.field(name, pa.float64()) for name in scorer.output_names)])
    done = 0
    try:
        with (
            atomic_write(target) as aside,
            _open(aside, schema) as writer,
            progress_of("scoring", "rows") as progress,
        ):
            for table in tables:
                inputs = [name for name in table.column_names if name.startswith("_model_")]
                given = table.select(inputs).rename_columns([name.removeprefix("_model_") for name in inputs])
                answered = table.drop_columns(inputs)
                for name, probability in scorer.score_all(given).items():
                    answered = answered.append_column(name, pa.array(probability))
                writer.write_table(answered.cast(schema))
                done += len(table)
                progress(done, rows)
    except OSError as error:
        msg = f"scores to {target}: expected a writable disk with room, received: {error}. Nothing was written."
        raise StorageError(msg) from error
    except pa.ArrowException as error:
        msg = f"scores to {target}: expected columns that {target.suffix} can hold, received: {error}. Write .parquet."
        raise UsageError(msg) from error


def _open(path: Path, schema: pa.Schema) -> Any:
    """Open a writer of CSV or of Parquet, by the name of the file."""
    return pyarrow.csv.CSVWriter(path, schema) if path.suffix == ".csv" else pq.ParquetWriter(path, schema)
