"""The optimum of a linear network's penalised loss, set in the network after its training.

One pass of small steps leaves a linear network short of the optimum: weights of fields that say nearly the same stay
at a third of their solved size, and the order of rows decides on the rest. Where the window is small enough, the loss
that training lowers is minimised as a whole: with the same weights and offsets of rows, but over all rows at once.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from ctr_retrain.models.architectures.shipped_networks import NETWORKS
from ctr_retrain.models.documents.training_documents import LinearSolution
from ctr_retrain.models.features.table_layout import plain_numbers, slots
from ctr_retrain.models.linear.field_penalties import solve_by_fields
from ctr_retrain.models.linear.linear_columns import LinearColumns
from ctr_retrain.models.linear.penalised_fit import WeighedRows
from ctr_retrain.models.training.stacked_arrays import chunks
from ctr_retrain.models.weights.head_weights import streaming_chance

if TYPE_CHECKING:
    import keras

    from ctr_retrain.models.feature_kinds.feature import Feature
    from ctr_retrain.models.recipe.training_section import Training
    from ctr_retrain.models.training.batches import TrainingRows
    from ctr_retrain.models.weights.row_weights import Factors

LEAST_ROWS = 20_000  # of fewer, on few days, penalties found from them are a matter of chance
MOST_CELLS = 20_000_000  # of the matrix that aren't 0: a minute, and a gigabyte
CHUNK_ROWS = 20_000  # whose columns are read from the network at once


def can_be_solved(training: Training, rows: TrainingRows, features: tuple[Feature, ...]) -> bool:
    """Return True for a linear network of one label, final outcomes, cross-entropy and a moderate number of rows.

    Heads multiply weights with each other, the focal loss bends, and a second stage trains the last layer alone: none
    of them has the one optimum that is solved for.
    """
    shipped = NETWORKS.get(training.network)
    linear = shipped is not None and not shipped.latent_vectors
    plain = training.loss == "cross_entropy" and not training.heads and not training.two_stages
    moderate = len(rows) >= LEAST_ROWS and cells(rows, features) <= MOST_CELLS
    return linear and plain and moderate and solvable(rows)


def solvable(rows: TrainingRows) -> bool:
    """Return True for rows whose labels are final and not all alike."""
    return rows.maturity is None and 0 < int(np.count_nonzero(rows.label)) < len(rows)


def cells(rows: TrainingRows, features: tuple[Feature, ...]) -> int:
    """Return how many numbers other than 0 the matrix of the rows may have."""
    return len(rows) * (slots(features) + 4 * len(plain_numbers(features)) + 1)


def solve_network(
    network: keras.Model, rows: TrainingRows, factors: Factors, features: tuple[Feature, ...]
) -> LinearSolution:
    """Set the weights of the least penalised loss in the network. features: as fitted, those it was built for.

    Rows count as many as their weights are worth: Kish's effective sample size. Else heavy weights of few positives
    would pass for as many rows, and nothing would hold their weights back.
    """
    started = perf_counter()
    columns = LinearColumns(network, features)
    ids, numeric = (chunks(part, CHUNK_ROWS) for part in (rows.ids, rows.numeric))
    matrix = sparse.vstack([columns.matrix(*part) for part in zip(ids, numeric, strict=True)], format="csr")
    # Sampling draws rows anew in each epoch: here each counts as often as it is drawn in the mean.
    weight = factors.weight(rows.day_index, rows.label, rows.confidence).astype(np.float64)
    weight *= streaming_chance(factors, rows.day_index, rows.label)
    weight *= weight.sum() / (weight @ weight)
    offset = factors.offset(rows.day_index, rows.confidence).astype(np.float64)
    weighed = WeighedRows(matrix, rows.label.astype(np.float64), weight, offset)
    groups = columns.groups()
    solution, strengths = solve_by_fields(weighed, groups, rows.day_index, columns.weights())
    columns.assign(solution.weights)
    named = zip([group.name for group in groups], strengths.tolist(), strict=True)
    seconds = perf_counter() - started
    return LinearSolution(steps=solution.steps, settled=solution.settled, seconds=seconds, penalties=dict(named))
