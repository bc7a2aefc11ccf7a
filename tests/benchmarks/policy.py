"""A simulated year in closed loop under several policies: what each costs beside an oracle that knows the truth.

Never retrain, always promote, the better AUC, the cost's estimate within the margin (as TensorFlow's validator), the
gate's own rules; each in the same worlds, calm ones and some with faults.
"""

import argparse

import numpy as np

from tests.benchmarks.table import print_table, write_rows
from tests.support.policies import POLICIES, Oracle, run_year
from tests.support.policy_world import CALM, FAULTY, Faults, World

WORLDS = {"one recipe": Faults(), "calm": CALM, "with faults": FAULTY}


def year_rows(kind, seed, days, rows):
    """One row a policy: a year in the world of a seed."""
    world = World(seed, days, WORLDS[kind], rows)
    best = run_year(world, Oracle(), days, seed)
    for policy in POLICIES:
        year = run_year(world, policy(), days, seed)
        yield {
            "world": kind,
            "impressions": rows,
            "policy": policy.name,
            "seed": seed,
            "cost_per_1000": round(year.cost, 3),
            "regret": round(year.cost - best.cost, 3),
            "harmful_champions": len(year.harmful),
            "harmful_days": sum(year.harmful),
            "longest_harm": max(year.harmful, default=0),
            "promotions": year.promotions,
        }


def summary_rows(rows):
    """The same by world and policy, over all seeds; regret: mean, and the largest of any seed."""
    for key in dict.fromkeys((row["world"], row["impressions"], row["policy"]) for row in rows):
        own = [row for row in rows if (row["world"], row["impressions"], row["policy"]) == key]
        yield {
            **dict(zip(("world", "impressions", "policy"), key, strict=True)),
            "years": len(own),
            "regret": round(float(np.mean([row["regret"] for row in own])), 3),
            "largest_regret": max(row["regret"] for row in own),
            "harmful_days": round(float(np.mean([row["harmful_days"] for row in own])), 1),
            "promotions": round(float(np.mean([row["promotions"] for row in own])), 1),
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--years", type=int, default=3)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--impressions", type=int, nargs="+", default=[50_000, 500_000], help="a day")
    parser.add_argument("--json")
    asked = parser.parse_args()
    rows = [
        row
        for impressions in asked.impressions
        for kind in WORLDS
        for seed in range(asked.years)
        for row in year_rows(kind, seed, asked.days, impressions)
    ]
    print_table("Regret: cost per 1,000 impressions above that of an oracle", list(summary_rows(rows)))
    if asked.json:
        write_rows(asked.json, rows)


if __name__ == "__main__":
    main()
