"""False alarms of a year and planted faults found: our drift detector beside three usual ones, on the same days.

Days are counts of the simulated world, drawn by its own law; calm days are the world's own, lively ones have holidays,
growth, slow drift and days of their own. Half of the trials of a fault come after an earlier fault that has ended.
"""

import argparse
import time
from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from ctr_retrain.models.drift.channel_watch import ChannelWatch, Rules
from ctr_retrain.models.drift.limits import budget_of
from ctr_retrain.models.simulation.count_faults import FAULTS, CountFault, lose_clicks, plant
from ctr_retrain.models.simulation.daily_counts import Liveliness, channel_laws, draw_counts, stretch
from ctr_retrain.models.simulation.world import World
from tests.benchmarks.table import print_table, write_rows
from tests.support.counted_days import FIRST_DAY, causes, series_of, subject_of

VOLUMES = (2_000, 25_000, 1_000_000)
WORLDS = {"calm": None, "lively": Liveliness()}
LEAD, YEAR = 60, 365  # days before the first that counts, and those that do
HISTORY = 28  # days that the other detectors compare with
EVERY, WATCHED = 45, 14  # days between two trials of a fault on one year, and days for which one is looked for
EARLIER = CountFault("earlier: android -60 %", lose_clicks(0.6, 0))
EARLIER_DAYS = (-10, -6)  # before the fault, the second excluded
CHANNELS = ("ad", "push")


@dataclass(frozen=True)
class Year:
    """One channel's drawn days."""

    law: object
    rows: np.ndarray
    positives: np.ndarray

    def series(self, rows=None, positives=None):
        chosen = (self.rows if rows is None else rows, self.positives if positives is None else positives)
        return series_of(self.law.channel, self.law.days, self.law.campaigns, *chosen)


def rules_of(a_year=4.0):
    return Rules(budget_of(a_year), min_effect=0.2, channels=len(CHANNELS))


def rivals(rows, positives):
    """Which days each of the other detectors alarms on, by its name; rows and positives of days, (days,)."""
    alarms = {name: np.zeros(len(rows), bool) for name in ("z at 3", "±20 %", "population stability index")}
    for day in range(HISTORY, len(rows)):
        usual = positives[day - HISTORY : day].sum() / rows[day - HISTORY : day].sum()
        today = positives[day] / rows[day] if rows[day] else 0.0
        alarms["z at 3"][day] = abs(today - usual) >= 3 * np.sqrt(usual * (1 - usual) / max(rows[day], 1))
        alarms["±20 %"][day] = abs(today / usual - 1) >= 0.2
        near = np.clip(today, 1e-6, 1 - 1e-6)
        index = (near - usual) * np.log(near / usual) + (usual - near) * np.log((1 - near) / (1 - usual))
        alarms["population stability index"][day] = index >= 0.1
    return alarms


def incidents(alarms):
    """How many incidents alarming days make: those with less than three days between them are of one."""
    days = np.flatnonzero(alarms)
    return int((np.diff(days) > 2).sum()) + 1 if len(days) else 0


class Tally:
    """What is counted for one volume and world."""

    def __init__(self):
        self.false = defaultdict(lambda: np.zeros(2))  # detector → incidents and days
        self.kinds = defaultdict(int)  # of our false alarms
        self.wrong = defaultdict(int)  # causes of ours, by fault
        self.found = defaultdict(list)  # (detector, fault, earlier) → (day of discovery, cause is right) of each trial


def count_false_alarms(tally, year, forks):
    """Run one channel's healthy year; keep the detector as it stood before each of the days in `forks`."""
    series = year.series()
    watch, kept, days = ChannelWatch(series, rules_of()), {}, np.zeros(len(series.days), bool)
    for day in range(len(series.days)):
        if day in forks:
            kept[day] = watch.copy()
        for finding in watch.step(day):
            if day >= LEAD and not finding.new_normal:
                days[day] = True
                if finding.fault.opened == day:
                    tally.false["ours"][0] += 1
                    tally.kinds[f"{finding.fault.kind}/{finding.fault.aspect}"] += 1
    tally.false["ours"][1] += days.sum()
    for name, alarms in rivals(series.rows, series.positives).items():
        tally.false[name] += [incidents(alarms[LEAD:]), alarms[LEAD:].sum()]
    return kept


