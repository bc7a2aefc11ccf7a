"""Training: its time and loss, its start, and the calibration that came of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from ctr_retrain.models.documents.comparison_documents import IntervalPart
from ctr_retrain.models.documents.document import Day, Part, StoredDocument
from ctr_retrain.models.documents.evaluation_documents import TwinComparison

CalibrationMethod = Literal["identity", "intercept", "platt", "isotonic"]


class CalibrationRows(Part):
    """Method and rows of a calibration."""

    method: CalibrationMethod
    """identity where nothing can be fitted; else the richer, the more positives there are."""
    rows: int
    """Rows that it was fitted on."""
    positives: int
    """Positives among them."""


class CalibrationCurve(CalibrationRows):
    """A line of straight pieces from the network's logit to a calibrated one.

    It goes through (knots, values), is straight between them and has one slope beyond the outer ones. intercept: one
    knot, slope 1. platt: one knot and a slope. isotonic: many knots, slope 1. identity: knot (0, 0), slope 1.
    """

    knots: tuple[float, ...] = (0.0,)
    """Logits at which the line bends."""
    values: tuple[float, ...] = (0.0,)
    """The calibrated logits there."""
    slope: float = 1.0
    """Slope beyond the outer knots."""
    held_out_gain: float | None = None
    """By how much the layer lowers the log loss of rows of the slice that it was not fitted on; null for identity."""
    dropped: tuple[CalibrationMethod, ...] = ()
    """Richer methods that predicted such rows no better than a simpler one or, for identity, worse than the network by
    itself."""


class TrainingSteps(Part):
    """Steps and learning rates of a training, the recipe's or, where it has none, by the window."""

    count: int
    """Steps that were taken, over all epochs."""
    batch_rows: int
    """Rows of a step."""
    learning_rate: float
    """Highest learning rate of the dense layers."""
    embedding_learning_rate: float
    """Highest learning rate of the embedding table."""
    ensemble: int = 1
    """Networks whose logits are averaged."""


class LinearSolution(Part):
    """The optimum of a linear network's penalised loss over all training rows, which it has after its training."""

    steps: int
    """Steps of Newton's method, with the last penalties."""
    settled: bool
    """False where the loss still fell after the most steps."""
    seconds: float
    """Time that it took, beside that of the training."""
    penalties: Mapping[str, float]
    """Penalty of the squares of the weights of each feature, chosen by the training rows; C of scikit-learn is 1 over
    it. One for the straight lines of all numbers."""


class LinearCompanion(LinearSolution):
    """A solved linear model beside the network: served is the weighted mean of both logits."""

    share: float
    """The linear model's weight in it; 0: it was solved, and isn't served."""


class CampaignIntercepts(Part):
    """Intercepts of channels and campaigns in front of calibration, fitted to the trained network's logits."""

    served: bool
    """True where they lower the log loss of the calibration slice's rows, each answered by rows of the days before."""
    gain_ahead: float | None
    """By how much they do, in nats an impression; null where no such row has a day before it."""
    rows: int
    """Rows that they are fitted to."""


class TrainingResult(Part):
    """Rows, time and loss of a training."""

    rows: int
    """Rows of one epoch."""
    seconds: float
    """Time that this process took; it may have resumed another's work."""
    rows_per_second: float
    """Rows that this process trained on in a second."""
    device: str
    """The device that computed, such as cpu."""
    replicas: int
    """Devices that trained side by side."""
    precision: str
    """Precision of the network's numbers, such as float32."""
    history: tuple[tuple[int, float], ...]
    """The curve of training: rows seen and the weighted loss, smoothed exponentially."""
    epochs: int
    """Epochs that were trained."""
    best_epoch: int
    """The epoch whose weights were taken, counted from 1."""
    stopping_losses: tuple[float, ...]
    """Weighted loss on the rows kept out for early stopping, after each epoch."""
    resumed_at: int
    """Rows that an earlier process had seen, where this one went on from its checkpoint."""
    steps: TrainingSteps | None = Field(None, exclude_if=lambda steps: steps is None)
    """Steps and learning rates; no key in documents of versions that didn't say."""
    solution: LinearSolution | None = Field(None, exclude_if=lambda solution: solution is None)
    """The optimum that a linear network has in the end; no key where it has the weights of the last step."""
    companion: LinearCompanion | None = Field(None, exclude_if=lambda companion: companion is None)
    """The linear model beside the network; no key where there is none."""
    intercepts: CampaignIntercepts | None = Field(None, exclude_if=lambda intercepts: intercepts is None)
    """Intercepts of campaigns in front of calibration; no key where none were tried."""


class FieldValues(Part):
    """The values of a feature of texts in the training rows, and how many of them have an embedding row of their own.

    Values of features that share its rows are counted with it.
    """

    name: str
    """The feature."""
    values: int
    """Different values in the training rows."""
    own_rows: int
    """Values with an embedding row of their own."""
    shared_share: float
    """Share of the training rows, where the value isn't missing, whose value has none and shares one."""
    cut_values: int
    """Values that would have a row of their own but for the recipe's `buckets`."""
    cut_share: float
    """Share of the training rows that hold those values."""


