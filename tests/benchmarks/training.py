"""How fast and how well a CTR model trains here, beside Keras as it comes, DeepCTR, FuxiCTR and a linear model.

`make bench-training`, or `python -m tests.benchmarks.training --rows 2000000`. All systems train one epoch over the
same rows in the same order, each run in a process of its own, one after the other, seed by seed. DeepFM everywhere, of
dimension 16 with a perceptron of 256, 128 and 64, in batches of 4,096. The op limit trains nothing: it is the matrix
products, the gather and the scatter that such a network can't do without. DeepCTR and FuxiCTR get environments of
their own below var/.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from math import sqrt
from pathlib import Path

import numpy as np

from ctr_retrain.models.training.batches import BatchOrder
from tests.benchmarks import criteo_like
from tests.benchmarks.table import print_table, write_rows
from tests.benchmarks.training_systems import BATCH, SYSTEMS

PEERS = ("deepctr", "fuxictr")
NEURAL_PEERS = ("keras", *PEERS)
SCATTERS = {1_000_000: 1, 10_000_000: 10}  # table rows → rows a value
SLOW_ROWS = 160_000  # of each peer on the larger table: every step of their optimizers is of the whole of it
OURS = "ctr-retrain"


def main() -> None:
    """Make the sets, run the systems in turn, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rows", type=int, default=2_000_000, help="training rows")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tables", type=int, nargs="*", default=list(SCATTERS), choices=SCATTERS)
    parser.add_argument("--systems", nargs="*", default=list(SYSTEMS), choices=SYSTEMS)
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=PEERS)
    parser.add_argument("--json", type=Path, help="write the rows here")
    arguments = parser.parse_args()
    pythons = {name: python for name in arguments.peers if (python := environment(name))}
    rows = []
    Path("var").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir="var") as scratch:
        for table_rows in arguments.tables:
            folder = Path(scratch) / str(table_rows)
            make_set(folder, arguments.rows, SCATTERS[table_rows], arguments.seeds)
            rows += measure(
                folder, table_rows, arguments.rows, [*arguments.systems, *pythons], pythons, arguments.seeds
            )
            shutil.rmtree(folder)
    print_table("One epoch of DeepFM", rows)
    if arguments.json:
        write_rows(arguments.json, rows)


def environment(name: str) -> str | None:
    """The Python of a peer's environment, made where there is none yet; None, and a line that says so, if it can't."""
    folder = Path("var") / "peers" / name
    python, done = folder / "bin" / "python", folder / "installed"
    if not done.exists():
        commands = [
            [sys.executable, "-m", "venv", "--clear", str(folder)],
            [str(python), "-m", "pip", "install", "--quiet", "-r", f"infra/peers/{name}.txt"],
        ]
        for command in commands:
            if subprocess.run(command, check=False).returncode:
                sys.stderr.write(f"{name} is left out: {' '.join(command)} failed\n")
                return None
        done.touch()
    return str(python)


def make_set(folder: Path, rows: int, scatter: int, seeds: int) -> None:
    """The set, our fused ids of it, and the order in which each seed's rows are trained."""
    criteo_like.make(folder, rows, scatter)
    ids = np.load(folder / "train_ids.npy", mmap_mode="r")
    fused = np.lib.format.open_memmap(folder / "fused_ids.npy", "w+", np.int32, ids.shape)
    for first in range(0, rows, criteo_like.CHUNK):
        part = slice(first, first + criteo_like.CHUNK)
        fused[part] = ids[part] + criteo_like.offsets(scatter)[:-1]
    (folder / "fused_numeric.npy").symlink_to("train_numeric.npy")
    for seed in range(1, seeds + 1):
        order = BatchOrder(rows, BATCH, seed)
        np.save(folder / f"order_{seed}.npy", np.concatenate([order.rows_of(n) for n in range(order.batches)]))


