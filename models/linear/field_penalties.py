"""The penalty of each field's weights, found from the training rows, without any kept out.

A penalty λ/2 · β'Sβ says that a field's weights vary with a variance of 1/λ. It is chosen by what the rows say of this
variance (empirical Bayes; MacKay 1992, section 4.4):

    λ ← D · γ / β'Sβ        γ = tr H (H + λS)⁻¹, the number of weights that the rows decide on, H the rows' curvature

D is the design effect (Kish 1965): how much larger the variance of the field's scores is by whole days than by rows. A
day has one weather and few campaigns, so that its rows say less of another day than as many independent ones would.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from scipy.special import expit

from ctr_retrain.models.linear.penalised_fit import SETTLED, minimise, squared

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from ctr_retrain.models.linear.penalised_fit import Floats, Solution, Sparse, WeighedRows

FIRST = 10.0  # λ to begin with
LEAST, MOST = 0.1, 3000.0  # times D
ROUNDS = 5  # after which λ hardly moves any more
ABOUT = 1e-5  # how well the weights are settled in all rounds but the last


@dataclass(frozen=True, eq=False)
class Group:
    """Columns whose weights are penalised alike."""

    name: str
    first: int
    structure: Floats | None  # S, (columns, columns); None: one for each weight
    size: int

    @property
    def columns(self) -> slice:
        """Return their places."""
        return slice(self.first, self.first + self.size)


def penalty_of(groups: Sequence[Group], strengths: Floats, columns: int) -> Sparse:
    """Return the penalty's matrix, (columns, columns), 0 for columns of no group."""
    blocks, at = [], 0
    for group, strength in zip(groups, strengths, strict=True):
        own = sparse.identity(group.size) if group.structure is None else sparse.csr_matrix(group.structure)
        blocks += [sparse.csr_matrix((group.first - at, group.first - at)), strength * own]
        at = group.first + group.size
    blocks.append(sparse.csr_matrix((columns - at, columns - at)))
    return sparse.block_diag(blocks, format="csr")


def solve_by_fields(
    rows: WeighedRows, groups: Sequence[Group], day: npt.NDArray[Any], start: Floats
) -> tuple[Solution, Floats]:
    """Return the solution and the strength λ of each group's penalty, (groups,). day: (n,), whole numbers from 0.

    Groups stand in the order of their columns.
    """
    strengths, weights = np.full(len(groups), FIRST), start
    for _ in range(ROUNDS):
        about = minimise(rows, penalty_of(groups, strengths, len(start)), weights, ABOUT)
        weights = about.weights
        strengths = _renewed(rows, groups, strengths, day, weights)
    return minimise(rows, penalty_of(groups, strengths, len(start)), weights, SETTLED), strengths


def _renewed(
    rows: WeighedRows, groups: Sequence[Group], strengths: Floats, day: npt.NDArray[Any], weights: Floats
) -> Floats:
    """Return each group's next strength, by the weights that the present ones give."""
    chance = expit(rows.columns @ weights + rows.offset)
    curvature = rows.weight * chance * (1 - chance)
    own = squared(rows.columns).T @ curvature
    by_day, by_row = _score_variances(rows, day, rows.weight * (rows.label - chance))
    found = np.empty(len(groups))
    for number, (group, strength) in enumerate(zip(groups, strengths, strict=True)):
        at, beta = group.columns, weights[group.columns]
        effect = max(1.0, by_day[at].sum() / max(by_row[at].sum(), 1e-300))
        if group.structure is None:
            decided, spread = float((own[at] / (own[at] + strength)).sum()), float(beta @ beta)
        else:
            part = rows.columns[:, at]
            known = (part.T @ part.multiply(curvature[:, None])).toarray()
            decided = float(np.trace(np.linalg.solve(known + strength * group.structure, known)))
            spread = float(beta @ group.structure @ beta)
        found[number] = effect * np.clip(decided / max(spread, 1e-300), LEAST, MOST)
    return found


def _score_variances(rows: WeighedRows, day: npt.NDArray[Any], residual: Floats) -> tuple[Floats, Floats]:
    """Return the variance of each weight's score by whole days, and by rows, (m,) each; alike for a single day."""
    by_row = squared(rows.columns).T @ residual**2
    days = len(np.unique(day))
    if days == 1:
        return by_row, by_row
    places = (residual, (day.astype(np.int64), np.arange(len(day))))
    sums = sparse.csr_matrix(places, shape=(int(day.max()) + 1, len(day))) @ rows.columns
    return np.asarray(squared(sums).sum(axis=0)).ravel() * days / (days - 1), by_row
