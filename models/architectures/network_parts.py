"""The parts that networks are built of, with the recipe's sizes and with seeds that make them repeatable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
        """Make W, (width, width), and b, (width,)."""
        width = shapes[0][-1]
        self.kernel = self.add_weight(
            shape=(width, width), initializer=keras.initializers.GlorotUniform(self.seed), name="kernel"
        )
        self.bias = self.add_weight(shape=(width,), initializer="zeros", name="bias")

    def call(self, inputs: list[Any]) -> Any:
        """Return the crossed features."""
        first, current = inputs
        return first * (ops.matmul(current, self.kernel) + self.bias) + current

    def get_config(self) -> dict[str, Any]:
        """Return all that the constructor takes."""
        return {**super().get_config(), "seed": self.seed}


@dataclass(frozen=True)
class NetworkParts:
    """Layers and sums with the recipe's sizes. Each layer takes the next seed, so their order is part of a network."""

    hidden_units: tuple[int, ...]  # of the perceptron's layers
    cross_layer_count: int  # the recipe's `cross_layers`
    precision: str  # the recipe's: "float32" or "mixed"
    seeds: Iterator[int]  # of initial weights, one a layer
    bias: float  # at which the output's bias starts: the base log-odds, so that no step is needed to get there
    # Embeddings of numbers in pieces, (numbers, batch, dim + 1), or None. They stand apart from those of the fields,
    # since joining the two would copy the latter at each step.
    in_pieces: Any = None

    def linear_terms(self, embedded: Any) -> Any:
        """Return the last column's sum over fields and numbers in pieces: (batch, fields, dim + 1) → (batch, 1)."""
        return self._sum(embedded, lambda own: own)[:, -1:]

    def pairwise_products(self, embedded: Any) -> Any:
        """Return Σ ⟨vᵢ, vⱼ⟩ over the pairs of fields and numbers in pieces (Rendle 2010, lemma 3.1), (batch, 1).

        It is ½ Σ_d ((Σᵢ v_id)² − Σᵢ v_id²); the last column, which holds the linear weights, takes no part.
        """
        pairs = ops.square(self._sum(embedded, lambda own: own)) - self._sum(embedded, ops.square)  # (batch, dim + 1)
        return 0.5 * ops.sum(pairs[:, :-1], axis=1, keepdims=True)

    def flatten(self, embedded: Any, numeric: Any) -> Any:
        """Return embeddings and numbers in one row: (batch, fields · (dim + 1) + numbers in pieces + numbers).

        Of a number in pieces it has the linear weight alone: hidden layers get the number itself too, and its whole
        embedding would make them slower by a third where there are as many numbers as on Criteo.
        """
        width = embedded.shape[1] * embedded.shape[2]
        pieces = [] if self.in_pieces is None else [ops.transpose(self.in_pieces[:, :, -1])]
        # The linear column goes in too: cutting it off would copy all the rest. A recipe without ids has nothing of
        # width 0, which can't be reshaped.
        flat = [ops.reshape(embedded, (-1, width))] if width else []
        return ops.concatenate([*flat, *pieces, numeric], axis=1)

    def _sum(self, embedded: Any, of: Callable[[Any], Any]) -> Any:
        """Return the sum of a function of the embeddings over fields and numbers in pieces, (batch, dim + 1)."""
        total = ops.sum(of(embedded), axis=1)
        return total if self.in_pieces is None else total + ops.sum(of(self.in_pieces), axis=0)

    def cross_layers(self, flat: Any) -> Any:
        """Return (batch, width) crossed with itself as often as the recipe says, of the same shape."""
        crossed = flat
        for _ in range(self.cross_layer_count):
            crossed = CrossLayer(next(self.seeds))([flat, crossed])
        return crossed

    def perceptron(self, inputs: Any) -> Any:
        """Return the last hidden layer, (batch, units) float32; only hidden layers have the recipe's precision."""
        policy = HIDDEN_POLICIES[self.precision]
        for units in self.hidden_units:
            inputs = self._dense(units, activation="relu", dtype=policy)(inputs)
        return ops.cast(inputs, "float32")

    def output(self, *inputs: Any) -> Any:
        """Return a logit, (batch, 1), linear in all inputs, (batch, width) each."""
        layer = self._dense(1, bias=self.bias)
        return layer(inputs[0] if len(inputs) == 1 else ops.concatenate(list(inputs), axis=1))

    def linear_output(self, numeric: Any) -> Any:
        """Return a logit, (batch, 1), of the numbers themselves, which say nothing before they have learnt."""
        # Nothing below has to be told apart, so weights start at 0: random ones would rank rows by chance until enough
        # steps have undone them. The output of a hidden layer can't: its layer would learn nothing in the first step.
        next(self.seeds)  # later layers start where they did
        return self._dense(1, bias=self.bias, kernel=keras.initializers.Zeros())(numeric)

    def _dense(
        self,
        units: int,
        *,
        bias: float = 0.0,
        activation: str | None = None,
        dtype: str = "float32",
        kernel: Any = None,
    ) -> Any:
        return keras.layers.Dense(
            units,
            dtype=dtype,
            activation=activation,
            kernel_initializer=kernel or keras.initializers.GlorotUniform(seed=next(self.seeds)),
            bias_initializer=keras.initializers.Constant(bias),
        )
