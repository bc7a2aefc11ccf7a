"""At 1.7 : 1, is anything needed? Unweighted, weighted, over- and undersampled, on the same rows and seeds.

`make bench-mild`. Each seed draws a set of 1.7 negatives to a positive with a nonlinear truth. A small network is
trained in each way and judged on unweighted rows. Raw probabilities tell what was lost; balanced accuracy at the
threshold that fits each way (½, or the base rate where nothing was weighed) tells whether more than one was moved.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from statistics import mean, stdev

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from rich.console import Console
from rich.progress import track
from scipy.stats import t as student
from sklearn.metrics import balanced_accuracy_score, log_loss, roc_auc_score

from ctr_retrain.models.imbalance.class_weights import class_weights
from tests.benchmarks.table import print_table, write_rows

ODDS = 1.7  # negatives to a positive
TRAIN_ROWS, TEST_ROWS, FEATURES = 5_000, 40_000, 10
WAYS = ("unweighted", "weighted", "oversampled", "undersampled")
COMPARED = ("auc", "log_loss", "balanced_accuracy_at_half", "balanced_accuracy_at_its_threshold")


def main() -> None:
    """Seed by seed, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--json", type=Path, help="write the rows here")
    arguments = parser.parse_args()
    seeds = range(1, arguments.seeds + 1)
    found = [one_seed(seed) for seed in track(seeds, "seeds", console=Console(stderr=True))]
    rows = [summary(way, [run[way] for run in found], [run["unweighted"] for run in found]) for way in WAYS]
    print_table(
        f"1.7 : 1, {arguments.seeds} seeds; differences from unweighted with 95 % intervals",
        [shown(row) for row in rows],
    )
    if arguments.json:
        write_rows(arguments.json, rows)


def one_seed(seed: int) -> dict[str, dict[str, float]]:
    """Figures of each way, of the same set and the same initial network."""
    x, y = draw(seed, TRAIN_ROWS, part=1)
    test_x, test_y = draw(seed, TEST_ROWS, part=2)
    found = {}
    for way in WAYS:
        rows, weights = chosen(way, y, np.random.default_rng((seed, 3)))
        keras.utils.set_random_seed(seed)
        model = keras.Sequential([keras.Input((FEATURES,)), keras.layers.Dense(32, "relu"), keras.layers.Dense(1)])
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(0.003), loss, steps_per_execution=32)
        # As many steps for each way: it is the rows that differ, not how long they are trained on.
        epochs = round(12 * TRAIN_ROWS / len(rows))
        model.fit(x[rows], y[rows][:, None], sample_weight=weights, batch_size=128, epochs=epochs, verbose=0)
        logit = keras.ops.convert_to_numpy(model(test_x))[:, 0].astype(np.float64)
        found[way] = judge(test_y, 1 / (1 + np.exp(-logit)), y.mean(), way)
    return found


def draw(seed: int, rows: int, part: int) -> tuple[np.ndarray, np.ndarray]:
    """Features (rows, FEATURES) and labels of which exactly 1 in 2.7 is positive, float32."""
    fixed, rng = np.random.default_rng(seed), np.random.default_rng((seed, part))
    first, second = fixed.normal(size=(2, FEATURES)) / FEATURES**0.5
    x = rng.normal(size=(rows, FEATURES))
    score = 2 * x @ first + 2 * np.sin(2 * x @ second) + rng.logistic(size=rows)
    y = np.zeros(rows, np.float32)
    y[np.argsort(-score)[: round(rows / (1 + ODDS))]] = 1
    return x.astype(np.float32), y


def chosen(way: str, y: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the rows that train, and their weights."""
    positive, negative = np.flatnonzero(y == 1), np.flatnonzero(y == 0)
    rows = np.arange(len(y))
    if way == "oversampled":
        rows = np.append(rows, rng.choice(positive, len(negative) - len(positive)))
    if way == "undersampled":
        rows = np.append(positive, rng.choice(negative, len(positive), replace=False))
    weights = class_weights(y).sample_weights(y) if way == "weighted" else np.ones(len(rows))
    return rows, weights


def judge(y: np.ndarray, probability: np.ndarray, base_rate: float, way: str) -> dict[str, float]:
    """Figures of raw probabilities, and the balanced accuracy at ½ and at the threshold that fits the way."""
    return {
        "auc": roc_auc_score(y, probability),
        "log_loss": log_loss(y, probability),
        "calibration_ratio": float(probability.sum() / y.sum()),
        "balanced_accuracy_at_half": balanced_accuracy_score(y, probability >= 0.5),
        "balanced_accuracy_at_its_threshold": balanced_accuracy_score(
            y, probability >= (base_rate if way == "unweighted" else 0.5)
        ),
    }


def summary(way: str, runs: list[dict[str, float]], unweighted: list[dict[str, float]]) -> dict[str, object]:
    """Means over the seeds; differences from unweighted with Student's interval over the pairs."""
    row: dict[str, object] = {"strategy": way}
    for name in runs[0]:
        row[name] = round(mean(run[name] for run in runs), 4)
    if way == "unweighted":
        return row
    for name in COMPARED:
        pairs = [run[name] - other[name] for run, other in zip(runs, unweighted, strict=True)]
        half = student.ppf(0.975, len(pairs) - 1) * stdev(pairs) / len(pairs) ** 0.5
        for suffix, value in (("", mean(pairs)), ("_low", mean(pairs) - half), ("_high", mean(pairs) + half)):
            row[f"{name}_minus_unweighted{suffix}"] = round(value, 4)
    return row


def shown(row: dict[str, object]) -> dict[str, object]:
    """The row with each interval beside its difference."""
    cells = {name: value for name, value in row.items() if not name.endswith(("_low", "_high"))}
    for name in cells.keys() & {f"{name}_minus_unweighted" for name in COMPARED}:
        cells[name] = f"{row[name]:+.4f} ({row[f'{name}_low']:+.4f} to {row[f'{name}_high']:+.4f})"
    return cells


if __name__ == "__main__":
    main()
