"""How fast a day is ingested, profiled and labelled, beside a plain rewrite of the same files and beside pandas.

`make bench-ingest`, or `python -m tests.benchmarks.ingest --rows 10000000`. Each run is a process of its own; warm runs
of the engines alternate, and medians count. The rewrite does nothing but read the files and write their rows as one
Parquet file: it is the floor under any pipeline. Ours quarantines, drops duplicates, counts, hashes what it publishes,
and writes each impression once and its labels beside it.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb

from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.tasks.execution import duck
from tests.benchmarks.table import print_table, write_rows

DAY = date(2026, 3, 2)
FILE_ROWS = 400_000
FEATURES = {
    "categorical": ("user_id", "creative_id", "device", "os", "country", "placement", "app_version"),
    "numeric": ("bid", "recency_hours", "sends_24h", "hist_ctr"),
}
COST = {"true_positive": -1, "false_positive": 0.02}
RECIPE = Recipe.model_validate(
    {
        "name": "benchmark",
        "channels": {
            "ad": {"positive_ratio": [0, 1], "cost": COST},
            "push": {"attribution_window_hours": 72, "positive_ratio": [0, 1], "cost": COST},
        },
        "features": [{"name": name, "kind": kind} for kind, names in FEATURES.items() for name in names],
        "validation": {"max_null_share": {"app_version": 0.5}},
        "gate": {"max_cost_delta_per_1000": 1, "max_channel_cost_delta_per_1000": 1},
    }
)
TYPES = {"ts": "TIMESTAMP", "sends_24h": "BIGINT", "bid": "DOUBLE", "recency_hours": "DOUBLE", "hist_ctr": "DOUBLE"}
COLUMNS = ("event_id", "ts", "channel", "campaign_id", *FEATURES["categorical"], *FEATURES["numeric"])


def main() -> None:
    """Generate the day, run the engines in turn, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rows", type=int, default=10_000_000, help="impressions of the day")
    parser.add_argument("--json-rows", type=int, help="of the day in JSON lines; default: a sixth")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--engines", nargs="*", default=["ctr-retrain", "duckdb-rewrite", "pandas"])
    parser.add_argument("--json", type=Path, help="write the rows here")
    parser.add_argument("--run", nargs=3, help=argparse.SUPPRESS)  # engine, format, folder: one run, in this process
    arguments = parser.parse_args()
    if arguments.run:
        engine, form, folder = arguments.run
        sys.stdout.write(json.dumps(run(engine, form, Path(folder))))
        return
    rows = []
    with tempfile.TemporaryDirectory(dir=_scratch()) as folder:
        for form, count in (("parquet", arguments.rows), ("jsonl.gz", arguments.json_rows or arguments.rows // 6)):
            day = Path(folder) / form
            generate(day, count, form)
            engines = [e for e in arguments.engines if e != "pandas" or (form == "parquet" and count <= 10_000_000)]
            rows += measure(engines, form, day, count, arguments.repeats)
            shutil.rmtree(day)
    print_table("One day through ingest, profile and labels", rows)
    if arguments.json:
        write_rows(arguments.json, rows)


def measure(engines: list[str], form: str, folder: Path, count: int, repeats: int) -> list[dict[str, object]]:
    """Medians of warm, alternating runs; the first round warms."""
    found: dict[str, list[dict[str, float]]] = {engine: [] for engine in engines}
    for repeat in range(repeats + 1):
        for engine in engines:
            command = [sys.executable, "-m", "tests.benchmarks.ingest", "--run", engine, form, str(folder)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            if repeat:
                found[engine].append(json.loads(done.stdout))
    seconds = {engine: statistics.median(run["seconds"] for run in runs) for engine, runs in found.items()}
    rows = []
    for engine, runs in found.items():
        row = {"engine": engine, "format": form, "rows": count, "seconds": round(seconds[engine], 2)}
        row["rows_per_second"] = round(count / seconds[engine])
        if "duckdb-rewrite" in seconds:
            row["times_rewrite"] = round(seconds[engine] / seconds["duckdb-rewrite"], 2)
        row["peak_rss_mb"] = max(round(run["peak_rss_mb"]) for run in runs)
        row["peak_anon_mb"] = max(round(run["peak_anon_mb"]) for run in runs)
        row |= {key: round(statistics.median(run[key] for run in runs), 2) for key in runs[0] if key.endswith("_s")}
        rows.append(row)
    return rows


def run(engine: str, form: str, folder: Path) -> dict[str, float]:
    """One run of an engine in this process: seconds without imports, and its peak memory."""
    work = {"ctr-retrain": _ours, "duckdb-rewrite": _rewrite, "pandas": _pandas}[engine](folder, form)
    target = folder / "out"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    with OwnMemory() as memory:
        started = time.perf_counter()
        parts = work(target)
        seconds = time.perf_counter() - started
    shutil.rmtree(target)
    total = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "peak_rss_mb": total, "peak_anon_mb": memory.peak_mb, **parts}


def _ours(folder, form):
    import pandas as pd  # noqa: F401 - Arrow imports it with the first NumPy array that it sees

    from ctr_retrain.tasks.ingest.ingest_day import ingest_day
    from ctr_retrain.tasks.label.label_day import label_day
    from ctr_retrain.tasks.landing.landing_zone import LocalLandingZone
    from ctr_retrain.tasks.store.local_store import LocalStore

    def work(target):
        store, started = LocalStore(target), time.perf_counter()
        ingest_day(store, LocalLandingZone(folder), RECIPE, DAY, datetime.now(UTC))
        ingested = time.perf_counter()
        label_day(store, RECIPE, DAY, DAY)
        return {"ingest_s": ingested - started, "label_s": time.perf_counter() - ingested}

    return work


def _rewrite(folder, form):
    def work(target):
        files = f"{duck.text(folder)} || '/impressions/*/*'"
        source = f"read_parquet({files}, hive_partitioning=false)"
        if form != "parquet":
            columns = ", ".join(f"{duck.text(name)}: {duck.text(TYPES.get(name, 'VARCHAR'))}" for name in COLUMNS)
            source = f"read_json({files}, format='newline_delimited', columns={{{columns}}}, hive_partitioning=false)"
        with duckdb.connect(config={"threads": duck.cores(), "preserve_insertion_order": False}) as connection:
            connection.execute(duck.copy_to(target / "all.parquet", f"SELECT * FROM {source}"))
        return {}

    return work


def _pandas(folder, form):
    import pandas as pd

    def work(target):
        rows = pd.concat([pd.read_parquet(file) for file in sorted(folder.glob("impressions/*/*"))], ignore_index=True)
        in_time = (rows["ts"] >= pd.Timestamp(DAY)) & (rows["ts"] < pd.Timestamp(DAY) + pd.Timedelta("1D"))
        good = in_time & rows["event_id"].notna() & rows["channel"].isin(list(RECIPE.channels))
        rows[~good].to_parquet(target / "quarantine.parquet", compression="zstd")
        rows = rows[good].sort_values(["event_id", "ts"]).drop_duplicates("event_id")
        outcomes = pd.concat([pd.read_parquet(file) for file in sorted(folder.glob("outcomes/*/*"))])
        clicks = outcomes[outcomes["kind"] == "click"].groupby("event_id")["ts"].min()
        delay = rows["event_id"].map(clicks) - rows["ts"]
        window = pd.to_timedelta(rows["channel"].map({"ad": 24, "push": 72}), unit="h")
        rows["label"] = ((delay >= pd.Timedelta(0)) & (delay <= window)).astype("int8")
        rows.to_parquet(target / "labels.parquet", compression="zstd", index=False)
        groups = rows.groupby(["channel", "campaign_id", rows["ts"].dt.hour])
        groups.agg(rows=("label", "size"), positives=("label", "sum")).to_parquet(target / "profile.parquet")
        return {}

    return work


def generate(folder: Path, rows: int, form: str) -> None:
    """A day of impressions, 0.2 % of them twice and 0.01 % broken, in files of 400,000, and outcomes of 2 % of them.

    JSON lines are clean. Values come from hashes of the row's number, so the day is the same wherever it is made.
    """
    impressions, outcomes = (folder / stream / f"dt={DAY}" for stream in ("impressions", "outcomes"))
    impressions.mkdir(parents=True)
    outcomes.mkdir(parents=True)
    packing = "COMPRESSION zstd" if form == "parquet" else "FORMAT json, COMPRESSION gzip"
    with duckdb.connect(config={"threads": duck.cores()}) as connection:
        for number, first in enumerate(range(0, rows, FILE_ROWS)):
            query = impressions_query(first, min(first + FILE_ROWS, rows), rows, dirty=form == "parquet")
            connection.execute(f"COPY ({query}) TO {duck.text(impressions / f'{number:03d}.{form}')} ({packing})")
        query = (
            f"SELECT {_event('i')} AS event_id, {_time('i', rows)} + to_microseconds((ln(1 + {_draw('i', 20)}) "
            f"* 8.64e10 * (1 - i / {rows}))::BIGINT) AS ts, if({_draw('i', 21)} < 0.1, 'dismiss', 'click') AS kind "
            f"FROM range({rows}) t(i) WHERE {_draw('i', 22)} < 0.02"
        )
        connection.execute(f"COPY ({query}) TO {duck.text(outcomes / f'all.{form}')} ({packing})")


def impressions_query(first: int, last: int, rows: int, *, dirty: bool) -> str:
    twice = f"if(i > 0 AND {_draw('i', 1)} < 0.002, i - 1, i)" if dirty else "i"
    broken = f" - INTERVAL 3650 DAY * ({_draw('i', 2)} < 0.0001)::INT" if dirty else ""
    return (
        f"SELECT {_event(twice)} AS event_id, {_time('i', rows)}{broken} AS ts, "
        f"if({_draw('i', 3)} < 0.7, 'ad', 'push') AS channel, 'c' || {_number('i', 4, 300)} AS campaign_id, "
        f"'u' || (1e6 * {_draw('i', 5)} ** 2)::INT AS user_id, 'k' || {_number('i', 6, 3000)} AS creative_id, "
        f"['android', 'ios', 'web'][1 + {_number('i', 7, 3)}] AS device, (13 + {_number('i', 8, 4)})::VARCHAR AS os, "
        f"'cc' || {_number('i', 9, 60)} AS country, 'p' || {_number('i', 10, 20)} AS placement, "
        f"if({_draw('i', 11)} < 0.05, NULL, 'v' || {_number('i', 12, 40)}) AS app_version, "
        f"round(exp({_draw('i', 13)} * 2), 4) AS bid, round({_draw('i', 14)} * 240, 1) AS recency_hours, "
        f"{_number('i', 15, 9)} AS sends_24h, if({_draw('i', 16)} < 0.1, NULL, {_draw('i', 17)} / 20) AS hist_ctr "
        f"FROM range({first}, {last}) t(i)"
    )


def _event(number: str) -> str:
    return f"'{DAY:%Y%m%d}-' || lpad(({number})::VARCHAR, 10, '0')"


def _time(number: str, rows: int) -> str:
    return f"(TIMESTAMP '{DAY}' + to_microseconds(({number} * (86400000000.0 / {rows}))::BIGINT))"


def _draw(number: str, salt: int) -> str:
    """A number in [0, 1) that follows from the row's."""
    return f"((hash({number}, {salt}) % 1000003) / 1000003.0)"


def _number(number: str, salt: int, below: int) -> str:
    return f"(hash({number}, {salt}) % {below})::INT"


def _scratch() -> Path:
    folder = Path("var")
    folder.mkdir(exist_ok=True)
    return folder


class OwnMemory:
    """The process's own memory (RssAnon) at its peak, read every 20 ms while it runs."""

    def __enter__(self):
        self.peak_mb = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.02):
            lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
            own = next(line for line in lines if line.startswith("RssAnon"))
            self.peak_mb = max(self.peak_mb, int(own.split()[1]) / 1024)


if __name__ == "__main__":
    main()
