"""What a day of many small files costs, beside one file of the same rows.

`make bench-many-files`, or `python -m tests.benchmarks.many_files --files 350 5000 --rows 100000`. Each run is a
process of its own; files of a day hold equally many rows, all of them good. A file's cost is what the day took of the
processor, and of memory of its own, beyond the day of one file.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from ctr_retrain.tasks.ingest.ingest_day import ingest_day
from ctr_retrain.tasks.landing.landing_zone import LocalLandingZone
from ctr_retrain.tasks.store.local_store import LocalStore
from tests.benchmarks.ingest import DAY, RECIPE, OwnMemory, impressions_query
from tests.benchmarks.table import print_table, write_rows

FORMS = ("parquet", "jsonl", "csv")


def main() -> None:
    """Make the days, ingest each in a process, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--files", type=int, nargs="*", default=[350, 5000])
    parser.add_argument("--rows", type=int, default=100_000, help="impressions of each day")
    parser.add_argument("--forms", nargs="*", default=FORMS)
    parser.add_argument("--json", type=Path, help="write the rows here")
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)  # the folder of a day: one run, in this process
    arguments = parser.parse_args()
    if arguments.run:
        sys.stdout.write(json.dumps(run(arguments.run)))
        return
    rows = [row for form in arguments.forms for row in measure(form, arguments.files, arguments.rows)]
    print_table(f"One day of {arguments.rows:,} impressions in many files", rows)
    if arguments.json:
        write_rows(arguments.json, rows)


def measure(form: str, files: list[int], rows: int) -> list[dict[str, object]]:
    """A row for each number of files, the day of one file before them."""
    found: list[dict[str, object]] = []
    one: dict[str, float] = {}
    for count in (1, *files):
        with tempfile.TemporaryDirectory() as folder:
            generate(Path(folder) / "landing", rows, count, form)
            command = [sys.executable, "-m", "tests.benchmarks.many_files", "--run", folder]
            done = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        assert done["kept"] == rows
        one = one or done
        row = {"format": form, "files": count, "rows": rows, "cpu_s": round(done["cpu_s"], 2)}
        row |= {"times_one_file": round(done["cpu_s"] / one["cpu_s"], 2), "peak_anon_mb": round(done["peak_anon_mb"])}
        if count > 1:
            row["ms_a_file"] = round((done["cpu_s"] - one["cpu_s"]) / count * 1e3, 2)
            row["kb_a_file"] = round((done["peak_anon_mb"] - one["peak_anon_mb"]) / count * 1024, 1)
        found.append(row)
    return found


def run(folder: Path) -> dict[str, float]:
    """Ingest the day in this process: seconds of its processor, its own memory at the peak, and rows that were kept."""
    with OwnMemory() as memory:
        before = time.process_time()
        day = ingest_day(
            LocalStore(folder / "root"), LocalLandingZone(folder / "landing"), RECIPE, DAY, datetime.now(UTC)
        )
        spent = time.process_time() - before
    shutil.rmtree(folder / "root")
    return {"cpu_s": spent, "peak_anon_mb": memory.peak_mb, "kept": day.impressions.kept}


def generate(landing: Path, rows: int, files: int, form: str) -> None:
    """Write a day's impressions as so many files."""
    folder = landing / "impressions" / f"dt={DAY}"
    folder.mkdir(parents=True)
    with duckdb.connect() as connection:
        table = connection.sql(impressions_query(0, rows, rows, dirty=False)).to_arrow_table()
    texts = table.set_column(1, "ts", table["ts"].cast("string"))
    for number in range(files):
        first, last = rows * number // files, rows * (number + 1) // files
        target = folder / f"{number:06d}.{form}"
        if form == "parquet":
            pq.write_table(table.slice(first, last - first), target)
        elif form == "csv":
            pa_csv.write_csv(texts.slice(first, last - first), target)
        else:
            lines = (json.dumps(row) for row in texts.slice(first, last - first).to_pylist())
            target.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    main()
