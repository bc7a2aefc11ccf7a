"""Days of the simulated world, written as a landing zone that looks like a real one, and the truth apart from it.

Impressions are Parquet, outcomes gzipped JSON lines. Some rows land twice, some a day late, some are broken; an
outcome lands on the day on which it happens, which may be days after its impression.
"""

from __future__ import annotations

import gzip
import json
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ctr_retrain.models.data.days import day_range
from ctr_retrain.models.documents.command_documents import SimulateAnswer
from ctr_retrain.models.errors import StorageError
from ctr_retrain.models.simulation.traffic import Stream, random_stream
from ctr_retrain.models.simulation.world import World, simulate_day
from ctr_retrain.tasks.execution.progress import progress_of
from ctr_retrain.tasks.store.staging import atomic_write

LATE_SHARE = 0.004  # of impressions and of outcomes: land a day after they happened
DUPLICATE_SHARE = 0.003  # of impressions and of outcomes: land twice
BROKEN_SHARE = 0.001  # besides them, rows that can't be used


def simulate(world: World, first_day: date, days: int, folder: Path) -> SimulateAnswer:
    """Write FOLDER/landing (the contract's layout) and FOLDER/truth/dt=E.parquet for so many days from `first_day`.

    What would land after the last day is not written: it hasn't happened yet. Each file appears whole or not at all.
    Raises StorageError where the folder can't be written.
    """
    last_day = first_day + timedelta(days=days - 1)
    landing = {day: _LandingDay(day) for day in day_range(first_day, last_day)}
    try:
        with progress_of("simulating", "days") as progress:
            for number, day in enumerate(day_range(first_day, last_day), start=1):
                _land(world, day, landing, folder)
                landing.pop(day).write(folder / "landing")
                progress(number, days)
    except OSError as error:
        msg = f"simulation under {folder}: expected a writable disk with room, received: {error.strerror or error}."
        raise StorageError(msg) from error
    return SimulateAnswer(landing=str(folder / "landing"), truth=str(folder / "truth"), days=days)


class _LandingDay:
    """The rows that have come together so far for one landing day."""

    def __init__(self, day: date) -> None:
        """Begin without a row."""
        self.day = day
        self.impressions: dict[str, pa.Table] = {}  # file name → rows
        self.outcomes: list[pa.Table] = []
        self.broken_lines: list[str] = []

    def write(self, landing: Path) -> None:
        """Write the day's folders."""
        for name, rows in self.impressions.items():
            with atomic_write(landing / "impressions" / f"dt={self.day}" / name) as aside:
                pq.write_table(rows, aside, compression="zstd")
        rows = pa.concat_tables(self.outcomes).sort_by([("ts", "ascending"), ("event_id", "ascending")])
        lines = [json.dumps({**row, "ts": row["ts"].isoformat()}) for row in rows.to_pylist()]
        text = "\n".join([*lines, *self.broken_lines, ""])
        with atomic_write(landing / "outcomes" / f"dt={self.day}" / "outcomes.jsonl.gz") as aside:
            aside.write_bytes(gzip.compress(text.encode(), mtime=0))  # no time in it: equal worlds give equal files


def _land(world: World, day: date, landing: dict[date, _LandingDay], folder: Path) -> None:
    """Distribute an event day over the landing days; days beyond the last one are dropped."""
    simulated = simulate_day(world, day)
    with atomic_write(folder / "truth" / f"dt={day}.parquet") as aside:
        pq.write_table(simulated.truth, aside, compression="zstd")

    rng = random_stream(world.seed, Stream.LANDING, day.toordinal())
    impressions, tomorrow = simulated.impressions, landing.get(day + timedelta(days=1))
    late = rng.random(impressions.num_rows) < LATE_SHARE
    on_time = _with_duplicates(impressions.filter(pa.array(~late)), rng)
    landing[day].impressions["events.parquet"] = _with_broken_rows(on_time, rng)
    if tomorrow:
        tomorrow.impressions["late.parquet"] = impressions.filter(pa.array(late))

    outcomes = _with_duplicates(simulated.outcomes, rng)
    days_late = (rng.random(outcomes.num_rows) < LATE_SHARE).astype("timedelta64[D]")
    landing_day = outcomes["ts"].to_numpy().astype("datetime64[D]") + days_late
    for lands_on in np.unique(landing_day).tolist():
        if lands_on in landing:
            landing[lands_on].outcomes.append(outcomes.filter(pa.array(landing_day == np.datetime64(lands_on))))
    broken = rng.binomial(outcomes.num_rows, BROKEN_SHARE)
    landing[day].broken_lines = [f'{{"event_id": "{day:%Y%m%d}-0000{n:03d}", "ts": "{day}T' for n in range(broken)]


def _with_duplicates(rows: pa.Table, rng: np.random.Generator) -> pa.Table:
    """Add some of the rows once more."""
    return pa.concat_tables([rows, rows.filter(pa.array(rng.random(rows.num_rows) < DUPLICATE_SHARE))])


def _with_broken_rows(rows: pa.Table, rng: np.random.Generator) -> pa.Table:
    """Add copies of some rows that a broken client sent with an id of its own and a clock ten years behind."""
    broken = rows.filter(pa.array(rng.random(rows.num_rows) < BROKEN_SHARE))
    ids = pc.binary_join_element_wise("broken", broken["event_id"], "-")
    times = pc.subtract(broken["ts"], pa.scalar(timedelta(days=3650)))
    index = rows.column_names.index
    broken = broken.set_column(index("event_id"), "event_id", ids).set_column(index("ts"), "ts", times)
    return pa.concat_tables([rows, broken])
