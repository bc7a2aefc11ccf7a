"""Encode an event day's impressions once: all that doesn't depend on the training window, without labels.

An encoded day is named by the impressions that went in and by what the recipe's features read of them. Labels of
another day have the same rows in the same places, so a later run finds the day and encodes only what is new.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ctr_retrain.models.errors import StorageError
from ctr_retrain.models.features.dictionary import Dictionary
from ctr_retrain.models.features.encoder import Coded, encode_values
from ctr_retrain.models.features.table_layout import numbers, slots
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.execution.progress import progress_of
from ctr_retrain.tasks.execution.thread_pool import ThreadPool
from ctr_retrain.tasks.integrity.manifest import EncodedDay
from ctr_retrain.tasks.label.labelled_rows import labelled_files
from ctr_retrain.tasks.store.layout import CODES_FILE, DICTIONARY_FILE, NUMERIC_FILE
from ctr_retrain.tasks.store.protocol import has_object, load_manifest
from ctr_retrain.tasks.train.disk_arrays import make_map
from ctr_retrain.tasks.train.encoding_key import ENCODING, encoded_path, encoding_digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import numpy.typing as npt

    from ctr_retrain.models.feature_kinds.feature import Feature
    from ctr_retrain.models.recipe.recipe import Recipe
    from ctr_retrain.tasks.label.label_day import LabelledDay
    from ctr_retrain.tasks.label.labelled_rows import LabelledFile
    from ctr_retrain.tasks.store.protocol import Store


def encode_days(store: Store, recipe: Recipe, days: Iterable[LabelledDay]) -> list[Coded]:
    """Return the days' codes and numbers as open memory maps; encode and publish those that were not encoded before."""
    days = list(days)
    new = [day for day in days if not has_object(store, encoded_path(day, recipe))]
    if new:
        with progress_of(f"encoding {len(new)} of {len(days)} days", "rows") as progress:
            done = 0
            for day in new:
                _publish(store, recipe, day)
                done += day.rows
                progress(done, sum(day.rows for day in new))
    return [_opened(store, recipe, day) for day in days]


def _publish(store: Store, recipe: Recipe, day: LabelledDay) -> None:
    """Encode a day and publish it as an object of the store."""
    features = recipe.features
    meta = {"event_day": day.day, "inputs": day.landed, "rows": day.rows, ENCODING: encoding_digest(recipe)}
    files = labelled_files(store, day)
    with store.writing(encoded_path(day, recipe), meta) as folder:
        codes = make_map(folder / CODES_FILE, np.int32, (day.rows, slots(features)))
        numeric = make_map(folder / NUMERIC_FILE, np.float32, (day.rows, len(numbers(features))))
        _fill(codes, numeric, files, features).save(folder / DICTIONARY_FILE)


@dataclass(frozen=True)
class _RowGroup:
    """A row group of a landed file, the unit that one core encodes at a time."""

    file: Path  # the landed file
    number: int  # in the file, from 0
    counted: npt.NDArray[np.bool_]  # (rows,), which of them are the label object's


def _fill(
    codes: npt.NDArray[np.int32],
    numeric: npt.NDArray[np.float32],
    files: list[LabelledFile],
    features: tuple[Feature, ...],
) -> Dictionary:
    """Encode the files' rows into the maps in their order, a row group at a time on each core; return their values."""
    # Where each group's rows begin is known beforehand, so threads write side by side and the order stays.
    groups = [group for file in files for group in _row_groups(file)]
    ends = np.cumsum([0] + [np.count_nonzero(group.counted) for group in groups])
    if ends[-1] != len(codes):
        msg = f"labels of {files[0].labels.parent}: expected {len(codes):,} rows, received {ends[-1]:,}. Remove them."
        raise StorageError(msg)

    def write(group: _RowGroup, first: int, end: int) -> Dictionary:
        coded = encode_values(_read(group, features), features)
        codes[first:end], numeric[first:end] = coded.codes, coded.numeric
        return coded.dictionary

    def recode(dictionary: Dictionary, first: int, end: int) -> None:
        codes[first:end] = dictionary.codes_in(whole)[codes[first:end]]

    # Which values a day has is known when all of its groups are encoded, each by its own dictionary.
    starts = ends[:-1].tolist(), ends[1:].tolist()
    with ThreadPool(duck.cores()) as pool:
        dictionaries = list(pool.map(write, groups, *starts))
        whole = Dictionary.merged(dictionaries, features)
        for _ in pool.map(recode, dictionaries, *starts):
            pass
    return whole


def _row_groups(file: LabelledFile) -> Iterator[_RowGroup]:
    """Yield the row groups of a landed file, each with its share of the file's `counted`."""
    metadata, counted, first = pq.read_metadata(file.impressions), file.counted(), 0
    for number in range(metadata.num_row_groups):
        end = first + metadata.row_group(number).num_rows
        yield _RowGroup(file.impressions, number, counted[first:end])
        first = end


def _read(group: _RowGroup, features: tuple[Feature, ...]) -> pa.Table:
    """Read the features' columns of a row group, without the rows that count elsewhere."""
    # Texts come with their dictionaries, so that each distinct text is looked at once.
    schema = pq.read_schema(group.file)
    wanted = list(dict.fromkeys(source for feature in features for source in feature.sources if source in schema.names))
    texts = [name for name in wanted if schema.field(name).type in (pa.string(), pa.binary())]
    if not wanted:  # a table without columns has no rows either
        return pa.table({"": pa.nulls(np.count_nonzero(group.counted))})
    with pq.ParquetFile(group.file, read_dictionary=texts) as opened:
        rows = opened.read_row_group(group.number, columns=wanted, use_threads=False)
    return rows if group.counted.all() else rows.filter(pa.array(group.counted))


def _opened(store: Store, recipe: Recipe, day: LabelledDay) -> Coded:
    """Open an encoded day; raise StorageError where it is gone or has other rows than its labels."""
    path = encoded_path(day, recipe)
    folder, encoded = store.open(path), load_manifest(store, path, EncodedDay)
    rows = encoded.rows if encoded else 0
    if folder is None or rows != day.rows:
        msg = f"{path} under {store.root}: expected {day.rows:,} encoded rows, received {rows:,}. Remove it, run again."
        raise StorageError(msg)
    codes, numeric = (np.load(folder / file, mmap_mode="r") for file in (CODES_FILE, NUMERIC_FILE))
    return Coded(codes, numeric, Dictionary.load(folder / DICTIONARY_FILE))
