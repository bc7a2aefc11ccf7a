"""The networks: functions from embedded ids and standardised numbers to a logit, and the Keras model around them.

All fields share one fused table of embedding_dim + 1 columns: the latent vector of a value, and last its linear weight.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from ctr_retrain.models.errors import UsageError
from ctr_retrain.models.features.network_inputs import network_inputs
from ctr_retrain.models.network.custom_network import find_network, is_own
from ctr_retrain.models.network.focal_link import FocalLink, inverse_focal_link
from ctr_retrain.models.network.shared_heads import with_head_logits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ctr_retrain.models.features.standardize import NumericState
    from ctr_retrain.models.recipe.recipe import Recipe
    from ctr_retrain.models.recipe.training_section import Training

    # (embedded ids (batch, fields, dim + 1), numbers (batch, 2 · numbers), recipe, seeds, bias) → logit (batch, 1)
    Network = Callable[[Any, Any, Training, Iterator[int], float], Any]


BASE_LOG_ODDS = "base_log_odds"  # name of the layer that adds them to the logit of a network of the recipe's own
CHECKED_ROWS = 4  # through an untrained network
# bfloat16 has float32's range, so that gradients need no loss scaling, which float16 does; variables stay float32.
HIDDEN_POLICIES = {"float32": "float32", "mixed": "mixed_bfloat16"}


@keras.saving.register_keras_serializable("ctr_retrain")
class CrossLayer(keras.layers.Layer):  # type: ignore[misc]
    """x₀ ⊙ (W xₗ + b) + xₗ of [x₀, xₗ], each (batch, width): DCN-V2's cross layer (Wang et al. 2021, equation 1)."""

    def __init__(self, seed: int, **options: Any) -> None:
        """Take the seed of the initial W."""
        super().__init__(**options)
        self.seed = seed

    def build(self, shapes: list[tuple[int, ...]]) -> None:
        """W: (width, width), b: (width,)."""
        width = shapes[0][-1]
        self.kernel = self.add_weight(
            shape=(width, width), initializer=keras.initializers.GlorotUniform(self.seed), name="kernel"
        )
        self.bias = self.add_weight(shape=(width,), initializer="zeros", name="bias")

    def call(self, inputs: list[Any]) -> Any:
        """The crossed features."""
        first, current = inputs
        return first * (ops.matmul(current, self.kernel) + self.bias) + current

    def get_config(self) -> dict[str, Any]:
        """All that the constructor takes."""
        return {**super().get_config(), "seed": self.seed}


def logistic_regression(embedded: Any, numeric: Any, _training: Training, seeds: Iterator[int], bias: float) -> Any:
    """A weight a value, a weight a number, and the bias."""
    return linear_terms(embedded) + _dense(1, seeds, bias)(numeric)


def deepfm(embedded: Any, numeric: Any, training: Training, seeds: Iterator[int], bias: float) -> Any:
    """Linear terms, pairwise products and a perceptron over the same embeddings (Guo et al. 2017, equation 1)."""
    deep = _perceptron(_flattened(embedded, numeric), training, seeds)
    output = _dense(1, seeds, bias)(ops.concatenate([deep, numeric], axis=1))
    return linear_terms(embedded) + pairwise_products(embedded) + output


def dcn_v2(embedded: Any, numeric: Any, training: Training, seeds: Iterator[int], bias: float) -> Any:
    """Cross layers beside a perceptron (Wang et al. 2021, the parallel structure), and the linear terms."""
    flat = _flattened(embedded, numeric)
    crossed = flat
    for _ in range(training.cross_layers):
        crossed = CrossLayer(next(seeds))([flat, crossed])
    deep = _perceptron(flat, training, seeds)
    return linear_terms(embedded) + _dense(1, seeds, bias)(ops.concatenate([crossed, deep], axis=1))


NETWORKS: dict[str, Network] = {
    "logistic_regression": logistic_regression,
    "deepfm": deepfm,
    "dcn_v2": dcn_v2,
}


def linear_terms(embedded: Any) -> Any:
    """Sum over the fields of the last column: (batch, fields, dim + 1) → (batch, 1)."""
    return ops.sum(embedded, axis=1)[:, -1:]


