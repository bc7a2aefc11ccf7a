"""Warm starts against cold ones on a simulated world whose tastes drift: log loss reached, and by how many rows.

Of each seed: a cold model on a window of 14 days; a chain of warm ones from it, a day each; a cold one on the window
up to the chain's last day. All are judged on the next two days by the true probabilities. `stale` is the first cold
model, never trained again: what a warm start has to make up for.
"""

import argparse

import numpy as np

from tests.benchmarks.table import print_table, write_rows
from tests.support.warm_world import JUDGED_DAYS, best_log_loss, chain, days_of, drifting_world, fitted, log_loss

WINDOW_DAYS = 14
WAYS = {
    "warm": {},
    "warm, optimizer reset": {"optimizer": "reset"},
    "warm, full rates": {"rate_share": 1.0},
    "warm, tenth of the rates": {"rate_share": 0.1},
    "warm, embeddings frozen": {"freeze": ("embedding",)},
}


def main():
    """Print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows-per-day", type=int, default=20_000)
    parser.add_argument("--steps", type=int, default=7, help="days that the chain of warm models goes on")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", default="")
    options = parser.parse_args()
    found = {name: [] for name in ("stale", "cold", *WAYS)}
    rows = dict.fromkeys(found, 0)
    for seed in range(1, options.seeds + 1):
        days = days_of(drifting_world(seed, options.rows_per_day), WINDOW_DAYS + options.steps + JUDGED_DAYS)
        judged, best = days[-JUDGED_DAYS:], best_log_loss(days[-JUDGED_DAYS:])
        window = days[options.steps : -JUDGED_DAYS]
        stale, source_model, trained = fitted(days[:WINDOW_DAYS], window)
        models = {"stale": (stale, trained), "cold": fitted(window, window)[::2]}
        models |= {name: chain(days, WINDOW_DAYS, options.steps, source_model, **way) for name, way in WAYS.items()}
        for name, (network, trained) in models.items():
            found[name].append(log_loss(network, judged) - best)
            rows[name] = trained
    table = [_row(name, np.array(gaps), np.array(found["cold"]), rows) for name, gaps in found.items()]
    title = f"{options.seeds} simulated worlds, {options.rows_per_day:,} impressions a day, {options.steps} warm days"
    print_table(title, table)
    if options.json:
        write_rows(options.json, table)


def _row(name, gaps, cold, rows):
    """Log loss above the best possible one, and the paired difference to the cold model with its standard error."""
    difference = gaps - cold
    error = difference.std(ddof=1) / len(gaps) ** 0.5 if len(gaps) > 1 else 0.0
    return {
        "model": name,
        "rows": rows[name],
        "share_of_cold_rows": round(rows[name] / rows["cold"], 3),
        "log_loss_above_best": round(float(gaps.mean()), 5),
        "minus_cold": round(float(difference.mean()), 5),
        "standard_error": round(float(error), 5),
    }


if __name__ == "__main__":
    main()
