"""What a yardstick costs: counting values, drawing rows, two simple models, predictions; on windows of several sizes.

`make bench-yardstick`, or `python -m tests.benchmarks.yardstick --rows 350000 10000000`. A generated window of 14 days
and a day to predict for, columns as the demonstration's: ten features of ids, one with 200,000 values, three numbers.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

import numpy as np

from ctr_retrain.models.feature_kinds.kinds import feature_of
from ctr_retrain.models.features.dictionary import Dictionary
from ctr_retrain.models.features.encoder import Coded
from ctr_retrain.models.judging.metrics import log_losses, roc_auc
from ctr_retrain.models.yardstick.earlier_days import History, row_chunks
from ctr_retrain.models.yardstick.simple_models import FITS
from ctr_retrain.models.yardstick.training_table import training_table
from tests.benchmarks.table import print_table, write_rows

DAYS = 14
VALUES = (200_000, 2000, 400, 40, 24, 19, 12, 7, 3, 2)  # of each feature of ids
NUMBERS = 3
FEATURES = tuple(
    feature_of({"name": f"{kind}{number}", "kind": kind})
    for kind, count in (("categorical", len(VALUES)), ("numeric", NUMBERS))
    for number in range(count)
)
DICTIONARY = Dictionary(tuple(np.arange(values) for values in VALUES))


def main() -> None:
    """Print a row for each size."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rows", nargs="*", type=int, default=[350_000, 2_000_000, 10_000_000])
    parser.add_argument("--json", type=Path, help="write the rows here")
    arguments = parser.parse_args()
    found = [measured(rows) for rows in arguments.rows]
    print_table("A yardstick's cost by rows of the window", found)
    if arguments.json:
        write_rows(arguments.json, found)


def measured(rows: int) -> dict[str, object]:
    """Seconds of this process's cores, and its largest memory so far, of one window."""
    effects = [np.random.default_rng(k).normal(0, 0.3, values + 1) for k, values in enumerate(VALUES)]
    days, labels = zip(*(generated(rows // DAYS, effects, day) for day in range(DAYS + 1)), strict=True)
    clock, spent = time.process_time, {}
    began = clock()
    history = History(days, FEATURES)
    table = training_table(history, days[:-1], labels[:-1], seed=7)
    spent["counting, drawing"] = clock() - began
    for name, fit in FITS.items():
        began = clock()
        predict = fit(table, 7)
        trained = clock()
        found = np.concatenate([predict(history.read(days[-1], chunk)) for chunk in row_chunks(len(labels[-1]))])
        spent |= {name: trained - began, f"{name}, a day's rows": clock() - trained}
        spent[f"{name}, AUC"] = roc_auc(labels[-1], found)
        spent[f"{name}, log loss"] = float(log_losses(labels[-1], found).mean())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    figures = {name: round(value, 4 if "AUC" in name or "loss" in name else 1) for name, value in spent.items()}
    return {"rows": rows, "rows used": len(table.label), **figures, "peak MB": peak}


def generated(rows: int, effects: list[np.ndarray], day: int) -> tuple[Coded, np.ndarray]:
    """One day: ids by falling frequency, numbers, and labels whose log-odds add up, 2 % positive or so."""
    chance = np.random.default_rng([day, rows])
    local = [(values * chance.random(rows) ** 3).astype(np.int32) for values in VALUES]
    numeric = chance.normal(size=(rows, NUMBERS)).astype(np.float32)
    logit = -4.2 + 0.3 * numeric[:, 0] + sum(effect[codes] for effect, codes in zip(effects, local, strict=True))
    label = (chance.random(rows) < 1 / (1 + np.exp(-logit))).astype(np.uint8)
    codes = np.stack([1 + own + first for own, first in zip(local, DICTIONARY.first_codes, strict=False)], axis=1)
    return Coded(codes.astype(np.int32), numeric, DICTIONARY), label


if __name__ == "__main__":
    main()