class TransferReport(Part):
    """Weights that a warm start took over from the champion's network."""

    rows: int
    """Rows of the embedding tables that came along."""
    expired_rows: int
    """Rows that were there and begin anew, because no recent row names them."""
    fresh_rows: int
    """Rows that begin anew, because the champion has none for them: values as its row of unseen ones, which it has."""
    layers: tuple[str, ...]
    """Other layers that came along, by name."""
    fresh_layers: tuple[str, ...]
    """Other layers that begin anew, by name."""
    fresh_numbers: tuple[str, ...] = ()
    """Numbers whose pieces begin anew: features that the champion reads otherwise, or whose values have left them."""
    frozen: tuple[str, ...] = ()
    """Layers that stay as the champion has them, by name."""
    slots: int = 0
    """The optimizer's variables that came along."""


class StartReport(Part):
    """The weights from which training started."""

    message: str = Field(alias="words")
    """A sentence that says why it started there; empty where the recipe doesn't ask for a warm start."""
    transferred: TransferReport | None = Field(None, alias="carried")
    """Weights that a warm start took over; null for a start from nothing."""


class TrainingDocument(StoredDocument):
    """A run's training: training.json in the run."""

    training: TrainingResult
    """Rows, time and loss."""
    calibration: CalibrationCurve
    """The calibration of the label's probability."""
    head_calibrations: Mapping[str, CalibrationCurve] = Field({})
    """The calibration of each further head, by its kind of outcome."""
    start: StartReport = StartReport(message="")
    """The start of the training."""
    values: tuple[FieldValues, ...] = ()
    """The values of each feature of texts; empty where an older version hashed them into a fixed number of rows."""
    calibration_unseen: Mapping[str, float] = Field({})
    """By feature of texts, the share of the calibration slice's rows whose value has no embedding row of its own."""


class FailedTrainingDocument(StoredDocument):
    """A cold twin's training that diverged: training.json in its folder."""

    failure: str
    """The reason why there is no model."""


class RunStart(StartReport):
    """The weights from which a run's training started, and a comparison with a start from nothing."""

    cold_twin: TwinComparison | None = None
    """The comparison with a cold twin; null where none was trained."""


class SeedTwin(Part):
    """A run's network beside the same network trained with another seed, on the same validation rows."""

    date: Day
    """The day that the run was for."""
    recipe_digest: str
    """Digest of the run's recipe."""
    rows: int
    """Impressions that both decided on."""
    changed_share: float
    """Share of them on which the two decide differently."""
    log_loss_difference: IntervalPart
    """Log loss of the run's network less that of its twin, in nats an impression."""
    cost_difference: IntervalPart
    """Cost of the run's network less that of its twin, in currency units per 1,000 impressions."""
    cost_standard_error: float | None
    """Standard error of that difference by chance of the rows; null where its interval has no end."""
    seconds: float
    """Time of all of it."""


class SeedNoise(Part):
    """Dependence of a network on its seed, by the newest twin there is."""

    twin: SeedTwin
    """The newest twin of the run's recipe or, without one, of an earlier recipe."""
    twins: int
    """Twins that the deviation is estimated from."""
    cost_deviation: float | None
    """Standard deviation that two seeds add to a cost difference per 1,000, beside the chance of the rows."""
    changed_share: float | None
    """Share of the run's validation rows on which challenger and champion decide differently; null without both."""
    message: str = Field(alias="words")
    """A sentence with all of it."""


class SeedTwinsDocument(StoredDocument):
    """The newest seed twins, those of earlier runs included: seed_twins.json in the run."""

    twins: tuple[SeedTwin, ...] = ()
    """The twins, the newest last."""
    noise: SeedNoise | None = None
    """What they say of the run's network; null where there are none."""
    failure: str = ""
    """The reason why the run has no twin of its own, where it was due; else empty."""


class UnseenShare(Part):
    """Shares of rows with a value that the network doesn't know, where it was calibrated and where it is judged."""

    name: str
    """A feature of texts."""
    calibration: float
    """Share of the calibration slice's rows."""
    validation: float
    """Share of the validation days' rows."""


class TrainingPart(Part):
    """Rows, time and start of a run's training."""

    rows: int
    """Rows of one epoch."""
    seconds: float
    """Time that it took."""
    rows_per_second: float
    """Rows that were trained on in a second."""
    device: str
    """The device that computed, such as cpu."""
    steps: TrainingSteps | None = Field(None, exclude_if=lambda steps: steps is None)
    """Steps and learning rates; no key in documents of versions that didn't say."""
    solution: LinearSolution | None = Field(None, exclude_if=lambda solution: solution is None)
    """The optimum that a linear network has in the end; no key where it has the weights of the last step."""
    companion: LinearCompanion | None = Field(None, exclude_if=lambda companion: companion is None)
    """The linear model beside the network; no key where there is none."""
    intercepts: CampaignIntercepts | None = Field(None, exclude_if=lambda intercepts: intercepts is None)
    """Intercepts of campaigns in front of calibration; no key where none were tried."""
    cut_short: str = Field("", exclude_if=lambda message: not message)
    """A sentence where the loss was still falling when the steps were over; no key where it had settled."""
    calibration: CalibrationCurve
    """The calibration of the label's probability."""
    start: RunStart = RunStart(message="")
    """The weights from which training started."""
    values: tuple[FieldValues, ...] = ()
    """The values of each feature of texts."""
    unseen: tuple[UnseenShare, ...] = Field((), exclude_if=lambda shares: not shares)
    """Rows with values that the network doesn't know; no key in documents of versions that didn't count them."""
