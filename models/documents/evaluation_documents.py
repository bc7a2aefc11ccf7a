"""Figures of models on the validation days: metrics, reliability, cost curves, further heads; of features alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from ctr_retrain.models.documents.document import Bound, Day, Part, StoredDocument

Goal = Literal["higher", "lower", "nearer to 1"]
ModelName = Literal["challenger", "champion", "constant"]  # constant: the positive ratio of each channel


@dataclass(frozen=True)
class Metric:
    """The form in which one of the Figures is shown, and which way is better."""

    title: str  # in a table that has a line for each metric
    column: str  # above a column, where there is less room
    digits: int  # decimals
    goal: Goal
    criterion: str = ""  # the metric's name in a sentence, for losses that strategies can be compared by
    in_terminal: bool = True  # False: not among the terminal's columns, of which 80 letters hold few


class Figures(Part):
    """A model's metrics on unweighted rows. One that is undefined, such as AUC without positives, is null.

    To add a metric, add its key here and its formula in VALUES of `models/judging/metrics.py`; all tables, stored
    documents and their schemas have it then. A stored document of before lacks it, so its default is None.
    """

    rows: int
    """Impressions that were scored."""
    positives: int
    """Positives among them."""
    auc: Annotated[float | None, Metric("AUC", "AUC", 4, "higher")]
    """Area under the ROC curve."""
    pr_auc: Annotated[float | None, Metric("PR AUC", "PR AUC", 4, "higher")]
    """Area under the precision-recall curve."""
    log_loss: Annotated[
        float | None,
        Metric("Log loss, nats per impression", "log loss", 5, "lower", criterion="log loss per impression"),
    ]
    """Mean log loss in nats an impression."""
    normalized_entropy: Annotated[
        float | None, Metric("Normalized entropy", "norm. entropy", 4, "lower", in_terminal=False)
    ]
    """Log loss over the entropy of the base rate; below 1 is better than the constant."""
    calibration_ratio: Annotated[
        float | None, Metric("Calibration ratio, predicted to seen", "calibr.", 3, "nearer to 1")
    ]
    """Predicted to seen positives."""
    cost_per_1000: Annotated[
        float | None,
        Metric("Cost per 1,000 impressions", "cost / 1,000", 2, "lower", criterion="cost per 1,000 impressions"),
    ]
    """Cost in currency units per 1,000 impressions; a gain is negative."""


METRICS: dict[str, Metric] = {  # by key, in the order in which a block has them
    key: entry for key, field in Figures.model_fields.items() for entry in field.metadata if isinstance(entry, Metric)
}


class Metrics(Figures):
    """One model's figures, of all rows and of each channel's."""

    threshold: Mapping[str, float]
    """The probability from which on a message is sent, by channel."""
    by_channel: Mapping[str, Metrics] = Field({})
    """The same figures of each channel's own rows."""


class ReliabilityBin(Part):
    """Rows of about equal probability: what was predicted and what was seen."""

    rows: int
    """Rows in the bin."""
    mean_probability: float
    """Mean predicted probability."""
    rate: float
    """Positive ratio that was seen."""
    low: float
    """Lower end of its 95 % Wilson interval."""
    high: float
    """Upper end of its 95 % Wilson interval."""


class CostCurve(Part):
    """A channel's cost per 1,000 impressions over the threshold, of each model."""

    threshold: float
    """The threshold at which decisions are made."""
    thresholds: tuple[float, ...]
    """Thresholds of the curve."""
    challenger: tuple[float, ...]
    """The challenger's cost at each of them."""
    champion: tuple[float, ...] | None = Field(None, exclude_if=lambda curve: curve is None)
    """The champion's, where it was scored."""
    constant: tuple[float, ...] | None = Field(None, exclude_if=lambda curve: curve is None)
    """The constant rate's, where there was no champion."""
    send_all_per_1000: float | None = Field(None, exclude_if=lambda cost: cost is None)
    """Cost per 1,000 of the channel's impressions if everything is sent; absent in runs of older versions."""
    send_none_per_1000: float | None = Field(None, exclude_if=lambda cost: cost is None)
    """The same if nothing is sent."""

    def by_model(self) -> dict[ModelName, tuple[float, ...]]:
        """Return the curves of the models that were scored."""
        curves: dict[ModelName, tuple[float, ...] | None] = {
            "challenger": self.challenger,
            "champion": self.champion,
            "constant": self.constant,
        }
        return {name: curve for name, curve in curves.items() if curve is not None}


class LabelMetrics(Part):
    """Figures of one label over the rows that know it, or of all pairs of row and label as if they were one label."""

    rows: int
    """Rows that know the label."""
    positives: int
    """Positives among them."""
    predicted: int
    """Rows at or above the threshold."""
    auc: float | None
    """Area under the ROC curve."""
    average_precision: float | None
    """Area under the precision-recall curve by steps."""
    log_loss: float | None
    """Mean log loss in nats a row."""
    normalized_entropy: float | None
    """Log loss over the entropy of the base rate."""
    f1: float | None
    """F1 at the threshold; 0 where there are positives and none is found."""
    calibration_ratio: float | None
    """Predicted to seen positives."""


