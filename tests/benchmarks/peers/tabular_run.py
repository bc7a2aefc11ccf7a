"""Logistic regression (scikit-learn) and LightGBM as a careful user trains them.

Arguments: the system, the set's folder, the seed, the file for the test rows' predictions. Settings are chosen on
training days alone: each of a few is trained on the rows before `tuned_from` and judged on the later training rows, and
the best is then fitted to all of them.

Logistic regression: one column a value, those under 5 rows together, missing ones on their own, numbers standardised.
LightGBM: categories of up to 60 values as such, larger ones as smoothed rate and log count, which a training row gets
from the other blocks alone (days; hours where the set trains on one).
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

RARE, NATIVE, PRIOR_ROWS = 5, 60, 20
PENALTIES = (0.01, 0.1, 1.0)
LEAVES, RATE, MOST_ROUNDS, PATIENCE = (7, 15, 31), 0.05, 1000, 30


def main(system, folder, seed, target):
    """Choose, fit again on all training rows, write the test rows' probabilities."""
    columns = json.loads((folder / "columns.json").read_text(encoding="utf-8"))
    rows = pd.read_parquet(folder / "rows.parquet")
    train, test = (rows[rows[columns["day"]].between(*columns[part])] for part in ("train", "test"))
    later = train["_time"] >= columns["tuned_from"]
    predict = {"logistic-regression": logistic_regression, "lightgbm": lightgbm}[system]
    np.save(target, predict(columns, train, later.to_numpy(), test, seed))


def logistic_regression(columns, train, later, test, seed):
    """The penalty of the least log loss on the later rows."""
    from sklearn.linear_model import LogisticRegression

    def fitted(penalty, rows, asked):
        x, wanted = one_hot(columns, rows, asked)
        model = LogisticRegression(C=penalty, max_iter=2000, random_state=seed)
        return model.fit(x, rows[columns["label"]]).predict_proba(wanted)[:, 1]

    losses = {c: loss_of(train[columns["label"]][later], fitted(c, train[~later], train[later])) for c in PENALTIES}
    return fitted(min(losses, key=losses.get), train, test)


def one_hot(columns, rows, asked):
    """Both parts as sparse columns that the first one decides on."""
    from scipy.sparse import csr_matrix, hstack

    parts = []
    for name in columns["numbers"]:
        numbers = [part[name].astype(float) for part in (rows, asked)]
        mean, spread = numbers[0].mean(), numbers[0].std() or 1.0
        filled = [((part - mean) / spread).fillna(0.0) for part in numbers]
        parts.append([csr_matrix(np.stack([f, n.isna()], axis=1)) for f, n in zip(filled, numbers, strict=True)])
    for name in (*columns["categories"], *columns["several"]):
        values = [values_of(part, name, columns["several"].get(name)) for part in (rows, asked)]
        counted = values[0].value_counts()
        place = {value: 1 + k for k, value in enumerate(counted.index[counted >= RARE])}
        parts.append([indicators(part, place, len(of)) for part, of in zip(values, (rows, asked), strict=True)])
    return [hstack(part, format="csr") for part in zip(*parts, strict=True)]


def values_of(part, name, delimiter=None):
    """A column's values as texts, by row number; several to a row where there is a delimiter."""
    texts = part[name].reset_index(drop=True).astype(object)
    texts = texts.where(texts.notna(), "missing").astype(str)
    return texts.str.split(delimiter).explode() if delimiter else texts


def indicators(values, place, count):
    """A row of zeros and ones for each row; column 0 is of rare and unseen values."""
    from scipy.sparse import csr_matrix

    found = values.map(place).fillna(0).astype(int)
    matrix = csr_matrix((np.ones(len(found)), (found.index, found)), shape=(count, len(place) + 1))
    matrix.data[:] = 1.0
    return matrix


def lightgbm(columns, train, later, test, seed):
    """The number of leaves and of rounds of the least log loss on the later rows."""
    import lightgbm as gbm

    common = {"objective": "binary", "learning_rate": RATE, "verbose": -1, "num_threads": 1, "seed": seed}
    common |= {"bagging_fraction": 0.8, "bagging_freq": 1, "feature_fraction": 0.8}
    label = train[columns["label"]]
    x, asked = tabular(columns, train[~later], train[later])
    found = []
    for leaves in LEAVES:
        part = gbm.Dataset(x, label[~later])
        stop = gbm.early_stopping(PATIENCE, verbose=False)
        chosen = gbm.train(
            common | {"num_leaves": leaves},
            part,
            MOST_ROUNDS,
            valid_sets=[gbm.Dataset(asked, label[later], reference=part)],
            callbacks=[stop],
        )
        found.append((chosen.best_score["valid_0"]["binary_logloss"], leaves, chosen.best_iteration))
    _, leaves, rounds = min(found)
    x, asked = tabular(columns, train, test)
    return gbm.train(common | {"num_leaves": leaves}, gbm.Dataset(x, label), rounds).predict(asked)


def tabular(columns, rows, asked):
    """Both parts as tables of categories and numbers."""
    block = rows["hr" if columns["train"][0] == columns["train"][1] else columns["day"]]
    label, made = rows[columns["label"]], [{}, {}]
    for name in columns["numbers"]:
        for table, part in zip(made, (rows, asked), strict=True):
            table[name] = part[name].astype(float).to_numpy()
    for name in (*columns["categories"], *columns["several"]):
        own, other = (values_of(part, name) for part in (rows, asked))
        levels = own.unique()
        if len(levels) <= NATIVE:
            for table, values in zip(made, (own, other), strict=True):
                table[name] = pd.Categorical(values.where(values.isin(levels)), categories=sorted(levels))
            continue
        rates = earlier_rates(own, label.reset_index(drop=True), block.reset_index(drop=True), other)
        for table, (rate, count) in zip(made, rates, strict=True):
            table[f"{name} rate"], table[f"{name} count"] = rate, count
    return [pd.DataFrame(table) for table in made]


def earlier_rates(own, label, block, other):
    """Smoothed rate and log count of each value: for training rows without their own block, for others with all."""
    table = pd.DataFrame({"value": own, "label": label, "block": block})
    total, mean = table.groupby("value").label.agg(["sum", "count"]), table.label.mean()
    inside = (
        table.groupby(["value", "block"]).label.transform("sum"),
        table.groupby(["value", "block"]).label.transform("size"),
    )
    rest = own.map(total["sum"]) - inside[0], own.map(total["count"]) - inside[1]
    seen = other.map(total["sum"]).fillna(0), other.map(total["count"]).fillna(0)
    return [((s + PRIOR_ROWS * mean) / (n + PRIOR_ROWS), np.log1p(n)) for s, n in (rest, seen)]


def loss_of(label, probability):
    """Mean log loss."""
    p = np.clip(probability, 1e-7, 1 - 1e-7)
    return -np.mean(np.where(label == 1, np.log(p), np.log1p(-p)))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
