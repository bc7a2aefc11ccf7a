"""Score a file of raw impressions with a bundle's served graph, and nothing else of this software's training side."""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq

from models.bundle import Scorer
from models.errors import CtrRetrainError, DataRejectedError, StorageError

BATCH_ROWS = 200_000


def score_file(serving: Path, source: Path, target: Path) -> int:
    """Write the source's rows with a column `probability` as Parquet or CSV; returns how many.

    Columns that the file lacks, nulls and unseen values are answered. Raises DataRejectedError for a file that can't
    be read, StorageError where the target can't be written; a target appears whole or not at all.
    """
    table = _read(source)
    scorer = Scorer(serving)
    aside = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        scored = table.append_column("probability", pa.array(scorer.score(table)))
        if target.suffix == ".csv":
            pyarrow.csv.write_csv(scored, aside)
        else:
            pq.write_table(scored, aside, compression="zstd")
        aside.replace(target)
    except OSError as error:
        msg = f"scores to {target}: expected a writable disk with room, received: {error}. Nothing was written."
        raise StorageError(msg) from error
    finally:
        aside.unlink(missing_ok=True)
    return len(table)


def _read(source: Path) -> pa.Table:
    try:
        if ".csv" in source.suffixes:
            return pyarrow.csv.read_csv(source)
        if {".jsonl", ".json", ".ndjson"} & set(source.suffixes):
            return pyarrow.json.read_json(source)
        return pq.read_table(source)
    except (OSError, pa.ArrowInvalid) as error:
        msg = f"scoring {source}: expected a readable Parquet, CSV or JSON lines file, received: {error}"
        raise DataRejectedError(msg) from error


if __name__ == "__main__":
    try:
        score_file(*(Path(argument) for argument in sys.argv[1:4]))
    except CtrRetrainError as failure:
        sys.exit(str(failure))
