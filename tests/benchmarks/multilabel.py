"""Fifteen labels, the rarest with four positives: what class_weight does to them, and what weights by label do.

`make bench-multilabel`. The question was asked about a network of 23 labels that stopped learning when class weights
were passed. Each repetition draws a set with the asker's counts: 23 columns of which eight never occur, rows with
several labels and rows with none. The lower half of the network is trained beforehand on a related task, then frozen;
the upper half is trained by each strategy on the same stratified folds and judged on rows that it has not seen.

plain: no weights, a label is predicted from probability ½ on. class_weight: 1 / frequency of a label, passed to `fit`.
ours: the square root of balanced weights by label with their offsets, biases from the base log-odds, and a threshold by
label with the best F1 on folds of the training rows. "plain, thresholds" has only the latter; "SGD" another optimizer.
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
from sklearn.metrics import average_precision_score, f1_score

from ctr_retrain.models.imbalance.class_weights import class_weights
from ctr_retrain.models.imbalance.losses import WeightedCrossEntropy
from tests.benchmarks import multilabel_set
from tests.benchmarks.multilabel_set import LABELS, OBSERVED, OCCURRING, RARE
from tests.benchmarks.table import print_table, write_rows

REPRESENTED = 48
FOLDS, INNER_FOLDS = 4, 2  # of the rarest labels' four positives, three train
EPOCHS, BATCH = 30, 128
FITS = ("plain", "class_weight", "ours", "plain, SGD", "class_weight, SGD")
WITH_THRESHOLDS = {"plain": "plain, thresholds", "ours": "ours"}  # fit → strategy
STRATEGIES = ("constant", "plain", "class_weight", "ours", "plain, thresholds", "plain, SGD", "class_weight, SGD")


def main() -> None:
    """Repeat, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the rows here")
    arguments = parser.parse_args()
    seeds = range(1, arguments.repeats + 1)
    found = [one_set(seed) for seed in track(seeds, "sets", console=Console(stderr=True))]
    rows = [summary(name, [run[name] for run in found], [run["plain"] for run in found]) for name in STRATEGIES]
    print_table(
        f"23 labels of which 15 occur: {arguments.repeats} sets, {FOLDS} folds each", [shown(row) for row in rows]
    )
    if arguments.json:
        write_rows(arguments.json, rows)


def one_set(seed: int) -> dict[str, dict[str, float]]:
    """Figures of each strategy on one set, all rows judged by models that have not seen them."""
    lower = lower_half(seed)
    x, y = multilabel_set.draw(seed)
    fold = multilabel_set.stratified_folds(y, FOLDS, seed)
    answers = {name: (np.empty(y.shape), np.empty(y.shape, bool)) for name in STRATEGIES}
    for number in range(FOLDS):
        test = fold == number
        for name, answer in answered(lower, x, y, test, 100 * seed + number).items():
            for whole, part in zip(answers[name], answer, strict=True):
                whole[test] = part
    return {name: judge(y, *answer) for name, answer in answers.items()}


def answered(lower: keras.Model, x: np.ndarray, y: np.ndarray, test: np.ndarray, seed: int) -> dict[str, tuple]:
    """By strategy: probabilities and decisions on the test rows, each (rows, LABELS)."""
    rates = np.tile(y[~test].mean(axis=0), (test.sum(), 1))
    answers = {"constant": (rates, rates >= 0.5)}
    for name in FITS:
        probability = probabilities(fit(lower, x[~test], y[~test], name, seed), x[test])
        if name != "ours":
            answers[name] = (probability, probability >= 0.5)
        if name in WITH_THRESHOLDS:
            thresholds = inner_thresholds(lower, x[~test], y[~test], name, seed)
            answers[WITH_THRESHOLDS[name]] = (probability, probability >= thresholds)
    return answers


def lower_half(seed: int) -> keras.Model:
    """OBSERVED → REPRESENTED numbers, trained on common labels of the same world, then frozen."""
    x, y = multilabel_set.draw_related(seed)
    keras.utils.set_random_seed(seed)
    layers = [keras.Input((OBSERVED,)), keras.layers.Dense(96, "relu"), keras.layers.Dense(REPRESENTED, "relu")]
    lower = keras.Sequential(layers)
    whole = keras.Sequential([lower, keras.layers.Dense(y.shape[1])])
    whole.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True), steps_per_execution=32)
    whole.fit(x, y, batch_size=256, epochs=8, verbose=0)
    lower.trainable = False
    return lower


