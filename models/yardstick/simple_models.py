"""The simple models: logistic regression and gradient boosting of scikit-learn, with settings that suit any window.

They are what ten lines of scikit-learn give, and no more: a network that isn't better than they are isn't worth its
nights. Both learn the level that the training rows have: sampled negatives are weighed back.
"""

from __future__ import annotations

import contextlib
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ctr_retrain.models.errors import DataRejectedError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from ctr_retrain.models.documents.comparison_documents import SimplerName

    Ints = npt.NDArray[np.integer]
    Numbers = npt.NDArray[np.float32]
    Predict = Callable[[Numbers], npt.NDArray[np.float64]]

FAR = 5.0  # standard deviations at which the linear model's inputs end, so that a price of a million is one of many
MOST_ROUNDS = 100


@dataclass(frozen=True, eq=False)
class SimpleRows:
    """Rows for simple models to train on."""

    columns: Numbers  # (rows, columns), NaN where missing
    label: Ints  # (rows,), 0 or 1
    weight: Numbers  # (rows,), how many rows of the window each stands for


def kept_shares(positives: int, negatives: int, most: int) -> tuple[float, float]:
    """Return the shares of positives and of negatives that leave about `most` rows, all positives if half is enough."""
    fewest = most - min(negatives, most / 2)  # left for positives, whose place negatives don't need
    share = min(1.0, fewest / max(1, positives))
    return share, min(1.0, (most - share * positives) / max(1, negatives))


def sample(label: Ints, shares: tuple[float, float], chance: np.random.Generator) -> tuple[Ints, Numbers]:
    """Draw rows by their label's share; return their numbers, rising, and how many rows each stands for."""
    share = np.where(label == 1, *shares)
    rows = np.flatnonzero(chance.random(len(label)) < share)
    return rows, (1 / share[rows]).astype(np.float32)


def fit_linear(rows: SimpleRows, seed: int) -> Predict:
    """Fit a logistic regression on standardised columns; a missing number is the mean, and a column says so."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - a second to import

    mean, spread = _moments(rows)
    gaps = np.flatnonzero(np.isnan(rows.columns).any(axis=0))

    def scaled(columns: Numbers) -> Numbers:
        standard = np.clip(np.nan_to_num((columns - mean) / spread), -FAR, FAR)
        return np.concatenate([standard, np.isnan(columns[:, gaps])], axis=1, dtype=np.float32)

    model = LogisticRegression(max_iter=200, random_state=seed)
    _fit(model, scaled(rows.columns), rows)
    return lambda columns: _probabilities(model, scaled(columns))


def fit_trees(rows: SimpleRows, seed: int) -> Predict:
    """Fit boosted trees, which stop where a tenth of the rows, kept out, no longer gains."""
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415

    filled = np.flatnonzero(np.isfinite(rows.columns).any(axis=0))  # it can't bin a column without any value
    model = HistGradientBoostingClassifier(
        max_iter=MOST_ROUNDS,
        max_leaf_nodes=8,
        max_bins=63,
        min_samples_leaf=50,
        l2_regularization=1.0,
        early_stopping=True,
        n_iter_no_change=5,
        random_state=seed,
    )
    _fit(model, rows.columns[:, filled], rows)
    return lambda columns: _probabilities(model, columns[:, filled])


FITS: dict[SimplerName, Callable[[SimpleRows, int], Predict]] = {  # the simplest first
    "logistic_regression": fit_linear,
    "gradient_boosting": fit_trees,
}


def _fit(model: Any, columns: Numbers, rows: SimpleRows) -> None:
    """Fit the model; raise DataRejectedError where the rows have one label only."""
    if len(np.unique(rows.label)) < 2:
        received = f"received one in {len(rows.label):,} rows"
        msg = f"rows of simple models: expected both labels, {received}. Widen the window."
        raise DataRejectedError(msg)
    with warnings.catch_warnings(), _one_core():
        warnings.simplefilter("ignore")  # one that isn't settled to the last digit is a yardstick all the same
        model.fit(columns, rows.label, sample_weight=rows.weight)


def _probabilities(model: Any, columns: Numbers) -> npt.NDArray[np.float64]:
    """Return the probability of a positive of each row."""
    with _one_core():
        return np.asarray(model.predict_proba(columns)[:, 1])


def _one_core() -> contextlib.AbstractContextManager[Any]:
    """Keep trees to one core while this lasts: on two that others use too, they take three times as long."""
    from threadpoolctl import threadpool_limits  # noqa: PLC0415

    limits: contextlib.AbstractContextManager[Any] = threadpool_limits(1, "openmp")
    return limits


def _moments(rows: SimpleRows) -> tuple[Numbers, Numbers]:
    """Return each column's mean and standard deviation where it isn't missing; 0 and 1 where it always is."""
    there = np.isfinite(rows.columns)
    count = np.maximum(1, there.sum(axis=0))
    mean = np.where(there, rows.columns, 0).sum(axis=0, dtype=np.float64) / count
    variance = (np.where(there, rows.columns - mean, 0) ** 2).sum(axis=0, dtype=np.float64) / count
    return mean.astype(np.float32), np.sqrt(np.where(variance > 0, variance, 1)).astype(np.float32)
