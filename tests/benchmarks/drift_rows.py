"""What unusual rows raise by chance in a year, and which planted faults are found: shares of counted landed days.

The days are those of `make bench-drift`, both channels together, with the rows that landed on them drawn by law. All
faults begin on one day of a year, each in a share of its own, of which none knows of the others.
"""

import argparse
from collections import defaultdict

import numpy as np

from ctr_retrain.models.drift.channel_watch import Rules
from ctr_retrain.models.drift.limits import budget_of
from ctr_retrain.models.drift.unusual_rows import NEW_USERS, UNATTRIBUTED, watch_rows
from ctr_retrain.models.simulation.daily_counts import Liveliness, channel_laws, draw_counts, stretch
from ctr_retrain.models.simulation.world import World
from tests.benchmarks.table import print_table, write_rows
from tests.support.counted_days import FIRST_DAY
from tests.support.counted_rows import change, clicks_by_age, draw_row_shares

VOLUMES = (2_000, 25_000, 1_000_000)
WORLDS = {"calm": None, "lively": Liveliness()}
LEAD, YEAR, WATCHED = 60, 365, 14
FIRSTS = (LEAD, 165, 270, 375)  # days on which faults begin
REFERENCE_ROWS = 200_000  # simulated, of which is told when clicks land

# By the share that a fault changes: its name, and the share's count then by count and rows.
FAULTS = {
    "duplicates of impressions": ("a tenth delivered twice", lambda count, rows: min(count + rows / 11, rows)),
    "nulls of device": ("nulls of a column 30 %", lambda count, rows: count + 0.3 * (rows - count)),
    "new values of campaign_id": ("five times as many new campaigns", lambda count, rows: min(5 * count, rows)),
    NEW_USERS: ("half of the users under other ids", lambda count, rows: count + 0.5 * (rows - count)),
    UNATTRIBUTED: ("half of the attributed outcomes lost", lambda count, rows: count + 0.5 * (rows - count)),
}


def rules_of(a_year=4.0):
    return Rules(budget_of(a_year), min_effect=0.2, channels=2)


def measure(volume, world, laws, ages):
    """Count false alarms, by share, and find faults; laws, ages: by seed."""
    false, found = defaultdict(int), defaultdict(list)
    for seed, by_channel in laws.items():
        days = next(iter(by_channel.values())).days
        rng = np.random.default_rng([seed, volume, 2, WORLDS[world] is None])
        channels = {name: draw_counts(law, volume, WORLDS[world], rng) for name, law in by_channel.items()}
        shares = draw_row_shares(days, channels, ages[seed], seed, rng)
        for day, unusual in zip(days[LEAD:], watch_rows(shares, rules_of())[LEAD:], strict=True):
            for one in unusual:
                false[one.name] += one.since == day and not one.new_normal
        for first in FIRSTS:
            find_faults(found, shares, first)
    return false, found


def find_faults(found, days, first):
    """Note for each fault how many days after its beginning it is told."""
    days = days[: first + WATCHED]
    for share, (_, by) in FAULTS.items():
        days = change(days, first, share, by)
    told = watch_rows(days, rules_of())[first:]
    for share, (fault, _) in FAULTS.items():
        seen = [age for age, day in enumerate(told) if any(one.name == share for one in day)]
        found[fault].append(seen[0] if seen else WATCHED)


def rows_of(volume, world, laws, ages):
    """The benchmark's rows for one volume and world."""
    false, found = measure(volume, world, laws, ages)
    about = {"detector": "ours, rows", "volume": volume, "world": world}
    yield {**about, "false_alarms_a_year": round(sum(false.values()) / len(laws), 2)}
    raised = {name: count for name, count in false.items() if count}
    print(f"{volume:,} a day, {world}: false alarms of {raised}")
    for fault, trials in found.items():
        ages = np.array(trials)
        yield {
            **about, "fault": fault, "trials": len(ages), "found_day0": round(float((ages == 0).mean()), 3),
            "found_week": round(float((ages < 7).mean()), 3),
        }  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", metavar="FILE", help="write all rows there")
    parser.add_argument("--years", type=int, default=20)
    parser.add_argument("--volumes", type=int, nargs="+", default=VOLUMES)
    parser.add_argument("--worlds", nargs="+", default=tuple(WORLDS), choices=tuple(WORLDS))
    asked = parser.parse_args()
    days = stretch(FIRST_DAY, LEAD + YEAR)
    laws = {seed: channel_laws(World(seed=seed), days) for seed in range(1, asked.years + 1)}
    ages = {seed: clicks_by_age(World(seed=seed, rows_per_day=REFERENCE_ROWS), FIRST_DAY) for seed in laws}
    rows = [row for volume in asked.volumes for world in asked.worlds for row in rows_of(volume, world, laws, ages)]
    print_table("False alarms", [row for row in rows if "fault" not in row])
    print_table("Faults found", [row for row in rows if "fault" in row])
    if asked.json:
        write_rows(asked.json, rows)


if __name__ == "__main__":
    main()
