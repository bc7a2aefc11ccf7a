"""Where the gate's regret in a closed loop comes from: by night, and by the check that stood before the better model.

Beside the gate's champion goes the best of the models that the same year made, by each day's truth. What the champion
costs more is put down to the check that held that model, or to how the champion that replaced it passed.
"""

import argparse
from collections import Counter

from tests.benchmarks.table import print_table, write_rows
from tests.support.policies import FIRST_NIGHT, Ours, run_year
from tests.support.policy_world import Faults, World

FIRST_WEEKS = 28


class Accounted(Ours):
    """The gate, and each night's account: the day, what is lost, and why."""

    def __init__(self):
        super().__init__()
        self.best, self.why, self.nights = None, {}, []

    def takes_over(self, night, day, challenger, champion, year):
        passed = super().takes_over(night, day, challenger, champion, year)
        self.why[challenger] = reason_of(self.checks)
        after, world = challenger if passed else champion, year.world
        self.best = min((self.best or champion, challenger), key=lambda model: world.cost(day, model))
        why = self.why.get(self.best, "held")
        why = why if why.startswith("held") else self.why.get(after, "the first model")
        self.nights.append((day, world.cost(day, after) - world.cost(day, self.best), why))
        return passed


def reason_of(checks):
    """The checks that held a challenger, by name, or how it passed the last of them."""
    failed = [check.name for check in checks if not check.passed]
    if failed:
        return f"held by {' and '.join(failed)}"
    return "passed by earlier refreshes" if "Earlier refreshes" in checks[-1].message else "passed by its own evidence"


def account_rows(rows, seed, days):
    """What each reason cost within a year, per 1,000 impressions, and of it what the first weeks did."""
    policy = Accounted()
    run_year(World(seed, days, Faults(), rows), policy, days, seed)
    whole, first, nights = Counter(), Counter(), Counter()
    for day, lost, why in policy.nights:
        if lost:
            whole[why] += lost / (days - FIRST_NIGHT)
            first[why] += (day < FIRST_NIGHT + FIRST_WEEKS) * lost / (days - FIRST_NIGHT)
            nights[why] += 1
    for why, cost in whole.most_common():
        figures = {"regret": round(cost, 4), "first_weeks": round(first[why], 4), "nights": nights[why]}
        yield {"impressions": rows, "seed": seed, "because": why} | figures


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--years", type=int, default=3)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--impressions", type=int, nargs="+", default=[50_000, 500_000], help="a day")
    parser.add_argument("--json")
    asked = parser.parse_args()
    rows = [
        row for each in asked.impressions for seed in range(asked.years) for row in account_rows(each, seed, asked.days)
    ]
    print_table("Cost per 1,000 above the best model of the same year", rows)
    if asked.json:
        write_rows(asked.json, rows)


if __name__ == "__main__":
    main()
