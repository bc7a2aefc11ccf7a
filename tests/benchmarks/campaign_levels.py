"""How much traffic is in campaigns whose level is off by a quarter, and what a shrunk intercept of each would change.

    python -m tests.benchmarks.campaign_levels [--worlds 1 2 3] [--rows 6000 25000] [--nights 3] [--predictions FOLDER]
                                               [--json FILE]

The nights are those of `level`. `served` is the product itself; the others are calibrated anew. Of these, channels get
an intercept, and campaigns one with a normal prior around it, fitted to the network's logits on the training rows and
the calibration slice, or on the slice alone, and are served whether they pay ahead of time or not. Log loss is
expected, by the true probability, so that it is free of the labels' noise.
"""

from __future__ import annotations

import argparse
from math import log, sqrt
from pathlib import Path

import numpy as np

import ctr_retrain.flows.quiet_libraries  # noqa: F401 - before TensorFlow, which reads the environment when imported
from ctr_retrain.models.serving.calibration import choose_calibration, sigmoid
from ctr_retrain.models.training.device import prepare_device
from tests.benchmarks.level_nights import CALIBRATE, SERVED, TRAIN, nights_of
from tests.benchmarks.table import print_table, write_rows

OFF = 0.25
WAYS = {  # the rows that intercepts are fitted to, and the prior standard deviation of a campaign's
    "none": ((), 0.0),
    "served": None,
    "slice, 0.2": ((CALIBRATE,), 0.2),
    "training rows and slice, 0.1": ((TRAIN, CALIBRATE), 0.1),
    "training rows and slice, 0.2": ((TRAIN, CALIBRATE), 0.2),
    "training rows and slice, 0.3": ((TRAIN, CALIBRATE), 0.3),
}
WIDE = 10.0  # prior standard deviation of a channel's intercept: hardly any prior
NEWTON_STEPS = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--worlds", type=int, nargs="*", default=[1, 2, 3], help="seeds")
    parser.add_argument("--rows", type=int, nargs="*", default=[6000, 25_000], help="impressions a day")
    parser.add_argument("--nights", type=int, default=3, help="of each world")
    parser.add_argument("--predictions", type=Path, help="folder")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    prepare_device("cpu")
    found = []
    for rows in given.rows:
        nights = [
            {way: figures(night, rule) for way, rule in WAYS.items()}
            for seed in given.worlds
            for _, night in nights_of(seed, rows, "recipe", given.nights, given.predictions)
        ]
        found += [summary(rows, way, nights) for way in WAYS]
    print_table(f"Served traffic in campaigns whose level is off by more than {OFF:.0%}", found)
    if given.json:
        write_rows(given.json, found)


def figures(night, rule):
    """Of the served rows: log loss, shares of traffic in campaigns that are off (all; known ones), and the level."""
    logit = night.logit.astype(np.float64)
    if rule:
        raw = night.raw.astype(np.float64) + (intercepts(night, *rule) if rule[0] else 0.0)
        kept_out = night.role == CALIBRATE
        day = night.day[kept_out]
        layer = choose_calibration(raw[kept_out], night.label[kept_out], day - day.min())
        logit = layer.line(raw)
    served = night.role == SERVED
    p, best = sigmoid(logit[served]), night.best[served]
    known = ~night.new[served]
    campaign = night.campaign[served]
    return (
        float(-(best * np.log(p) + (1 - best) * np.log1p(-p)).mean()),
        share_off(p, best, campaign),
        share_off(p[known], best[known], campaign[known]),
        abs(log(p.sum() / best.sum())),
    )


def intercepts(night, roles, prior_sd):
    """What the channel and the campaign of each row add to its logit, (rows,)."""
    fitted = np.isin(night.role, roles)
    channel = intercept_of(night.channel, night.raw.astype(np.float64), night.label, fitted, WIDE)
    _, campaign = np.unique(night.campaign, return_inverse=True)
    return channel + intercept_of(campaign, night.raw + channel, night.label, fitted, prior_sd)


def intercept_of(group, logit, label, fitted, prior_sd):
    """The likeliest intercept of each row's group, (rows,), under a normal prior; by Newton's method."""
    own, groups, found = group[fitted], group.max() + 1, np.zeros(group.max() + 1)
    for _ in range(NEWTON_STEPS):
        p = sigmoid(logit[fitted] + found[own])
        surplus = np.bincount(own, label[fitted] - p, groups) - found / prior_sd**2
        found += surplus / (np.bincount(own, p * (1 - p), groups) + 1 / prior_sd**2)
    return found[group]


def share_off(p, best, campaign):
    """The share of rows in campaigns whose Σp/Σbest is further from 1 than OFF."""
    _, place = np.unique(campaign, return_inverse=True)
    ratio = np.bincount(place, p) / np.bincount(place, best)
    return float((np.abs(ratio - 1) > OFF)[place].mean())


def summary(rows, way, nights):
    """A line of a way: means over nights; of the log loss the difference from none, ± its error."""
    own, without = (np.array([by_way[name] for by_way in nights]) for name in (way, "none"))
    apart = own[:, 0] - without[:, 0]
    return {
        "rows_per_day": rows,
        "intercepts": way,
        "nights": len(nights),
        "off": round(float(own[:, 1].mean()), 3),
        "off_known": round(float(own[:, 2].mean()), 3),
        "mean_abs_ln_level": round(float(own[:, 3].mean()), 3),
        "log_loss_minus_none": round(float(apart.mean()), 6),
        "standard_error": round(float(apart.std(ddof=1)) / sqrt(len(nights)), 6) if len(nights) > 1 else 0.0,
    }


if __name__ == "__main__":
    main()
