"""Logistic regression with a quadratic penalty, to convergence: Newton's method, its steps by conjugate gradients.

With β the weights, zᵢ = xᵢ·β + offsetᵢ and P the penalty's matrix, the minimum of

    Σᵢ wᵢ (ln(1 + e^zᵢ) − yᵢ zᵢ) + ½ β'Pβ

It is that of scikit-learn's `LogisticRegression`, which knows no offsets, where P is 1/C for each weight and 0 for the
intercept. Truncated Newton's method as Lin, Weng and Keerthi (2008) have it, with a line search and a preconditioner.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.special import expit

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Sparse = Any  # scipy's compressed rows

MOST_STEPS = 50  # of Newton's method, which takes about ten
MOST_PRODUCTS = 300  # with the curvature, for one step
SETTLED = 1e-8  # a step that promises to lower the mean loss by no more is the last; it errs by far less then
BLOCK_COLUMNS = 1000  # that the preconditioner knows the correlations of
BLOCK_ROWS = 50_000  # that it is computed from
LEAST_STEP = 1e-6
FARTHEST = 10.0  # a step moves no row's log-odds by more: where all chances are 0 or 1, the curvature knows nothing
LEAST_CURVATURE = 1e-6  # of a row


@dataclass(frozen=True, eq=False)
class WeighedRows:
    """Rows of a linear model."""

    columns: Sparse  # (n, m)
    label: Floats  # (n,), 0 or 1
    weight: Floats  # (n,)
    offset: Floats  # (n,), added to each row's log-odds


@dataclass(frozen=True, eq=False)
class Solution:
    """The weights at the minimum."""

    weights: Floats  # (m,)
    steps: int  # of Newton's method
    settled: bool  # False: the loss was still falling after the most steps


def minimise(rows: WeighedRows, penalty: Sparse, start: Floats, settled: float = SETTLED) -> Solution:
    """Return the weights of the least penalised loss.

    penalty: P, (m, m). start: where to begin, (m,). settled: the fall of the loss, a unit of the rows' weight, below
    which a step is the last.
    """
    weights, total = start, float(rows.weight.sum())
    gap, steps = np.inf, 0
    while gap > settled and steps < MOST_STEPS:
        chance = expit(rows.columns @ weights + rows.offset)
        gradient = rows.columns.T @ (rows.weight * (chance - rows.label)) + penalty @ weights
        curvature = rows.weight * np.maximum(chance * (1 - chance), LEAST_CURVATURE)
        direction = _newton_direction(rows.columns, curvature, penalty, gradient, 1e-1 if gap > 1e-3 else 1e-3)
        slope = float(gradient @ direction)
        gap = -slope / 2 / total
        weights = weights + _step_length(rows, penalty, weights, direction, slope) * direction
        steps += 1
    return Solution(weights, steps, gap <= settled)


def squared(columns: Sparse) -> Sparse:
    """Return the columns with the squares of their values."""
    return columns.multiply(columns).tocsr()


def _step_length(rows: WeighedRows, penalty: Sparse, weights: Floats, direction: Floats, slope: float) -> float:
    """Return how much of a step to take: all of it, or by halves until the loss falls by a part of what it promised."""
    z, moved = rows.columns @ weights + rows.offset, rows.columns @ direction
    pull, bend = float(direction @ (penalty @ weights)), float(direction @ (penalty @ direction))

    def loss(length: float) -> float:
        at = z + length * moved
        data = rows.weight @ (np.logaddexp(0.0, at) - rows.label * at)
        return float(data + length * pull + length**2 / 2 * bend)

    length, before = min(1.0, FARTHEST / max(float(np.abs(moved).max()), 1e-9)), loss(0.0)
    while length > LEAST_STEP and loss(length) > before + 1e-4 * length * slope:
        length /= 2
    return length


def _newton_direction(columns: Sparse, curvature: Floats, penalty: Sparse, gradient: Floats, rest: float) -> Floats:
    """Solve (X'HX + P) d = −gradient by conjugate gradients until this share of the residual is left."""
    precondition = _preconditioner(columns, curvature, penalty)
    direction, residual = np.zeros_like(gradient), -gradient
    conditioned = precondition(residual)
    search, size = conditioned, float(residual @ conditioned)
    wanted = rest**2 * size
    for _ in range(MOST_PRODUCTS):
        if size <= wanted:
            break
        product = columns.T @ (curvature * (columns @ search)) + penalty @ search
        length = size / float(search @ product)
        direction, residual = direction + length * search, residual - length * product
        conditioned = precondition(residual)
        before, size = size, float(residual @ conditioned)
        search = conditioned + size / before * search
    return direction


def _preconditioner(columns: Sparse, curvature: Floats, penalty: Sparse) -> Callable[[Floats], Floats]:
    """Return an approximate inverse of X'HX + P: exact for the columns that matter most, by the diagonal for others.

    Fields that say nearly the same have columns that do, and their weights would settle last by the diagonal alone.
    """
    own = squared(columns).T @ curvature + penalty.diagonal()
    diagonal = np.where(own > 0, own, 1.0)  # a column that is never there, without a penalty, stays where it is
    most = np.argsort(-diagonal, kind="stable")[:BLOCK_COLUMNS]
    every = -(-columns.shape[0] // BLOCK_ROWS)
    part = columns[::every][:, most]
    block = (part.T @ part.multiply(every * curvature[::every, None])).toarray() + penalty[most][:, most].toarray()
    # Of fewer rows the block's own diagonal is by chance, and may be 0: none of it is smaller than the whole's.
    places = np.arange(len(most))
    block[places, places] = np.maximum(block[places, places], diagonal[most]) * (1 + 1e-9)
    factor = cho_factor(block)

    def apply(residual: Floats) -> Floats:
        found = residual / diagonal
        found[most] = cho_solve(factor, residual[most])
        return found

    return apply