def measure(
    folder: Path, table_rows: int, count: int, systems: list[str], pythons: dict[str, str], seeds: int
) -> list[dict[str, object]]:
    """A row a system: medians of speed, means of quality, and what its log loss is apart from the best peer's."""
    label, truth = (np.load(folder / f"test_{name}.npy") for name in ("label", "truth"))
    found: dict[str, list[dict[str, float]]] = {system: [] for system in systems}
    for seed in range(1, seeds + 1):
        for system in systems:
            slow = system in NEURAL_PEERS and table_rows > min(SCATTERS)
            rows = min(count, SLOW_ROWS) if slow else count
            run = run_once(system, folder, rows, seed, pythons)
            found[system].append(run | quality(folder, label, truth) | {"rows": rows})
            told = {name: round(value, 5) for name, value in found[system][-1].items()}
            sys.stderr.write(f"seed {seed}, {table_rows:,} table rows, {system}: {json.dumps(told)}\n")
            (folder / "predicted.npy").unlink(missing_ok=True)
    table = [summary(system, table_rows, runs) for system, runs in found.items()]
    limit = next((row["rows_per_second"] for row in table if row["system"] == "op-limit"), None)
    peers = [row for row in table if row["system"] in NEURAL_PEERS and row["rows"] == count]
    best = min(peers, key=lambda row: row["log_loss"])["system"] if peers else None
    for row in table:
        row["of_limit"] = round(row["rows_per_second"] / limit, 2) if limit else ""
        apart = compared(found[row["system"]], found[best]) if best and row["system"] == OURS else ("", "")
        row["log_loss_minus_best_peer"], row["standard_error"] = apart
    return table


def run_once(system: str, folder: Path, rows: int, seed: int, pythons: dict[str, str]) -> dict[str, float]:
    """One run in a process of its own."""
    if system in pythons:
        script = Path("tests") / "benchmarks" / "peers" / f"{system}_run.py"
        command = [pythons[system], str(script)]
    else:
        command = [sys.executable, "-m", "tests.benchmarks.training_systems", system]
    command += [str(folder), str(rows), str(seed)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        msg = f"{system} on {rows} rows: exit status {done.returncode}\n{done.stderr[-4000:]}"
        raise RuntimeError(msg)
    return json.loads(done.stdout.splitlines()[-1])


def quality(folder: Path, label: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """AUC, log loss, and the share of the constant's way to the truth's log loss; nothing where nothing was trained."""
    from ctr_retrain.models.judging.metrics import roc_auc

    if not (folder / "predicted.npy").exists():
        return {}
    predicted = np.clip(np.load(folder / "predicted.npy"), 1e-7, 1 - 1e-7)
    constant = _log_loss(label, np.full(len(label), label.mean()))
    loss = _log_loss(label, predicted)
    closed = (constant - loss) / (constant - _log_loss(label, truth))
    return {"auc": float(roc_auc(label, predicted)), "log_loss": loss, "gap_closed": closed}


def _log_loss(label: np.ndarray, probability: np.ndarray) -> float:
    return float(-np.mean(np.where(label, np.log(probability), np.log1p(-probability))))


def summary(system: str, table_rows: int, runs: list[dict[str, float]]) -> dict[str, object]:
    """One line of the table."""
    row: dict[str, object] = {"system": system, "table_rows": table_rows, "rows": int(runs[0]["rows"])}
    row["rows_per_second"] = round(statistics.median(run["rows_per_second"] for run in runs))
    for name in ("peak_rss_mb", "peak_anon_mb"):
        row[name] = round(max(run[name] for run in runs))
    for name, digits in (("auc", 4), ("log_loss", 5), ("gap_closed", 3)):
        row[name] = round(statistics.mean(run[name] for run in runs), digits) if name in runs[0] else None
    return row


def compared(ours: list[dict[str, float]], peer: list[dict[str, float]]) -> tuple[float, float | str]:
    """Mean difference in log loss over the seeds, and its standard error."""
    differences = [mine["log_loss"] - other["log_loss"] for mine, other in zip(ours, peer, strict=True)]
    error = statistics.stdev(differences) / sqrt(len(differences)) if len(differences) > 1 else ""
    return round(statistics.mean(differences), 5), round(error, 5) if error else ""


if __name__ == "__main__":
    main()
