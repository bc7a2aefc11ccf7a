"""What recency, class weights, sampling and focal loss are worth where the truth is known: two simulated worlds.

`make bench-compare-world`, or `python -m tests.benchmarks.compare_world --rows 25000`. `compare` with the demo's
recipe, but a half-life of 3 days and classes balanced in full. In one world tastes change in the middle of the newest
window, in the other nothing changes. Two run days, the seeds asked for, judged by the log loss.
"""

from __future__ import annotations

import argparse
import tempfile
from datetime import date, timedelta
from pathlib import Path

import ctr_retrain.flows.quiet_libraries  # noqa: F401 - before Prefect, which reads the environment when imported
from ctr_retrain.models.recipe.recipe import load_recipe
from ctr_retrain.models.simulation.scenarios import RegimeChange
from ctr_retrain.models.simulation.world import World
from ctr_retrain.tasks.compare.plan_comparison import CompareRequest
from ctr_retrain.tasks.demo.simulate_days import simulate
from tests.benchmarks.table import print_table, write_rows

RECIPE = Path("infra/recipes/demo.toml")
FIRST_DAY, DAYS = date(2026, 3, 2), 28
RUN_DAY = FIRST_DAY + timedelta(days=DAYS - 1)
AGES = (1, 2, 4)


def main() -> None:
    """Simulate both worlds, compare in each, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rows", type=int, default=25_000, help="impressions a day")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--worlds", nargs="*", default=["changing", "still"], choices=["changing", "still"])
    parser.add_argument("--json", type=Path, help="write the rows here")
    arguments = parser.parse_args()
    rows = [row for world in arguments.worlds for row in compared(world, arguments.rows, arguments.seeds)]
    print_table("Ways to train, each less unweighted, by log loss", [row for row in rows if row["age_days"] == 0])
    print_table("Log loss by age of the data, less the youngest's", [row for row in rows if row["age_days"]])
    if arguments.json:
        write_rows(arguments.json, rows)


def compared(world: str, rows_per_day: int, seeds: int) -> list[dict[str, object]]:
    """A row a strategy and age of one world."""
    from ctr_retrain.flows.compare import compare

    with tempfile.TemporaryDirectory(dir="var") as scratch:
        folder = Path(scratch)
        recipe = folder / "recipe.toml"
        text = RECIPE.read_text(encoding="utf-8").replace("half_life_days = 7 ", "half_life_days = 3 ")
        recipe.write_text(text.replace("class_power = 0.5", "class_power = 1.0"), encoding="utf-8")
        cut = RUN_DAY - timedelta(days=load_recipe(recipe).maturity_days + 2)
        incidents = (RegimeChange(cut - timedelta(days=6)),) if world == "changing" else ()
        simulate(World(seed=7, rows_per_day=rows_per_day, incidents=incidents), FIRST_DAY, DAYS, folder)
        asked = CompareRequest(RUN_DAY, days=2, seeds=seeds, ages=AGES, criterion="log_loss")
        document = compare(asked, recipe, str(folder / "root"), str(folder / "landing")).to_json()
    print(f"{world}: {document['recommendation']['words']}")
    strategies = [_row(world, entry["name"], 0, entry["delta"], entry) for entry in document["strategies"]]
    curve = document["freshness_curve"][1:]
    return strategies + [_row(world, "own", p["age_days"], {"log_loss": p["delta"]}, None) for p in curve]


def _row(world, strategy, age_days, delta, entry):
    by_loss = delta["log_loss"] if delta else dict.fromkeys(("value", "low", "high", "p"))
    row = {"world": world, "strategy": strategy, "age_days": age_days}
    row |= {f"log_loss_{name}": _rounded(by_loss[name], 5) for name in ("value", "low", "high")}
    row["p_holm" if entry else "p"] = _two_digits(by_loss.get("p_holm" if entry else "p"))
    if entry:
        by_cost = delta["cost_per_1000"] if delta else {"value": None, "low": None, "high": None}
        row |= {f"cost_{name}": _rounded(by_cost[name], 2) for name in ("value", "low", "high")}
        row |= {name: _rounded(entry["metrics"][name], 4) for name in ("auc", "pr_auc", "calibration_ratio")}
        row |= {"positives": entry["metrics"]["positives"], "seconds": _rounded(entry["seconds"], 1)}
    return row


def _two_digits(value):
    return "" if value is None else float(f"{value:.2g}")


def _rounded(value, digits):
    return "" if value is None else round(value, digits)


if __name__ == "__main__":
    main()
