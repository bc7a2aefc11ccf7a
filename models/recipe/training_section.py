"""The recipe's [training]: days, network, how it learns, which of two models serves."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic.json_schema import SkipJsonSchema

from ctr_retrain.models.architectures.shipped_networks import NETWORKS
from ctr_retrain.models.mistakes import refuse
from ctr_retrain.models.recipe.head_section import Head
from ctr_retrain.models.recipe.network_file import is_network_file
from ctr_retrain.models.section import Positive, Section

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_KEPT_OUT = 0.7  # share of the newest training days' users: the others must be enough to learn from
NotNegative = Annotated[float, Field(ge=0)]
FUNCTION_OF_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)


def _known_network(name: str) -> str:
    """Raise ValueError unless the name is a shipped network's or has the form of a function of one's own."""
    if name in NETWORKS or is_network_file(name) or FUNCTION_OF_MODULE.fullmatch(name):
        return name
    msg = f"expected {', '.join(NETWORKS)} or package.module:function or, beside the recipe, file.py:function"
    raise ValueError(msg)


class Training(Section):
    """Days, network and learning."""

    window_days: Annotated[int, Field(ge=1, le=400)] = 14
    """Days of the training window, which ends at the cut, before the validation days."""
    validation_days: Annotated[int, Field(ge=1, le=28)] = 1
    """The newest days with mature labels; the gate alone looks at them."""
    calibration_share: Annotated[float, Field(gt=0, le=0.5)] = 0.1
    """Calibration slice: of each of the newest `calibration_days` this share of its users, kept out of training."""
    calibration_days: Annotated[int, Field(ge=1)] = 7
    """The newest days of the training window, from which the calibration slice is taken."""
    network: Annotated[str, AfterValidator(_known_network)] = "deepfm"
    """One of the [shipped networks](#networks), or a function of your own: `file.py:function`, found from the recipe's
    folder, or `package.module:function`. Such a function is code that runs, with all that you may do."""
    network_source: SkipJsonSchema[str | None] = Field(default=None, exclude_if=lambda source: source is None)
    """Text of the network's file, which loading a recipe puts here; no key for a recipe to set."""
    embedding_dim: Annotated[int, Field(ge=1, le=256)] = 16
    """Numbers that stand for one value of a feature with embedding rows."""
    hidden_units: tuple[Annotated[int, Field(ge=1)], ...] = (128, 64)
    """Units of each dense hidden layer."""
    cross_layers: Annotated[int, Field(ge=1, le=8)] = 2
    """dcn_v2: number of cross layers."""
    batch_rows: Annotated[int, Field(ge=0)] = 0
    """Rows of one optimizer step, over all devices together; 0: by the window, up to 4,096."""
    epochs: Annotated[int, Field(ge=1, le=100)] = 1
    """Most epochs; above 1, training stops early. Models on sparse ids overfit in the second."""
    stopping_share: Annotated[float, Field(gt=0, le=0.5)] = 0.1
    """With `epochs` above 1: share of users kept out of training, by whose loss it stops."""
    patience: Annotated[int, Field(ge=1)] = 1
    """Epochs without a lower loss on that slice before training stops."""
    precision: Literal["float32", "mixed"] = "float32"
    """`mixed`: hidden layers compute in bfloat16."""
    learning_rate: NotNegative = 0.0
    """Learning rate of the dense layers (Adam); 0: by the network and the steps."""
    embedding_learning_rate: NotNegative = 0.0
    """Learning rate of the embedding table; 0: by the network."""
    embedding_initial_accumulator: Positive = 0.1
    """Start of row-wise Adagrad's sums of squares: the larger, the gentler a row's first steps."""
    min_positives: Annotated[int, Field(ge=1)] = 100
    """Fewest positives, effective after recency; with fewer, nothing is trained and the verdict is hold."""
    seed: int = 7
    """Seed of everything random."""
    ensemble: Annotated[int, Field(ge=0, le=8)] = 0
    """Networks of so many seeds over one embedding table, trained side by side; the mean of their logits is served. 0:
    by the window, two below a million rows."""
    linear_share: Literal["auto"] | Annotated[float, Field(ge=0, le=0.9)] = "auto"
    """Weight, in the mean of logits that is served, of a linear model that is solved beside the network where the
    window is small; 0: none; `auto`: by the calibration slice. None with heads, warm starts or `ship = "fresh"`."""
    campaign_sd: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Prior standard deviation, in log-odds, of an intercept that each campaign gets in front of calibration where that
    pays on days of the calibration slice ahead of time; 0: none. None without a feature of the campaign, with warm
    starts or `ship = "fresh"`."""
    embedding_optimizer: Literal["rowwise_adagrad", "lazy_adam"] = "rowwise_adagrad"
    """Optimizer of the embedding table; it touches only the rows that a batch names."""
    embedding_weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Decoupled weight decay of the embedding rows that a batch names."""
    loss: Literal["cross_entropy", "focal"] = "cross_entropy"
    """Training loss; both end in probabilities."""
    focal_gamma: Annotated[float, Field(ge=0, le=10)] = 2.0
    """Exponent of the focal loss; 0 is cross-entropy. Its alpha is a class weight, such as `{ 0 = 0.75, 1 = 0.25 }`."""
    heads: tuple[Head, ...] = ()
    """Further kinds of outcomes that are learnt beside the label."""
    two_stages: bool = False
    """All layers without class weights first, then the output layers alone with them (Kang et al. 2020)."""
    ship: Literal["evaluated", "recalibrated", "fresh"] = "evaluated"
    """`recalibrated`: the level of a promoted model follows the labels of the validation days before it serves.
    `fresh`: it goes on through the days up to the run's own, and then serves."""

    yardstick_every: Annotated[int, Field(ge=0)] = 7
    """Every so many days the network is measured against simple models of the same window; 0: never."""
    seed_twin_every: Annotated[int, Field(ge=0)] = 7
    """Every so many days the network is trained once more with another seed, on a night without simple models; 0:
    never."""

    @model_validator(mode="after")
    def _keys_agree(self) -> Self:
        """Raise ValueError with all keys that contradict each other."""
        refuse(self._mistakes())
        return self

    def _mistakes(self) -> Iterator[str]:
        """Find too many users kept out, and an ensemble of a network that has one optimum, to which each seed goes."""
        kept_out = self.calibration_share + (self.stopping_share if self.epochs > 1 else 0)
        if kept_out > MAX_KEPT_OUT:
            yield (
                f"expected calibration_share and stopping_share to keep out at most {MAX_KEPT_OUT} of the newest "
                f"days' users together, received {kept_out:g}"
            )
        if self.ensemble > 1 and self.network in NETWORKS and not NETWORKS[self.network].latent_vectors:
            yield f"expected ensemble = 1 for {self.network}, whose seeds learn one model, received {self.ensemble}"
