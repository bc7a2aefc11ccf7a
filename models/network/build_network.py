"""The Keras model around a network's function, the recipe's own or one that is shipped.

All fields share one fused table of embedding_dim + 1 columns: the latent vector of a value, and last its linear weight.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from ctr_retrain.models.architectures.network_parts import NetworkParts
from ctr_retrain.models.architectures.shipped_networks import NETWORKS
from ctr_retrain.models.errors import UsageError
from ctr_retrain.models.features.network_inputs import network_inputs
from ctr_retrain.models.network.custom_network import find_network
from ctr_retrain.models.network.focal_link import FocalLink, inverse_focal_link
from ctr_retrain.models.network.members import columns_of_members, equal_names, mean_of_members, member_name
from ctr_retrain.models.network.shared_heads import with_head_logits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctr_retrain.models.features.standardize import NumericState
    from ctr_retrain.models.recipe.recipe import Recipe
    from ctr_retrain.models.recipe.training_section import Training


BASE_LOG_ODDS = "base_log_odds"  # name of the layer that adds them to the logit of a network of the recipe's own
CHECKED_ROWS = 4  # rows of zeros that an untrained network has to answer


def build_network(
    recipe: Recipe,
    numeric_state: NumericState,
    base_log_odds: float,
    seed: int,
    head_log_odds: Sequence[float] | None = None,
) -> keras.Model:
    """Build the untrained network: {ids (n, slots) int32, numeric (n, numbers) float32 raw} → logits (n, 1 + heads).

    Its output biases start at the base log-odds; those of the heads at 0 where they aren't given. For the focal loss it
    ends in that loss's link, so that its answer is the logit of a probability under either loss. Of an ensemble, it
    answers the mean of the members' logits.
    """
    training = recipe.training
    log_odds = (base_log_odds, *(head_log_odds or [0.0] * len(training.heads)))
    if training.loss == "focal":
        base_log_odds = float(inverse_focal_link(np.float32(base_log_odds), training.focal_gamma))
    shipped, seeds = NETWORKS.get(training.network), count(seed * 1000)
    width, members = embedding_width(training), max(1, training.ensemble)
    inputs, embedded, in_pieces, standardized = network_inputs(
        recipe.features, numeric_state, members * width, next(seeds)
    )
    logits = []
    for member, (own, pieces) in enumerate(columns_of_members(embedded, in_pieces, members)):
        # Biases start at the base log-odds, so that heavy weights needn't move them there in the first steps.
        parts = NetworkParts(
            training.hidden_units, training.cross_layers, training.precision, seeds, base_log_odds, pieces
        )
        if shipped:
            logit = _linked(shipped.logit(own, standardized, parts), training, member)
        else:
            whole = own
            if pieces is not None:
                whole = keras.ops.concatenate([own, keras.ops.transpose(pieces, (1, 0, 2))], axis=1)
            logit = _linked(_own_logit(whole, standardized, training, base_log_odds, member), training, member)
            _check_untrained(keras.Model(inputs, logit, name="own_network"), training.network)
        if training.heads:
            shared = [parts.flatten(own, standardized)]
            logit = with_head_logits(logit, inputs, shared, training.heads, log_odds, next(seeds), member)
        logits.append(logit)
    if names := equal_names(inputs, logits):
        msg = (
            f"network {training.network!r}: expected layers that Keras names, since training.ensemble makes the "
            f"network {members} times, received several named {', '.join(names)}. Leave out their names."
        )
        raise UsageError(msg)
    return keras.Model(inputs, mean_of_members(logits), name=training.network if shipped else "own_network")


def embedding_width(training: Training) -> int:
    """Return the numbers that stand for one value in one network: its latent vector's, and its linear weight."""
    shipped = NETWORKS.get(training.network)
    return 1 if shipped and not shipped.latent_vectors else training.embedding_dim + 1


def _linked(logit: Any, training: Training, member: int) -> Any:
    """Return the log-odds of a positive, of what the loss drives to its minimum."""
    name = member_name("focal_link", member)
    return FocalLink(training.focal_gamma, name=name)(logit) if training.loss == "focal" else logit


def _own_logit(embedded: Any, numeric: Any, training: Training, base_log_odds: float, member: int) -> Any:
    """Return the function's logit plus the base log-odds, (batch, 1); raises UsageError where it isn't a logit a row.

    The base log-odds are added, so that the function needn't know them: its own output may start near 0.
    """
    name = training.network
    function = find_network(training)
    expected = "expected one logit a row, a Keras tensor of shape (None, 1)"
    try:
        logit = function(embedded, numeric, training)
    except Exception as error:
        inputs = f"embedded {tuple(embedded.shape)} and numeric {tuple(numeric.shape)}"
        msg = f"network {name!r}: {expected}, of {inputs}, received {type(error).__name__}: {error}"
        raise UsageError(msg) from error
    received = tuple(logit.shape) if isinstance(logit, keras.KerasTensor) else f"a {type(logit).__name__}"
    if received != (None, 1):
        msg = f"network {name!r}: {expected}, received {received}. End it in keras.layers.Dense(1)."
        raise UsageError(msg)
    return keras.layers.Rescaling(1.0, offset=base_log_odds, name=member_name(BASE_LOG_ODDS, member))(logit)


def _check_untrained(network: keras.Model, name: str) -> None:
    """Raise UsageError where the untrained network has no finite answer to rows of zeros."""
    rows = {key: np.zeros((CHECKED_ROWS, *tensor.shape[1:]), tensor.dtype) for key, tensor in network.input.items()}
    logit = np.asarray(keras.ops.convert_to_numpy(network(rows, training=False)))
    if not np.isfinite(logit).all():
        msg = (
            f"network {name!r}: expected finite logits before training, received {logit[:, 0].tolist()} for rows of "
            "zeros. Look for a division by zero, a logarithm of zero, or initial weights that are too large."
        )
        raise UsageError(msg)
