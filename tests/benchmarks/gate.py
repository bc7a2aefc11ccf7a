"""How often the gate's intervals leave out a truth that is known, and how wide they are beside what they could be.

Both models err alike, so that neither is better; what is expected of the calibration ratio is its mean over the trials.
Then how often a fault that is planted in a slice of the rows is rejected, and a sound model; and years of nights: when
a changed recipe takes over, by the gate's rule and by each night's own interval, and where chains of refreshes end.
"""

import argparse
from itertools import product

import numpy as np

from tests.benchmarks.gate_plants import rows_of_plants
from tests.benchmarks.gate_scans import rows_of_scans, rows_of_times
from tests.benchmarks.guardrail_plants import rows_of_guardrails
from tests.benchmarks.table import print_table, write_rows
from tests.support.gate_scenarios import SCENARIOS, measure_coverage
from tests.support.gate_years import ALL_MATTER, CHAINS, ROWS_DOMINATE, RULES, night_of_takeover, run_chain

TABLES = ("coverage", "plants", "scans", "scan_times", "guardrails", "years", "chains")
# Standard deviation of a night's difference per 1,000; the demonstration's is 0.19.
CHAIN_VOLUMES = {"the demonstration": 0.19, "50,000 rows": 0.23, "500,000 rows": 0.075, "5 million rows": 0.03}


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


def year_rows(years, nights):
    """One row a rule, volume and gain: how many changes took over within a year, and after how many nights."""
    rows = []
    for volume, gain, rule in product((ROWS_DOMINATE, ALL_MATTER), (0.0, 0.01, 0.03, 0.1), RULES):
        found = [night_of_takeover(volume, gain, nights, [3, year], rule) for year in range(years)]
        median = np.median([night or np.inf for night in found])
        rows.append(
            {
                "rule": rule,
                "volume": volume.name,
                "change": gain,
                "years": years,
                "promoted_in_year": round(float(np.mean([night is not None for night in found])), 3),
                "median_nights": int(median) if np.isfinite(median) else None,
            }
        )
    return rows


def chain_rows(years, nights):
    """One row a chain and volume: how far the champion ends above its anchor, and how long an equal model waits."""
    rows = []
    for (volume, of_rows), chain in product(CHAIN_VOLUMES.items(), CHAINS):
        found = [run_chain(chain, of_rows, nights, [7, year]) for year in range(years)]
        excess, waits = [one.excess for one in found], [wait for one in found for wait in one.waits]
        rows.append(
            {
                "chain": chain.name,
                "volume": volume,
                "years": years,
                "excess_cost_in_margins_mean": round(float(np.mean(excess)), 2),
                "excess_cost_in_margins_p95": round(float(np.quantile(excess, 0.95)), 2),
                "promotions": round(float(np.mean([one.promotions for one in found])), 1),
                "median_wait_nights": float(np.median(waits)) if waits else None,
            }
        )
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--plant-trials", type=int, default=20)
    parser.add_argument("--years", type=int, default=12)
    parser.add_argument("--nights", type=int, default=365, help="of a year")
    parser.add_argument("--only", choices=TABLES, help="one table alone")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json")
    asked = parser.parse_args()
    years = (asked.years, asked.nights)
    tables = {
        "coverage": (
            "95 % intervals: at most 6.5 % may leave out a truth",
            coverage_rows,
            asked.trials,
            asked.seed,
        ),
        "plants": ("Faults planted in a slice of the validation rows", rows_of_plants, asked.plant_trials),
        "scans": ("Segments that the scan of 20 features shows", rows_of_scans, asked.plant_trials),
        "scan_times": ("How long the scan takes", rows_of_times, 1),
        "guardrails": ("Clickbait: clicks won by what annoys", rows_of_guardrails, asked.plant_trials),
        "years": ("A changed recipe: by each night's own interval, and by ours", year_rows, *years),
        "chains": ("A year of refreshes: the champion above its anchor, in margins", chain_rows, *years),
    }
    written = []
    for name, (title, measure, *counts) in tables.items():
        if asked.only in (None, name):
            rows = measure(*counts)
            print_table(title, rows)
            written += rows
    if asked.json:
        write_rows(asked.json, written)


if __name__ == "__main__":
    main()
