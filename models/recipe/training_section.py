"""The recipe's [training]: which days, which network, how it learns, which of two models serves."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from ctr_retrain.models.recipe.head_section import Head
from ctr_retrain.models.recipe.section import Section

SHIPPED_NETWORKS = ("logistic_regression", "deepfm", "dcn_v2")
MAX_KEPT_OUT = 0.7  # of the newest training days' users
Positive = Annotated[float, Field(gt=0)]


def _known_network(name: str) -> str:
    if name not in SHIPPED_NETWORKS and not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", name, re.ASCII):
        msg = f"expected {', '.join(SHIPPED_NETWORKS)} or package.module:function"
        raise ValueError(msg)
    return name


class Training(Section):
    """Which days, which network, how it learns."""

    window_days: Annotated[int, Field(ge=1, le=400)] = 14
    validation_days: Annotated[int, Field(ge=1, le=28)] = 1
    calibration_share: Annotated[float, Field(gt=0, le=0.5)] = 0.1
    calibration_days: Annotated[int, Field(ge=1)] = 7
    network: Annotated[str, AfterValidator(_known_network)] = "deepfm"
    embedding_dim: Annotated[int, Field(ge=1, le=256)] = 16
    hidden_units: tuple[Annotated[int, Field(ge=1)], ...] = (128, 64)
    cross_layers: Annotated[int, Field(ge=1, le=8)] = 2
    batch_rows: Annotated[int, Field(ge=1)] = 4096  # of all replicas together
    epochs: Annotated[int, Field(ge=1, le=100)] = 1  # at most; more than one stops early
    stopping_share: Annotated[float, Field(gt=0, le=0.5)] = 0.1  # of users, kept out to stop by, where epochs > 1
    patience: Annotated[int, Field(ge=1)] = 1  # epochs without a lower loss on that slice before training stops
    precision: Literal["float32", "mixed"] = "float32"  # mixed: hidden layers compute in bfloat16
    learning_rate: Positive = 0.002
    embedding_learning_rate: Positive = 0.05
    embedding_initial_accumulator: Positive = (
        0.1  # row-wise Adagrad's start: the larger, the gentler a row's first steps
    )
    min_positives: Annotated[int, Field(ge=1)] = 100  # effective, after recency; fewer: nothing is trained
    seed: int = 7
    embedding_optimizer: Literal["rowwise_adagrad", "lazy_adam"] = "rowwise_adagrad"
    embedding_weight_decay: Annotated[float, Field(ge=0)] = 0.0  # decoupled; of the rows that a batch names, no others
    loss: Literal["cross_entropy", "focal"] = "cross_entropy"
    focal_gamma: Annotated[float, Field(ge=0, le=10)] = 2.0  # of the focal loss; 0 is cross-entropy
    heads: tuple[Head, ...] = ()  # further kinds of outcomes that are learnt beside the label
    two_stages: bool = False  # all layers without class weights first, then the output layer alone with them
    ship: Literal["evaluated", "fresh"] = "evaluated"  # fresh: once promoted, one pass more, through the days up to D

    @model_validator(mode="after")
    def _users_are_left_to_train_on(self) -> Self:
        kept_out = self.calibration_share + (self.stopping_share if self.epochs > 1 else 0)
        if kept_out > MAX_KEPT_OUT:
            msg = (
                f"expected calibration_share and stopping_share to keep out at most {MAX_KEPT_OUT} of the newest "
                f"days' users together, received {kept_out:g}"
            )
            raise ValueError(msg)
        return self
