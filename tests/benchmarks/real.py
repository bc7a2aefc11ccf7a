"""Real logs: this project's model by a newcomer's recipe beside logistic regression, LightGBM and the constant.

`make bench-real`, or `python -m tests.benchmarks.real --sets trivago ebnerd --seeds 1`. REAL_DATA names the folder with
the logs; sets that are not there are left out, and a line says so. Open Bandit's sample comes from its wheel.

Ours is the product itself: rows land, the daily flow runs for the day whose window is the training days, and its
challenger scores the test days' file as `ctr-retrain score` does. The recipes are those of infra/examples/real_logs.
All systems read the same columns of the same rows. Prepared sets and the peers' predictions stay below var/real, named
by what made them; ours is made anew each time.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq

import ctr_retrain.flows.quiet_libraries  # noqa: F401 - before Prefect, which reads the environment when imported
from tests.benchmarks.clustered import draw
from tests.benchmarks.real_figures import (
    CONSTANT,
    LINEAR,
    OURS,
    PEERS,
    SYSTEMS,
    TREES,
    Judged,
    rows_of,
    summaries,
    targets,
)
from tests.benchmarks.real_sets import CLUSTER, DAY, LABEL, SETS, Prepared, prepared, recipe_of
from tests.benchmarks.table import print_table, write_rows
from tests.benchmarks.training import environment

if TYPE_CHECKING:
    import pandas as pd

PEER = Path("tests/benchmarks/peers/tabular_run.py")
REQUIREMENTS = Path("infra/peers/lightgbm.txt")


def main() -> None:
    """Predict with each system on each set, print the means over seeds, write a row a seed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--sets", nargs="*", default=list(SETS), choices=SETS)
    parser.add_argument("--systems", nargs="*", default=list(SYSTEMS), choices=SYSTEMS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the rows here")
    arguments = parser.parse_args()
    found, data = [], Path(os.environ["REAL_DATA"]) if os.environ.get("REAL_DATA") else None
    for name in arguments.sets:
        ready = prepared(name, data)
        if isinstance(ready, str):
            sys.stderr.write(f"{name} is left out: {ready}\n")
            continue
        found.append(judged(ready, arguments.systems, arguments.seeds))
        print_table(name, summaries(found[-1]))
        if arguments.json:  # after each set: the next one may take long
            write_rows(arguments.json, [row for one in found for row in rows_of(one)])
    if not found:
        sys.exit("No set was to be had.")
    if len(found) > 1:
        print_table("Real logs: means over the seeds", [row for one in found for row in summaries(one)])
    for line in targets(found):
        print(line)


def judged(ready: Prepared, systems: list[str], seeds: int) -> Judged:
    """All systems' predictions for a set's test rows."""
    test, train = ready.part(ready.set.test), ready.part(ready.set.train)
    predicted: dict[str, list[np.ndarray]] = {}
    if OURS in systems:
        predicted[OURS] = ours(ready, test, seeds)
    for system in (peer for peer in PEERS if peer in systems):
        python = sys.executable if system == LINEAR else environment("lightgbm")
        if python:
            predicted[system] = [peer(system, python, ready, seed) for seed in range(1, seeds + 1)]
    if CONSTANT in systems:
        predicted[CONSTANT] = [np.full(len(test), train[LABEL].mean())] * seeds
    return Judged(ready.name, ready.set.features, test[LABEL].to_numpy(), draw(test[CLUSTER]), predicted)


def ours(ready: Prepared, test: pd.DataFrame, seeds: int) -> list[np.ndarray]:
    """Land what had happened by the run's day, run the daily flow once a seed, score the test days' file."""
    from ctr_retrain.flows.daily import daily
    from ctr_retrain.models.recipe.recipe import load_recipe
    from ctr_retrain.tasks.deploy.score_file import score_file
    from ctr_retrain.tasks.landing.landing_zone import LocalLandingZone
    from ctr_retrain.tasks.landing.split_by_day import land_file
    from ctr_retrain.tasks.store.layout import CHALLENGER, run_object

    own = [LABEL, CLUSTER, DAY, "_time", "hr", "dow"]
    with tempfile.TemporaryDirectory(dir="var") as scratch:
        folder, text = Path(scratch), recipe_of(ready.set.recipe).read_text(encoding="utf-8")
        events, asked, scored = (folder / f"{name}.parquet" for name in ("events", "test", "scored"))
        ready.part((ready.set.train[0], ready.set.run_day)).drop(columns=own).to_parquet(events, index=False)
        test.drop(columns=own).to_parquet(asked, index=False)
        land_file(events, load_recipe(recipe_of(ready.set.recipe)), LocalLandingZone(folder / "landing"))
        found = []
        for seed in range(1, seeds + 1):
            began, recipe = time.monotonic(), folder / f"recipe_{seed}.toml"
            recipe.write_text(text.replace("[training]\n", f"[training]\nseed = {seed}\n"), encoding="utf-8")
            answer = daily(
                ready.set.run_day, recipe, str(folder / "root"), str(folder / "landing"), force=True, shadow=True
            )
            bundle = folder / "root" / run_object(answer.run_id) / CHALLENGER
            if not bundle.is_dir():
                msg = f"{ready.name}, seed {seed}: no model, {answer.verdict.reason}"
                raise RuntimeError(msg)
            score_file(bundle, asked, scored)
            found.append(pq.read_table(scored)["probability"].to_numpy())
            sys.stderr.write(f"{ready.name}, seed {seed}: {time.monotonic() - began:.0f} s, {answer.verdict.reason}\n")
    return found


def peer(system: str, python: str, ready: Prepared, seed: int) -> np.ndarray:
    """A peer's predictions, trained unless the same script has done so before."""
    seed = 1 if system == LINEAR else seed  # the seed changes nothing about it
    made_by = PEER.read_bytes() + (REQUIREMENTS.read_bytes() if system == TREES else b"")
    target = ready.folder / f"{system}-{seed}-{hashlib.sha256(made_by).hexdigest()[:12]}.npy"
    if not target.exists():
        aside = target.with_name(f"aside-{target.name}")
        one_core = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        command = [python, str(PEER), system, str(ready.folder), str(seed), str(aside)]
        subprocess.run(command, check=True, env=os.environ | one_core)
        aside.rename(target)
    return np.load(target)


if __name__ == "__main__":
    main()
