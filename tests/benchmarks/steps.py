"""How many steps of which size a network needs: batches, rates and networks over real and simulated logs.

    REAL_DATA=folder python -m tests.benchmarks.steps [--sets trivago …] [--networks deepfm …] [--json FILE]

Each window is trained with the product's encoder, slices and fit: with the defaults of before, with what the window
chooses, and with batches and rates around that. Figures are of later days, before the calibration layer. `sklearn` is
logistic regression on the very columns of the linear network, of the C that is best on the later days out of three.
"""

from __future__ import annotations

import argparse
import sys
from math import sqrt
from pathlib import Path

import keras
import numpy as np
import scipy.sparse as sp
from sklearn.linear_model import LogisticRegression

import ctr_retrain.flows.quiet_libraries  # noqa: F401 - before TensorFlow, which reads the environment when imported
from ctr_retrain.models.features.piecewise import NUMBER_PIECES
from ctr_retrain.models.judging.learning_curve import cut_short
from ctr_retrain.models.judging.metrics import roc_auc
from ctr_retrain.models.training.device import prepare_device
from ctr_retrain.models.training.training_steps import choose_batch_rows, choose_rates
from ctr_retrain.tasks.train.calibrate_network import logits_of
from ctr_retrain.tasks.train.fit_network import fit_network
from tests.benchmarks.step_sets import WORLDS, load_set, real_sets
from tests.benchmarks.table import print_table, write_rows

BEFORE = {"batch_rows": 4096, "learning_rate": 0.002, "embedding_learning_rate": 0.05}
UNSET = {"batch_rows": 0, "learning_rate": 0, "embedding_learning_rate": 0}
PENALTIES = (0.01, 0.1, 1.0)  # C of scikit-learn's logistic regression


def main() -> None:
    """Train every variant on every set, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--sets", nargs="*", default=[*real_sets(), *WORLDS])
    parser.add_argument("--networks", nargs="*", default=["logistic_regression", "deepfm"])
    parser.add_argument("--variants", nargs="*", help="names of some of them; default: all")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if not real_sets():
        sys.stderr.write("REAL_DATA names no folder of real logs: they are left out\n")
    prepare_device("cpu")
    rows = []
    for name in arguments.sets:
        found = load_set(name)
        for network in arguments.networks:
            rows += measured(name, found, network, arguments.variants)
            if arguments.json:
                write_rows(arguments.json, rows)
    print_table("Later days by steps and rates", rows)


def measured(name, found, network, wanted):
    """A row a variant of one network on one set, and scikit-learn's beside the linear one."""
    training = found.recipe.training.model_copy(
        update={**UNSET, "network": network, "epochs": 1, "embedding_initial_accumulator": 0.1}
    )
    table, losses = [], {}
    fitted = None
    for variant, keys in variants(training, found).items():
        if wanted and variant not in wanted:
            continue
        recipe = found.recipe.model_copy(update={"training": training.model_copy(update=keys)})
        fitted = fit_network(found.rows, recipe, found.factors, lambda _done, _total: None)
        logit = logits_of(fitted.network, found.later.ids, found.later.numeric)
        losses[variant] = row_losses(logit, found.later.label)
        table.append(row_of(name, network, variant, logit, found.later.label, fitted.result))
    if fitted and network == "logistic_regression":
        logit = solved(found, fitted.network)
        losses["sklearn"] = row_losses(logit, found.later.label)
        table.append(row_of(name, network, "sklearn", logit, found.later.label, None))
    for row in table:
        apart = losses[row["variant"]] - losses.get("window", losses[table[0]["variant"]])
        row["minus_window"], row["standard_error"] = round(apart.mean(), 5), round(apart.std() / sqrt(len(apart)), 5)
        sys.stderr.write(f"{row}\n")
    return table


def variants(training, found):
    """What to set, by the variant's name; `window` sets nothing."""
    rows, positives = len(found.rows.train), int(found.rows.train.label.sum())
    batch_rows = choose_batch_rows(training, rows, positives)
    dense, embedding = choose_rates(training, -(-rows // batch_rows))
    return {
        "before": BEFORE,
        "window": {},
        "batch/4": {"batch_rows": max(8, batch_rows // 4)},
        "batch*4": {"batch_rows": 4 * batch_rows},
        "dense/3": {"learning_rate": dense / 3},
        "dense*3": {"learning_rate": 3 * dense},
        "embedding/2": {"embedding_learning_rate": embedding / 2},
        "embedding*2": {"embedding_learning_rate": 2 * embedding},
    }


def row_of(name, network, variant, logit, label, result):
    """One line of the table."""
    probability = 1 / (1 + np.exp(-logit.astype(np.float64)))
    row = {"set": name, "network": network, "variant": variant}
    steps = result.steps if result else None
    row |= {"batch_rows": steps.batch_rows if steps else "", "steps": steps.count if steps else ""}
    row |= {"dense": round(steps.learning_rate, 4) if steps else ""}
    row |= {"embedding": steps.embedding_learning_rate if steps else ""}
    row |= {"log_loss": round(row_losses(logit, label).mean(), 5), "auc": round(float(roc_auc(label, probability)), 4)}
    row |= {"calibration_ratio": round(probability.sum() / label.sum(), 3)}
    return row | {
        "seconds": round(result.seconds, 1) if result else "",
        "cut_short": bool(result and cut_short(result)),
    }


def row_losses(logit, label):
    """The log loss of each row."""
    return np.logaddexp(0, logit.astype(np.float64)) - label * logit


def solved(found, network):
    """Logits of scikit-learn's solution on the linear network's own columns."""
    outputs = [network.get_layer("embedding").input, network.get_layer("standardized_numbers").output]
    outputs += [layer.output for layer in network.layers if layer.name == NUMBER_PIECES]
    columns = keras.Model(network.input, outputs)
    width = network.get_layer("embedding").rows
    train, later = (design(columns, rows, width) for rows in (found.rows.train, found.later))
    used = np.asarray((train != 0).sum(0)).ravel() > 0
    tried = [
        LogisticRegression(C=penalty, max_iter=300).fit(train[:, used], found.rows.train.label) for penalty in PENALTIES
    ]
    logits = [model.decision_function(later[:, used]) for model in tried]
    return min(logits, key=lambda logit: row_losses(logit, found.later.label).mean())


def design(columns, rows, width):
    """Table rows as zeros and ones, the standardised numbers, and the columns of pieces: (n, width + …), sparse."""
    ids, numbers, *pieces = (np.asarray(found) for found in columns({"ids": rows.ids, "numeric": rows.numeric}))
    count, fields = ids.shape
    ones = sp.csr_matrix(
        (np.ones(count * fields), ids.ravel(), np.arange(0, count * fields + 1, fields)), (count, width)
    )
    dense = [numbers, *(own for part in pieces for own in part)]  # pieces: (numbers, batch, columns)
    return sp.hstack([ones, *map(sp.csr_matrix, dense)]).tocsr()


if __name__ == "__main__":
    main()