def find_fault(tally, year, fault, watch, start, first, rng, earlier):
    """Plant a fault on day `first`, watch from day `start` on, and note when each detector sees it."""
    rows, positives = year.rows[: first + WATCHED], year.positives[: first + WATCHED]
    if earlier:
        rows, positives = plant(EARLIER, rows, positives, first + EARLIER_DAYS[0], first + EARLIER_DAYS[1], rng)
    largest = year.law.campaigns[int(rows[first].sum(axis=1).argmax())]
    rows, positives = plant(fault, rows, positives, first, first + WATCHED, rng)
    law_days = year.law.days[: first + WATCHED]
    series = series_of(year.law.channel, law_days, year.law.campaigns, rows, positives)
    watch = watch.copy(series)
    found, right = WATCHED, None
    for day in range(start, first + WATCHED):
        new = [each.fault for each in watch.step(day) if each.fault.opened == day and day >= first]
        if new:
            kinds, subject = causes(largest)[fault.name]
            right = any(each.kind in kinds and subject_of(series, each) == subject for each in new[:1])
            found = day - first
            if not right:
                tally.wrong[
                    f"{fault.name}: {new[0].kind} {subject_of(series, new[0])}".replace(largest, "largest")
                ] += 1
            break
    tally.found["ours", fault.name, earlier].append((found, right))
    for name, alarms in rivals(series.rows[first - 40 :], series.positives[first - 40 :]).items():
        seen = np.flatnonzero(alarms[40:])
        tally.found[name, fault.name, earlier].append((int(seen[0]) if len(seen) else WATCHED, None))


def measure(volume, lively, laws, seeds):
    """Count one volume's and world's false alarms and faults found over years, one a seed."""
    tally = Tally()
    firsts = list(range(LEAD, LEAD + YEAR - WATCHED, EVERY))
    for seed in seeds:
        for place, channel in enumerate(CHANNELS):
            rng = np.random.default_rng([seed, volume, place, lively is None])
            law = laws[seed][channel]
            year = Year(law, *draw_counts(law, volume, lively, rng))
            starts = {first + (EARLIER_DAYS[0] if number % 2 else 0): first for number, first in enumerate(firsts)}
            kept = count_false_alarms(tally, year, starts if channel == "ad" else {})
            for start, watch in kept.items():
                first = starts[start]
                for fault in FAULTS:
                    find_fault(tally, year, fault, watch, start, first, rng, earlier=start < first)
    return tally


def rows_of(tally, volume, world, years):
    """The benchmark's rows for one volume and world."""
    about = {"volume": volume, "world": world}
    for detector, (opened, days) in tally.false.items():
        yield {
            "detector": detector, **about, "false_alarms_a_year": round(opened / years, 2),
            "false_alarm_days_a_year": round(days / years, 2),
        }  # fmt: skip
    for (detector, fault, earlier), trials in tally.found.items():
        days = np.array([found for found, _ in trials])
        judged = [right for _, right in trials if right is not None]
        yield {
            "detector": detector, **about, "fault": fault, "after_an_alert": earlier, "trials": len(trials),
            "found_day0": round(float((days == 0).mean()), 3), "found_week": round(float((days < 7).mean()), 3),
            "found_10_days": round(float((days < 10).mean()), 3),
            "cause_right": round(float(np.mean(judged)), 3) if judged else None,
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
    rows = []
    for volume in asked.volumes:
        for world in asked.worlds:
            began = time.perf_counter()
            tally = measure(volume, WORLDS[world], laws, laws)
            rows += rows_of(tally, volume, world, asked.years)
            print(f"{volume:,} a day, {world}: {time.perf_counter() - began:.0f} s; ours: {dict(tally.kinds)}")
            print(f"    wrong causes: {dict(tally.wrong)}")
    print_table("False alarms", [row for row in rows if "fault" not in row])
    print_table("Faults found", [row for row in rows if row.get("detector") == "ours" and "fault" in row])
    if asked.json:
        write_rows(asked.json, rows)


if __name__ == "__main__":
    main()
