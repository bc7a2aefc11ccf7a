"""A solved linear model beside a network: what is served is the weighted mean of both models' logits.

In one pass over a small log, a network of latent vectors learns less of what single values say than a model that is
solved for it, and more of what values say together. Their errors differ, so that the mean is about as good as the
better of the two or better; and the linear part of it is the same for every seed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
import numpy as np
from scipy import sparse

from ctr_retrain.models.architectures.shipped_networks import LINEAR, NETWORKS
from ctr_retrain.models.linear.penalised_fit import WeighedRows, minimise
from ctr_retrain.models.linear.solved_network import cells, solvable, solve_network
from ctr_retrain.models.network.build_network import build_network

if TYPE_CHECKING:
    import numpy.typing as npt

    from ctr_retrain.models.documents.training_documents import LinearSolution
    from ctr_retrain.models.features.standardize import NumericState
    from ctr_retrain.models.recipe.recipe import Recipe
    from ctr_retrain.models.training.batches import TrainingRows
    from ctr_retrain.models.weights.row_weights import Factors

MOST_CELLS = 3_000_000  # of its matrix that aren't 0: of more rows a network learns what a linear model knows
FIRST_SHARE, SHARE_SD = 0.5, 0.25  # of the share, before the calibration slice has said anything
LEAST_SHARE, MOST_SHARE = 0.05, 0.9  # less isn't worth a second model


def has_companion(recipe: Recipe, rows: TrainingRows) -> bool:
    """Return True for a shipped network of latent vectors, one label, and rows that a linear model can be solved for.

    Warm starts and fresh passes go on with the weights of a network, and so a recipe that has them has no companion.
    """
    training = recipe.training
    shipped = NETWORKS.get(training.network)
    latent = shipped is not None and shipped.latent_vectors
    goes_on = recipe.warm_start.enabled or training.ship == "fresh"
    asked = training.linear_share != 0 and not training.heads
    return latent and asked and not goes_on and solvable(rows) and cells(rows, recipe.features) <= MOST_CELLS


def solve_companion(
    recipe: Recipe, state: NumericState, base_log_odds: float, rows: TrainingRows, factors: Factors
) -> tuple[keras.Model, LinearSolution]:
    """Return a linear network of the recipe's features, which know their values, with the weights of the least loss."""
    keys = {"network": LINEAR, "ensemble": 1, "precision": "float32", "loss": "cross_entropy"}
    own = recipe.model_copy(update={"training": recipe.training.model_copy(update=keys)})
    linear = build_network(own, state, base_log_odds, recipe.training.seed)
    return linear, solve_network(linear, rows, factors, recipe.features)


def choose_share(
    logit: npt.NDArray[np.float32], linear_logit: npt.NDArray[np.float32], label: npt.NDArray[np.uint8]
) -> float:
    """Return the linear model's weight in the mean by rows that neither was trained on, (n,) each.

    It is the most likely one beside an intercept of its own, with a normal prior of FIRST_SHARE ± SHARE_SD; 0 where
    less than LEAST_SHARE is left.
    """
    if not 0 < np.count_nonzero(label) < len(label):
        return FIRST_SHARE
    network, apart = logit.astype(np.float64), linear_logit.astype(np.float64) - logit
    columns = sparse.csr_matrix(np.stack([apart, np.ones_like(apart)], axis=1))
    rows = WeighedRows(columns, label.astype(np.float64), np.ones(len(label)), network + FIRST_SHARE * apart)
    solution = minimise(rows, sparse.diags([1 / SHARE_SD**2, 0.0], format="csr"), np.zeros(2))
    share = float(np.clip(FIRST_SHARE + solution.weights[0], 0, MOST_SHARE))
    return share if share >= LEAST_SHARE else 0.0


def mean_of(network: keras.Model, linear: keras.Model, share: float) -> keras.Model:
    """Return both models, {ids, numeric} → logits (n, 1), as one; share: the linear one's weight."""
    inputs = {name: keras.Input(own.shape[1:], dtype=own.dtype, name=name) for name, own in network.input.items()}
    logit = (1 - share) * network(inputs) + share * linear(inputs)
    return keras.Model(inputs, logit, name=network.name)
