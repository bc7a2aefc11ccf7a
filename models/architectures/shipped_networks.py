"""The registry of the networks, each one function from embeddings and numbers to a logit.

To add one, write its function here and name it in NETWORKS: the recipe, its errors and its reference, training and
serving find it there. The package stands before the recipe's, and imports neither Keras nor TensorFlow, whose import
takes seconds, since recipes are also read where nothing is trained: a function builds all of its layers by
NetworkParts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ctr_retrain.models.architectures.network_parts import NetworkParts


@dataclass(frozen=True)
class Network:
    """A network that a recipe can name."""

    # From embeddings (batch, fields, columns) and numbers (batch, numbers) to the logit (batch, 1). The last column is
    # a value's linear weight, those before it are its latent vector.
    logit: Callable[[Any, Any, NetworkParts], Any]
    latent_vectors: bool = True  # False: embeddings have the linear column alone
    # Learning rates where the recipe has none. A linear weight has no product with another to amplify it.
    embedding_learning_rate: float = 0.05
    dense_travel: float = 2.0  # steps times rate of the dense layers: about how far Adam can move a weight in an epoch

    @property
    def summary(self) -> str:
        """The first sentence of the function's docstring."""
        return (self.logit.__doc__ or "").strip().split("\n")[0]


def logistic_regression(embedded: Any, numeric: Any, parts: NetworkParts) -> Any:
    """Add a weight for each value, a weight for each number, and the bias."""
    return parts.linear_terms(embedded) + parts.linear_output(numeric)


def deepfm(embedded: Any, numeric: Any, parts: NetworkParts) -> Any:
    """Add linear terms, pairwise products and a perceptron over the same embeddings (Guo et al. 2017, equation 1)."""
    deep = parts.perceptron(parts.flatten(embedded, numeric))
    output = parts.output(deep, numeric)
    return parts.linear_terms(embedded) + parts.pairwise_products(embedded) + output


def dcn_v2(embedded: Any, numeric: Any, parts: NetworkParts) -> Any:
    """Add cross layers beside a perceptron (Wang et al. 2021, the parallel structure) and the linear terms."""
    flat = parts.flatten(embedded, numeric)
    crossed = parts.cross_layers(flat)
    deep = parts.perceptron(flat)
    return parts.linear_terms(embedded) + parts.output(crossed, deep)


NETWORKS: dict[str, Network] = {  # by the name that a recipe gives
    "logistic_regression": Network(
        logistic_regression, latent_vectors=False, embedding_learning_rate=0.15, dense_travel=5.0
    ),
    "deepfm": Network(deepfm),
    "dcn_v2": Network(dcn_v2),
}
LINEAR = next(name for name, network in NETWORKS.items() if not network.latent_vectors)  # alone has one optimum