def pairwise_products(embedded: Any) -> Any:
    """Σ over pairs of fields of ⟨vᵢ, vⱼ⟩ = ½ Σ_d ((Σᵢ v_id)² − Σᵢ v_id²) (Rendle 2010, lemma 3.1): → (batch, 1).

    The last column, which holds the linear weights, takes no part.
    """
    pairs = ops.square(ops.sum(embedded, axis=1)) - ops.sum(ops.square(embedded), axis=1)  # (batch, dim + 1)
    return 0.5 * ops.sum(pairs[:, :-1], axis=1, keepdims=True)


def build_network(
    recipe: Recipe,
    numeric_state: NumericState,
    base_log_odds: float,
    seed: int,
    head_log_odds: Sequence[float] | None = None,
) -> keras.Model:
    """The untrained network: {ids (n, slots) int32, numeric (n, numbers) float32 raw} → logits (n, 1 + heads).

    Its output biases start at the base log-odds, so that heavy weights needn't move them there; those of the heads at 0
    where they aren't given. For the focal loss it ends in that loss's link, so that its answer is the logit of a
    probability under either loss.
    """
    training = recipe.training
    log_odds = (base_log_odds, *(head_log_odds or [0.0] * len(training.heads)))
    if training.loss == "focal":
        base_log_odds = float(inverse_focal_link(np.float32(base_log_odds), training.focal_gamma))
    width = 1 if training.network == "logistic_regression" else training.embedding_dim + 1
    seeds = count(seed * 1000)
    inputs, embedded, standardized = network_inputs(recipe.features, numeric_state, width, next(seeds))
    if is_own(training.network):
        logit = _linked(_own_logit(embedded, standardized, training, base_log_odds), training)
        _check_untrained(keras.Model(inputs, logit, name="own_network"), training.network)
    else:
        logit = _linked(NETWORKS[training.network](embedded, standardized, training, seeds, base_log_odds), training)
    if training.heads:
        shared = [_flattened(embedded, standardized)]
        logit = with_head_logits(logit, inputs, shared, training.heads, log_odds, next(seeds))
    name = "own_network" if is_own(training.network) else training.network
    return keras.Model(inputs, logit, name=name)


def _linked(logit: Any, training: Training) -> Any:
    """What the loss drives to its minimum, as the log-odds of a positive."""
    return FocalLink(training.focal_gamma, name="focal_link")(logit) if training.loss == "focal" else logit


def _own_logit(embedded: Any, numeric: Any, training: Training, base_log_odds: float) -> Any:
    """The function's logit plus the base log-odds, (batch, 1); raises UsageError for anything but one logit a row.

    The base log-odds are added, so that the function needn't know them: its own output may start near 0.
    """
    name = training.network
    function = find_network(name)
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
    return keras.layers.Rescaling(1.0, offset=base_log_odds, name=BASE_LOG_ODDS)(logit)


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


def _flattened(embedded: Any, numeric: Any) -> Any:
    """(batch, fields · (dim + 1) + numbers). The linear column goes in too: cutting it off would copy all the rest."""
    width = embedded.shape[1] * embedded.shape[2]
    if not width:
        return numeric  # a recipe without ids; nothing can't be reshaped to rows of width 0
    return ops.concatenate([ops.reshape(embedded, (-1, width)), numeric], axis=1)


def _perceptron(inputs: Any, training: Training, seeds: Iterator[int]) -> Any:
    """The hidden layers, → (batch, units) float32; they alone compute in what `precision` says."""
    policy = HIDDEN_POLICIES[training.precision]
    for units in training.hidden_units:
        inputs = _dense(units, seeds, activation="relu", dtype=policy)(inputs)
    return ops.cast(inputs, "float32")


def _dense(
    units: int, seeds: Iterator[int], bias: float = 0.0, activation: str | None = None, dtype: str = "float32"
) -> Any:
    return keras.layers.Dense(
        units,
        dtype=dtype,
        activation=activation,
        kernel_initializer=keras.initializers.GlorotUniform(seed=next(seeds)),
        bias_initializer=keras.initializers.Constant(bias),
    )