def fit(lower: keras.Model, x: np.ndarray, y: np.ndarray, name: str, seed: int) -> keras.Model:
    """The upper half trained on these rows."""
    keras.utils.set_random_seed(seed)
    labels = keras.layers.Dense(LABELS)
    model = keras.Sequential([keras.Input((OBSERVED,)), lower, labels])
    loss, options = keras.losses.BinaryCrossentropy(from_logits=True), {}
    if name.startswith("class_weight"):
        options["class_weight"] = {label: 1 / y[:, label].sum() for label in OCCURRING}
    elif name == "ours":
        loss = WeightedCrossEntropy(**class_weights(y, power=0.5, multi_label=True).normalized().for_loss())
        positives = y.sum(axis=0)
        labels.bias.assign(np.log((positives + 0.5) / (len(y) - positives + 0.5)))
    optimizer = keras.optimizers.SGD(0.1) if name.endswith("SGD") else keras.optimizers.Adam(0.003)
    model.compile(optimizer, loss, steps_per_execution=32)
    model.fit(x, y, batch_size=BATCH, epochs=EPOCHS, verbose=0, **options)
    return model


def probabilities(model: keras.Model, x: np.ndarray) -> np.ndarray:
    """σ of the logits, (rows, LABELS)."""
    return 1 / (1 + np.exp(-keras.ops.convert_to_numpy(model(x)).astype(np.float64)))


def inner_thresholds(lower: keras.Model, x: np.ndarray, y: np.ndarray, name: str, seed: int) -> np.ndarray:
    """The thresholds with the best F1 where each training row is answered by a model that has not seen it."""
    fold = multilabel_set.stratified_folds(y, INNER_FOLDS, seed)
    probability = np.empty(y.shape)
    for number in range(INNER_FOLDS):
        out = fold == number
        probability[out] = probabilities(fit(lower, x[~out], y[~out], name, seed), x[out])
    return best_thresholds(y, probability)


def best_thresholds(y: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Of each label the threshold with the highest F1, (labels,); of one that never occurs, above 1."""
    thresholds = np.full(y.shape[1], 2.0)
    for label in np.flatnonzero(y.any(axis=0)):
        order = np.argsort(-probability[:, label], kind="stable")
        hits, score = np.cumsum(y[order, label]), probability[order, label]
        best = int(np.argmax(2 * hits / (np.arange(1, len(y) + 1) + hits[-1])))
        following = score[best + 1] if best + 1 < len(score) else 0.0
        thresholds[label] = (score[best] + following) / 2
    return thresholds


def judge(y: np.ndarray, probability: np.ndarray, decided: np.ndarray) -> dict[str, float]:
    """Figures over the labels that occur; the asker's own metric; Σp/Σy of the rare labels."""
    truth, rare = y[:, OCCURRING], y[:, RARE].sum()
    return {
        "macro_average_precision": average_precision_score(truth, probability[:, OCCURRING], average="macro"),
        "macro_f1": f1_score(truth, decided[:, OCCURRING], average="macro", zero_division=0),
        "labels_predicted": float(decided[:, OCCURRING].any(axis=0).sum()),
        "categorical_accuracy": float((y.argmax(axis=1) == probability.argmax(axis=1)).mean()),
        "rare_calibration_ratio": float(probability[:, RARE].sum() / rare),
    }


def summary(strategy: str, runs: list[dict[str, float]], plain: list[dict[str, float]]) -> dict[str, object]:
    """Means over the sets, their standard errors, and the same of the difference from plain on the same set."""
    row: dict[str, object] = {"strategy": strategy}
    for name in runs[0]:
        row[name], row[f"{name}_se"] = estimate([run[name] for run in runs])
    for name in ("macro_average_precision", "macro_f1"):
        differences = [run[name] - other[name] for run, other in zip(runs, plain, strict=True)]
        row[f"{name}_minus_plain"], row[f"{name}_minus_plain_se"] = estimate(differences)
    return row


def estimate(values: list[float]) -> tuple[float, float | None]:
    """Mean and its standard error; of one value there is none."""
    error = round(stdev(values) / len(values) ** 0.5, 4) if len(values) > 1 else None
    return round(mean(values), 4), error


def shown(row: dict[str, object]) -> dict[str, object]:
    """The row with each standard error beside its mean."""
    names = [name for name in row if not name.endswith("_se")]
    return {name: f"{row[name]} ± {row[f'{name}_se']}" if row.get(f"{name}_se") else row[name] for name in names}


if __name__ == "__main__":
    main()
