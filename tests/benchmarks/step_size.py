"""Weights of 1 and 100, raw and normalised: which optimizers care how large weights are?

`make bench-step-size`. The ratio of the weights is the same throughout, so the optimum is too; their scale multiplies
the loss and its gradients. Each optimizer trains the same network on the same batches with weights of mean 1, with the
raw ones, and with these times 100. How far the trained weights end from those of the normalised run, as a share of the
way that training moved them, says whether the scale mattered.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from statistics import mean

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from sklearn.metrics import log_loss, roc_auc_score

from ctr_retrain.models.imbalance.class_weights import class_weights
from tests.benchmarks.table import print_table, write_rows

ROWS, TEST_ROWS, FEATURES, POSITIVE_RATE, RATIO = 20_000, 40_000, 12, 0.02, 100
BATCH, EPOCHS = 200, 6
OPTIMIZERS = {
    "SGD": lambda: keras.optimizers.SGD(0.1),
    "SGD, clipnorm 1": lambda: keras.optimizers.SGD(0.1, clipnorm=1.0),
    "Adam": lambda: keras.optimizers.Adam(0.003),
    "Adam, epsilon 0.1": lambda: keras.optimizers.Adam(0.003, epsilon=0.1),
    "Adam, clipnorm 1": lambda: keras.optimizers.Adam(0.003, clipnorm=1.0),
    "Adam, L2 in the loss": lambda: keras.optimizers.Adam(0.003),
    "AdamW (decoupled decay)": lambda: keras.optimizers.AdamW(0.003, weight_decay=0.1),
}
L2 = {"Adam, L2 in the loss": 0.003}
SCALES = ("normalised", "1 and 100", "100 and 10,000")


def main() -> None:
    """Train with each, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the rows here")
    arguments = parser.parse_args()
    sets = [(draw(seed, ROWS, 1), draw(seed, TEST_ROWS, 2)) for seed in range(1, arguments.seeds + 1)]
    rows = []
    for name in OPTIMIZERS:
        found = {scale: [] for scale in SCALES}
        for seed, (training, test) in enumerate(sets, start=1):
            reference = None
            for scale in SCALES:
                start, end, figures = trained(name, scale, training, test, seed)
                reference = end if reference is None else reference
                apart = np.linalg.norm(end - reference) / np.linalg.norm(reference - start)
                figures["moved_apart"] = float(apart)
                found[scale].append(figures)
        rows += [summary(name, scale, runs) for scale, runs in found.items()]
    print_table(f"One set of weights at three scales, {arguments.seeds} seeds", rows)
    if arguments.json:
        write_rows(arguments.json, rows)


def draw(seed: int, rows: int, part: int) -> tuple[np.ndarray, np.ndarray]:
    """Features (rows, FEATURES) and labels of which POSITIVE_RATE are positive, float32."""
    direction = np.random.default_rng(seed).normal(size=FEATURES) / FEATURES**0.5
    rng = np.random.default_rng((seed, part))
    x = rng.normal(size=(rows, FEATURES))
    score = 2 * x @ direction + rng.logistic(size=rows)
    y = np.zeros(rows, np.float32)
    y[np.argsort(-score)[: round(rows * POSITIVE_RATE)]] = 1
    return x.astype(np.float32), y


def trained(
    name: str, scale: str, training: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray], seed: int
) -> tuple[np.ndarray, np.ndarray, dict[str, float]]:
    """Weights before and after, and figures with the weights' ratio taken out of the logits."""
    x, y = training
    weights = class_weights(y, {0: 1, 1: RATIO} if scale != "100 and 10,000" else {0: 100, 1: 100 * RATIO})
    weights = weights.normalized() if scale == "normalised" else weights
    keras.utils.set_random_seed(seed)
    penalty = keras.regularizers.L2(L2[name]) if name in L2 else None
    layers = [keras.layers.Dense(16, "relu", kernel_regularizer=penalty), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((FEATURES,)), *layers])
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(OPTIMIZERS[name](), loss, steps_per_execution=50)
    start = flat(model)
    model.fit(x, y[:, None], class_weight=weights.as_dict(), batch_size=BATCH, epochs=EPOCHS, verbose=0)
    test_x, test_y = test
    logit = keras.ops.convert_to_numpy(model(test_x))[:, 0].astype(np.float64)
    figures: dict[str, float] = {"mean_weight": float(weights.sample_weights(y).mean())}
    if np.isfinite(logit).all():
        probability = 1 / (1 + np.exp(-np.clip(logit - np.log(RATIO), -30, 30)))
        figures |= {"auc": roc_auc_score(test_y, probability), "log_loss": log_loss(test_y, probability)}
    return start, flat(model), figures


def flat(model: keras.Model) -> np.ndarray:
    """All weights in one vector."""
    return np.concatenate([weights.ravel() for weights in model.get_weights()])


def summary(optimizer: str, scale: str, runs: list[dict[str, float]]) -> dict[str, object]:
    """Means over the seeds; how many ended without a number, and then no means."""
    diverged = sum("auc" not in run for run in runs)
    row: dict[str, object] = {"optimizer": optimizer, "weights": scale, "diverged": diverged}
    for name in ("mean_weight", "auc", "log_loss", "moved_apart"):
        row[name] = None if diverged and name != "mean_weight" else round(mean(run[name] for run in runs), 4)
    return row


if __name__ == "__main__":
    main()