class HeadEvaluation(Part):
    """Figures of a further head on the validation days."""

    after: str | None = None
    """The kind of outcome that its own follows; null where it follows the impression alone."""
    rows: int
    """Rows of the validation days whose label of this kind is final."""
    message: str = Field(alias="words")
    """A sentence on the rows that the figures rest on."""
    metrics: Mapping[ModelName, LabelMetrics]
    """Figures of the models that have this head."""


class TwinComparison(Part):
    """A warm run beside the same run started from nothing, on the same rows."""

    rows: int | None = None
    """Impressions that both scored."""
    log_loss: float | None = None
    """Log loss of the warm run's model."""
    twin_log_loss: float | None = None
    """Log loss of the cold twin."""
    difference: float | None = None
    """Log loss of the warm run less that of the twin, in nats an impression."""
    low: Bound = None
    """Lower end of the difference's interval at the gate's confidence; null where it has none."""
    high: Bound = None
    """Upper end of it."""
    behind: bool | None
    """True if the warm run has surely fallen behind; null where the twin came to nothing."""
    message: str = Field(alias="words")
    """A sentence with both figures, or why there are none."""


class EvaluationDocument(StoredDocument):
    """All figures of the models that were scored on a run's validation days: evaluation.json in the run."""

    metrics: Mapping[ModelName, Metrics]
    """Figures of each model that was scored."""
    reliability: Mapping[ModelName, tuple[ReliabilityBin, ...]]
    """Predicted against seen ratios of each."""
    send_all_per_1000: float | None
    """Cost per 1,000 impressions if everything is sent."""
    send_none_per_1000: float | None
    """Cost per 1,000 impressions if nothing is sent."""
    cost_curves: Mapping[str, CostCurve]
    """Cost over the threshold, of each channel that has rows."""
    heads: Mapping[str, HeadEvaluation] = Field({})
    """Figures of further heads, by their kind of outcome."""
    champion_data_through: Day | None = Field(None, exclude_if=lambda day: day is None)
    """The newest day that the scored champion has seen."""
    cold_twin: TwinComparison | None = Field(None, exclude_if=lambda twin: twin is None)
    """The comparison with a cold twin, where one was trained."""
    unseen: Mapping[str, float] = Field({})
    """By feature of texts, the share of the rows whose value the challenger has no embedding row for."""

    @property
    def opponent(self) -> ModelName | None:
        """The model that the challenger was compared with; None where nothing could be scored."""
        opponents: tuple[ModelName, ...] = ("champion", "constant")
        return next((name for name in opponents if name in self.metrics), None)


LeakSign = Literal["figures", "filled", "difference", "name"]


class OwnFigures(Part):
    """Figures of a feature by itself: what it tells of one label of one channel.

    It is judged on days between those on which its values' ratios were counted. Bounds are three standard errors away.
    """

    channel: str
    """The channel whose rows were looked at."""
    label: str
    """label: the channel's own; else the kind of outcome of a further head."""
    rows: int
    """Rows that were looked at."""
    positives: int
    """Positives among them."""
    auc: float
    """Area under the ROC curve of the feature alone; 1 tells the label, 0.5 tells nothing."""
    auc_low: float
    """The least that it is."""
    explained: float
    """Share of the label's entropy that the feature alone explains; below 0 where its values' ratios don't last."""
    explained_low: float
    """The least that it is."""
    filled_positives: float
    """Share of the positives on which the feature has a value."""
    filled_negatives: float
    """Share of the negatives on which it has one."""
    filled_odds_low: float
    """By how much a positive changes the odds that there is a value, either way, at the least; 1 for not at all."""


class FeatureByItself(Part):
    """A feature, what it tells by itself, and signs that it is known only after the decision."""

    name: str
    """The feature's name."""
    figures: OwnFigures | None
    """Figures of the channel and label that it tells most of; null for clocks and where positives are too few."""
    signs: tuple[LeakSign, ...] = ()
    """figures: its own AUC is far above all others'; filled: it is filled only, or hardly ever, on positives;
    difference: its distance to another column tells the label; name: its name sounds so, which alone holds nothing."""
    confirmed: bool = False
    """True if the recipe says that it is known before the decision."""
    held: bool = False
    """True if the run is held until the recipe drops or confirms it."""
    message: str = Field("", alias="words")
    """A sentence on the signs; empty without any."""


class FeaturesDocument(StoredDocument):
    """Figures of each feature by itself: features.json in the run."""

    rows: int
    """Rows of the training window that were looked at."""
    features: tuple[FeatureByItself, ...]
    """The recipe's features, in its order."""
