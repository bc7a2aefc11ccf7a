"""How often the gate's intervals leave out a truth that is known, and how wide they are beside what they could be.

Both models err alike, so that neither is better; what is expected of the calibration ratio is its mean over the trials.
Then how often a fault that is planted in a slice of the rows is rejected, and a sound model.
"""

import argparse

from tests.benchmarks.gate_plants import rows_of_plants
from tests.benchmarks.table import print_table, write_rows
from tests.support.gate_scenarios import SCENARIOS, measure_coverage


def coverage_rows(trials, seed):
    """One row a scenario and figure."""
    return [
        {
            "scenario": scenario.name,
            "figure": each.figure,
            "trials": trials,
            "excluded_share": round(each.excluded_share, 4),
            "width_ratio": round(each.width_ratio, 3),
            "campaigns": scenario.campaigns,
            "positives": round(each.positives),
            "exact_limits_bind": round(each.exact_limits_bind, 3),
        }
        for scenario in SCENARIOS
        for each in measure_coverage(scenario, trials, seed)
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--plant-trials", type=int, default=20)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json")
    asked = parser.parse_args()
    rows = coverage_rows(asked.trials, asked.seed)
    print_table("95 % intervals at a true null: 3.5 to 6.5 % may leave the truth out", rows)
    planted = rows_of_plants(asked.plant_trials)
    print_table("Faults planted in a slice of the validation rows", planted)
    if asked.json:
        write_rows(asked.json, [*rows, *planted])


if __name__ == "__main__":
    main()
