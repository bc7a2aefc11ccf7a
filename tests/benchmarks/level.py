"""How near the served level is to the truth, as judged and with its intercept brought up to date after the verdict.

    python -m tests.benchmarks.level [--worlds 1 2 3] [--rows 6000 25000] [--strategies recipe] [--nights 4]
                                     [--predictions FOLDER] [--json FILE]

Every third night of simulated worlds a model is trained by the demonstration's recipe, 14 days that end five days
before the run's, and serves the three days after it. Each is trained once, and all methods move the same predictions.
Of |ln(Σp/Σtruth)| of each served day there are means, and differences from the judged model paired by night. `carried`
is no model: the true click ratio of the two validation days, carried forward. `known` moves the model's level as if the
truth of the validation days were known. The second table has the level of campaigns launched after the training window
beside that of the others. With --predictions, what models say is kept in a folder and read from there.
"""

from __future__ import annotations

import argparse
import sys
from math import log, sqrt
from pathlib import Path

import numpy as np

import ctr_retrain.flows.quiet_libraries  # noqa: F401 - before TensorFlow, which reads the environment when imported
from ctr_retrain.models.serving.calibration import fit_calibration
from ctr_retrain.models.serving.recalibration import MatureRows, fit_level
from ctr_retrain.models.training.device import prepare_device
from tests.benchmarks.level_nights import CALIBRATE, CHANNELS, SERVED, STRATEGIES, VALIDATE, nights_of
from tests.benchmarks.table import print_table, write_rows

JUDGED, CARRIED = "judged", "carried"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--worlds", type=int, nargs="*", default=[1, 2, 3], help="seeds")
    parser.add_argument("--rows", type=int, nargs="*", default=[6000, 25_000], help="impressions a day")
    parser.add_argument("--strategies", nargs="*", default=["recipe"], choices=list(STRATEGIES))
    parser.add_argument("--nights", type=int, default=4, help="of each world")
    parser.add_argument("--predictions", type=Path, help="folder")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    prepare_device("cpu")
    levels, launches = [], []
    for rows in given.rows:
        for strategy in given.strategies:
            found = []
            for seed in given.worlds:
                for run_day, night in nights_of(seed, rows, strategy, given.nights, given.predictions):
                    sys.stderr.write(f"world {seed}, {rows} rows a day, {strategy}, {run_day}\n")
                    found.append(night)
            levels += summary(rows, strategy, found)
            launches.append(launched(rows, strategy, found))
    print_table("The level of served days, by what moves it after the verdict", levels)
    print_table("Campaigns launched after the training window", launches)
    if given.json:
        write_rows(given.json, [*levels, *launches])


def summary(rows, strategy, nights):
    """A line for each method."""
    errors = [errors_of(night) for night in nights]  # a night → method → ln(Σp/Σtruth) of each served day
    found = []
    for name in errors[0]:
        own, judged, carried = ([np.abs(by_name[of]).mean() for by_name in errors] for of in (name, JUDGED, CARRIED))
        apart = np.subtract(own, judged)
        every = np.concatenate([by_name[name] for by_name in errors])
        found.append(
            {
                "rows_per_day": rows,
                "strategy": strategy,
                "method": name,
                "nights": len(nights),
                "mean_abs_ln": round(float(np.mean(own)), 4),
                "mean_ln": round(float(every.mean()), 4),
                "minus_judged": round(float(apart.mean()), 4),
                "standard_error": round(float(apart.std(ddof=1)) / sqrt(len(nights)), 4) if len(nights) > 1 else 0.0,
                "to_carried": round(float(np.mean(own) / np.mean(carried)), 2),
            }
        )
    return found


def errors_of(night):
    """ln(Σp/Σtruth) of each served day, by method."""
    served, validated = night.where(night.role == SERVED), night.where(night.role == VALIDATE)
    days = np.unique(served.day)

    def by_day(probability):
        return np.array(
            [log(probability[served.day == day].sum() / served.truth[served.day == day].sum()) for day in days]
        )

    moved = {
        name: by_day(sigmoid(served.logit + shift[served.channel])) for name, shift in shifts_of(night, days[0]).items()
    }
    return moved | {CARRIED: by_day(np.full(len(served.label), validated.truth.mean()))}


def shifts_of(night, served_day):
    """What each method adds to the log-odds of each channel, in the order of CHANNELS."""
    mature = night.where(np.isin(night.role, (CALIBRATE, VALIDATE)))
    validated = night.where(night.role == VALIDATE)
    return {
        JUDGED: np.zeros(len(CHANNELS)),
        "local level": local_level(mature, served_day),
        "James-Stein, V": james_stein(validated),
        "James-Stein, C and V": james_stein(mature),
        "ratio, V": ratio(validated, validated.label),
        "ratio, C and V": ratio(mature, mature.label),
        "known": ratio(validated, validated.truth),
    }


def local_level(rows, served_day):
    """The product's own."""
    names = np.array(CHANNELS)[rows.channel]
    mature = MatureRows(rows.logit.astype(np.float64), rows.label, names, rows.day, rows.role == VALIDATE)
    shift = {own.channel: own.shift for own in fit_level(mature, int(served_day))}
    return np.array([shift[name] for name in CHANNELS])


def james_stein(rows):
    """One shrunk intercept for all rows, and from there another for each channel."""

    def intercept(logit, label):
        full = fit_calibration(logit, label, "intercept").values[0]
        share = sigmoid(logit + full)
        squared = full**2 * (share * (1 - share)).sum()  # its square, in squared standard errors
        return full * (1 - 1 / squared) if squared > 1 else 0.0

    common = intercept(rows.logit, rows.label)
    channels = [rows.where(rows.channel == place) for place in range(len(CHANNELS))]
    return np.array([common + intercept(own.logit + common, own.label) for own in channels])


def ratio(rows, truth):
    """The logarithm of the ratio of what came to what was predicted, for all channels together."""
    return np.full(len(CHANNELS), log(truth.sum() / sigmoid(rows.logit).sum()))


def launched(rows, strategy, nights):
    """The level of new campaigns and of the others over all served days, as judged: shifts move both alike."""
    served = [night.where(night.role == SERVED) for night in nights]

    def level(new):
        predicted = sum(sigmoid(night.logit[night.new == new]).sum() for night in served)
        return predicted / sum(night.truth[night.new == new].sum() for night in served)

    return {
        "rows_per_day": rows,
        "strategy": strategy,
        "share_of_rows": round(float(np.concatenate([night.new for night in served]).mean()), 3),
        "level_of_new": round(level(new=True), 3),
        "level_of_others": round(level(new=False), 3),
        "new_to_others": round(level(new=True) / level(new=False), 3),
    }


def sigmoid(logit):
    return 1 / (1 + np.exp(-logit.astype(np.float64)))


if __name__ == "__main__":
    main()
