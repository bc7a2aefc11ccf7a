"""Weights of a run's training rows, and warnings that follow from them."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from ctr_retrain.models.documents.document import Day, Part, StoredDocument


class TrainingWarning(Part):
    """One thing to know before figures are compared or a recipe is changed."""

    name: str
    """Name of the warning, such as training_loss."""
    message: str = Field(alias="words")
    """A sentence."""


class WeightFactors(Part):
    """All that makes a training row's weight, and what the weights amount to over the training rows."""

    days: tuple[Day, ...]
    """The training days, oldest first."""
    recency: tuple[float, ...]
    """Weight by age, one a training day."""
    class_weight: tuple[float, float]
    """Weights of labels 0 and 1."""
    cap: float | None
    """The largest product of weights; null where there is no cap."""
    scale: float
    """Factor on every weight, which makes their mean 1 where the recipe normalises."""
    mean_weight: float
    """Mean weight of the streamed rows; 1 where the recipe normalises."""
    use_offset: bool
    """True if weights and sampling are taken out of probabilities again."""
    base_log_odds: float
    """Log-odds of a positive in the world that the network learns, for its output bias: under recency and confidence
    alone where there is an offset, else under all weights and sampling."""
    negative_share: tuple[float, ...]
    """Share of the negatives that an epoch streams, one a training day, in whole rows."""
    positive_copies: int
    """Number of times that an epoch streams each positive."""
    rows_before_sampling: int
    """Training rows that an epoch chooses from."""
    rows: int
    """Training rows that an epoch streams."""
    effective_sample_size: float
    """Kish's effective sample size of the weights of different rows; one that comes k times weighs k times as much."""
    effective_positives: float
    """Kish's effective sample size of the positives under recency alone."""
    day_shares: tuple[float, ...]
    """Share of the total weight, one a training day."""
    class_shares: tuple[float, float]
    """Share of the total weight of labels 0 and 1."""


class WeightsDocument(StoredDocument, WeightFactors):
    """A run's weights: weights.json in the run."""

    constant_rate: Mapping[str, float]
    """Positive ratio of each channel on the training days: what a model without features would answer."""
    warnings: tuple[TrainingWarning, ...]
    """Warnings about comparing figures and changing the recipe."""
    heads: Mapping[str, WeightFactors] = Field({})
    """Factors of each further head, by its kind of outcome."""
    representation: WeightFactors | None = Field(None, exclude_if=lambda factors: factors is None)
    """Factors of the first of two training stages, where the recipe has two."""


class WeightsPart(Part):
    """The sums of a run's weights."""

    rows: int
    """Training rows that an epoch streams."""
    rows_before_sampling: int
    """Training rows that an epoch chooses from."""
    mean_weight: float = 1.0
    """Mean weight of the streamed rows; 1 where the recipe normalises."""
    negative_share: float = 1.0
    """Smallest share of a day's negatives that an epoch streams."""
    positive_copies: int = 1
    """Number of times that an epoch streams each positive."""
    effective_sample_size: float
    """Kish's effective sample size of the training rows under their weights."""
    effective_positives: float
    """Kish's effective sample size of the positives under recency alone."""
    class_weight: tuple[float, float]
    """Weights of labels 0 and 1."""
    class_shares: tuple[float, float]
    """Share of the total weight of labels 0 and 1."""
    days: Mapping[Day, float]
    """Share of the total weight of each training day."""


class HeadWeights(Part):
    """The sums of a further head's weights."""

    rows: int
    """Training rows that know its label."""
    effective_sample_size: float
    """Kish's effective sample size of these rows."""
    effective_positives: float
    """Kish's effective sample size of its positives under recency alone."""
    class_weight: tuple[float, float]
    """Weights of labels 0 and 1."""
