"""What ids with few training rows cost: predictions with them beside predictions with them given as unknown.

    REAL_DATA=folder python -m tests.benchmarks.few_rows [--sets trivago …] [--networks deepfm …] [--json FILE]

Each window is trained with the product's encoder, slices and fit. Rows of later days whose user, item or other id has 1
to 9 training rows are predicted twice: as they are, and with those ids as values that training never saw. Differences
are paired; their errors are over the values of the id.
"""

from __future__ import annotations

import argparse
import os
import sys
from math import sqrt
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

import ctr_retrain.flows.quiet_libraries  # noqa: F401 - before TensorFlow, which reads the environment when imported
from ctr_retrain.models.feature_kinds.fingerprints import FIRST_KNOWN_ROW, SHARED_ROW, TextFeature
from ctr_retrain.models.features.table_layout import encoded_fields
from ctr_retrain.models.recipe.recipe import load_recipe
from ctr_retrain.models.training.device import prepare_device
from ctr_retrain.tasks.train.calibrate_network import logits_of
from ctr_retrain.tasks.train.fit_network import fit_network
from tests.benchmarks.real_sets import DAY, LABEL, SETS, prepared, recipe_of
from tests.benchmarks.step_sets import UNWEIGHTED, WORLDS, load_set, sliced
from tests.benchmarks.table import print_table, write_rows

REAL = ("ebnerd", "movielens100k", "trivago")
# Steps and rates by the window, in the world's recipe too.
UNSET = {"batch_rows": 0, "learning_rate": 0, "embedding_learning_rate": 0, "embedding_initial_accumulator": 0.1}
FEW_ROWS = 10  # fewer are few
LEAST_ROWS = 50  # of later days, to say anything of a field


def main() -> None:
    """Train each network on each set, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--sets", nargs="*", default=[*REAL, *WORLDS])
    parser.add_argument("--networks", nargs="*", default=["logistic_regression", "deepfm"])
    parser.add_argument("--seeds", nargs="*", type=int, default=[7, 8])
    parser.add_argument("--unweighted", action="store_true", help="without the recipes' recency and class weights")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    prepare_device("cpu")
    rows = []
    for name in arguments.sets:
        weighted = not arguments.unweighted
        found = load_set(name, weighted=weighted) if name in WORLDS else real_set(name, weighted=weighted)
        if isinstance(found, str):
            sys.stderr.write(f"{name}: {found}\n")
            continue
        for network in arguments.networks:
            for seed in arguments.seeds:
                rows += measured(name, found, network, seed)
                if arguments.json:
                    write_rows(arguments.json, rows)
    print_table("Ids with few training rows", rows)


def real_set(name, *, weighted):
    """A real log by the recipe that is shipped as its example, or why it is not there."""
    folder = os.environ.get("REAL_DATA")
    found = prepared(name, Path(folder) if folder else None)
    if isinstance(found, str):
        return found
    recipe, one, frame = load_recipe(recipe_of(SETS[name].recipe)), SETS[name], found.rows()
    frame = frame[frame[DAY].between(str(one.train[0]), str(one.test[1]))]
    mapped = {ours: frame[theirs] for ours, theirs in recipe.landing.columns if theirs in frame}
    frame = frame.assign(**mapped).assign(ts=pd.to_datetime(frame["_time"]))
    day = (pd.to_datetime(frame[DAY]) - pd.Timestamp(one.train[0])).dt.days.to_numpy()
    label = frame[LABEL].to_numpy().astype(np.uint8)
    days = (one.train[1] - one.train[0]).days + 1
    table = pa.Table.from_pandas(frame, preserve_index=False)
    weights = recipe.row_weights if weighted else UNWEIGHTED
    return sliced(recipe, table, label, day, np.arange(len(label)), days, weights=weights)


def measured(name, found, network, seed):
    """A row for each field of ids of one network on one set, and one for all of them together."""
    keys = {**UNSET, "network": network, "seed": seed}
    training = found.recipe.training.model_copy(update=keys)
    recipe = found.recipe.model_copy(update={"training": training})
    fitted = fit_network(found.rows, recipe, found.factors, lambda _done, _total: None)
    ids, label = found.later.ids, found.later.label
    with_all = losses(logits_of(fitted.network, ids, found.later.numeric), label)
    table = []
    for field, (rare, shared) in rare_ids(found).items():
        chosen = rare.any(axis=1)
        unknown = np.where(rare, shared, ids)[chosen]
        apart = with_all[chosen] - losses(
            logits_of(fitted.network, unknown, found.later.numeric[chosen]), label[chosen]
        )
        values = np.where(rare, ids, 0)[chosen].max(axis=1)
        row = {"set": name, "network": network, "seed": seed, "field": field, "rows": int(chosen.sum())}
        row |= {"positives": int(label[chosen].sum()), "log_loss": round(float(with_all[chosen].mean()), 5)}
        row |= {
            "minus_unknown": round(float(apart.mean()), 5),
            "standard_error": round(error_of_mean(apart, values), 5),
        }
        table.append(row | {"log_loss_of_all_rows": round(float(with_all.mean()), 5)})
        sys.stderr.write(f"{table[-1]}\n")
    return table


def rare_ids(found):
    """By field, and for all of them: which ids of the later rows have few training rows, and what unknown ones have."""
    count = np.bincount(found.rows.train.ids.ravel(), minlength=1 + int(found.later.ids.max()))
    few = (count[found.later.ids] > 0) & (count[found.later.ids] < FEW_ROWS)
    shared, fields = np.zeros_like(found.later.ids), {}
    for feature, field, columns in encoded_fields(found.rows.features):
        own = np.zeros_like(few)
        if isinstance(feature, TextFeature):
            known = found.later.ids[:, columns] >= field.values_offset + FIRST_KNOWN_ROW
            own[:, columns] = few[:, columns] & known
            shared[:, columns] = field.values_offset + SHARED_ROW
        fields[feature.name] = own
    fields["all"] = np.any(list(fields.values()), axis=0)
    return {name: (own, shared) for name, own in fields.items() if own.any(axis=1).sum() >= LEAST_ROWS}


def losses(logit, label):
    """The log loss of each row."""
    return np.logaddexp(0, logit.astype(np.float64)) - label * logit


def error_of_mean(apart, groups):
    """Standard error of a mean of rows that resemble each other within groups."""
    _, index = np.unique(groups, return_inverse=True)
    sums = np.bincount(index, apart - apart.mean())
    return sqrt((sums**2).sum() * len(sums) / max(1, len(sums) - 1)) / len(apart)


if __name__ == "__main__":
    main()
