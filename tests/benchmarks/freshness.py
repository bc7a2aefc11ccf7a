"""What going on through the newest days is worth, and what it costs to take their young labels as final.

    python -m tests.benchmarks.freshness [--rows 20000] [--seeds 10] [--json FILE]

Simulated worlds whose tastes drift (standard deviation 0.8 on the log-odds, correlation e^(−days apart/7)) or stay; ten
days to train on, one to validate, three whose labels are young, and the next day, on which all are judged. The models
are those of `tests/support/drifting_days.py`. Intervals are 95 % over seeds, paired (Student's t).
"""

import argparse
from math import sqrt
from statistics import mean, stdev

from scipy.stats import t as student

from ctr_retrain.models.simulation.scenarios import DriftingTastes
from tests.benchmarks.table import print_table, write_rows
from tests.support.drifting_days import MODELS, answers

WORLDS = {"drifting": DriftingTastes(sd=0.8, memory_days=7), "steady": None}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=20_000, help="impressions a day")
    arguments.add_argument("--seeds", type=int, default=10)
    arguments.add_argument("--json")
    given = arguments.parse_args()
    table = []
    for world, tastes in WORLDS.items():
        found = [answers(seed, given.rows, tastes) for seed in range(1, given.seeds + 1)]
        table += [summary(world, name, found) for name in MODELS]
    print_table("The day after D, by what the served model has seen", table)
    if given.json:
        write_rows(given.json, table)


def summary(world, name, found):
    """One line of the table; push ratios as they are, and to those of the model that knew the final labels."""
    own, twin, hindsight = ([by_name[other] for by_name in found] for other in (name, "evaluated", "hindsight"))
    gain, margin = interval([a.log_loss - b.log_loss for a, b in zip(own, twin, strict=True)])
    level, level_margin = interval([a.push_sums[0] / b.push_sums[0] for a, b in zip(own, hindsight, strict=True)])
    return {
        "world": world,
        "model": name,
        "seeds": len(found),
        "log_loss": round(mean(answer.log_loss for answer in own), 5),
        "against_evaluated": round(gain, 5),
        "plus_minus": round(margin, 5),
        "calibration_ratio": pooled([answer.sums for answer in own]),
        "push_calibration_ratio": pooled([answer.push_sums for answer in own]),
        "push_level_to_hindsight": round(level, 3),
        "level_plus_minus": round(level_margin, 3),
    }


def pooled(sums):
    """Σp/Σy over all seeds."""
    return round(sum(p for p, _ in sums) / sum(y for _, y in sums), 3)


def interval(values):
    """Mean, and half the width of its 95 % interval."""
    return mean(values), student.ppf(0.975, len(values) - 1) * stdev(values) / sqrt(len(values))


if __name__ == "__main__":
    main()
