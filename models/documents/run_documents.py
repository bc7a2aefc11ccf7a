"""The run's document: what `daily --json` prints, and what report, `explain`, `status` and `models` read."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from ctr_retrain.models.documents.comparison_documents import Yardstick
from ctr_retrain.models.documents.day_documents import LandedRows, Validation
from ctr_retrain.models.documents.document import Day, Document, ObjectName, ObjectPath, Part, StoredDocument
from ctr_retrain.models.documents.drift_documents import Alert, FeatureWorth, NumberDrift
from ctr_retrain.models.documents.evaluation_documents import FeatureByItself, HeadEvaluation, Metrics
from ctr_retrain.models.documents.maturity_documents import IncompleteDay, MaturityPart
from ctr_retrain.models.documents.training_documents import CalibrationRows, SeedNoise, TrainingPart
from ctr_retrain.models.documents.verdict_documents import (
    Decision,
    EvidencePart,
    FreshPass,
    GuardrailsPart,
    LogReachPart,
    MoneyPart,
    Recalibration,
    SlicesPart,
    Verdict,
)
from ctr_retrain.models.documents.weights_documents import HeadWeights, TrainingWarning, WeightsPart


class UsedDays(Part):
    """The days that a run really used, oldest first."""

    train: tuple[Day, ...] = ()
    """Days that were trained on."""
    calibrate: tuple[Day, ...] = ()
    """Days of which a share of users was kept for calibration."""
    validation: tuple[Day, ...] = Field((), alias="validate")
    """Days on which the models were judged."""


class RunInputs(Part):
    """The inputs of a run, which its manifest and its bundle hold too."""

    run_id: ObjectName
    """Name of the run, which is the version of its model too."""
    day: Day
    """The day that the run was for."""
    labels_as_of: Day
    """The day by whose end the outcomes had landed that labels are made of."""
    data_through: Day
    """The newest event day that training read."""
    train_through: Day
    """The newest event day that was trained on."""
    days: UsedDays
    """The days that were used."""
    excluded: Mapping[str, str] = Field({})
    """Days of the plan that were left out, and the reason of each."""
    labels: tuple[ObjectPath, ...] = ()
    """Paths of the labels that were read."""
    champion: ObjectName | None
    """The champion that the challenger met; null where there was none."""
    recipe_digest: str
    """Digest of the recipe."""
    training_digest: str | None = None
    """Digest of what trains in it: equal ones are refreshes of each other; null in runs that older versions wrote."""
    code: str
    """Version and digest of the code."""


class RunMetrics(Part):
    """Figures of the models on the validation days; null where a model was not scored."""

    challenger: Metrics | None = None
    """The model that the run trained."""
    champion: Metrics | None = None
    """The model in service."""
    constant: Metrics | None = None
    """The positive ratio of each channel, where there was no champion."""


class HeadPart(HeadEvaluation):
    """A further head: its figures, weights and calibration."""

    weights: HeadWeights
    """Weights of its training rows."""
    calibration: CalibrationRows
    """Calibration of its probability."""


class Served(Part):
    """The model that serves after a run."""

    version: str | None
    """The model; null where nothing is in service."""
    data_through: Day | None
    """The newest day that it has seen."""
    age_days: int | None
    """Days from that day to the run's day."""
    message: str = Field(alias="words")
    """A sentence that says why it is that model."""


class DayDocument(Document):
    """A run's day before anything is trained: all that there is where the day is rejected."""

    date: Day
    """The day that the run was for."""
    run_id: str | None = None
    """Name of the run, which is the version of its model too; null where the day was rejected."""
    days: UsedDays = UsedDays()
    """The days that were used."""
    ingest: LandedRows
    """Rows and files that landed on the day."""
    validation: Validation
    """The decision on the day's data."""
    alerts: tuple[Alert, ...]
    """Alerts of the day."""
    incomplete_outcomes: tuple[IncompleteDay, ...] = Field((), exclude_if=lambda days: not days)
    """Landing days of which outcomes are missing, oldest first; absent where there are none."""
    maturity: MaturityPart | None = None
    """Label maturity; null where labels are final at once."""
    weights: WeightsPart | None = None
    """Weights of the training rows; null where none were weighed."""
    warnings: tuple[TrainingWarning, ...] = ()
    """Warnings about comparing figures and changing the recipe."""
    features: tuple[FeatureByItself, ...] = Field((), exclude_if=lambda features: not features)
    """The features, and what each tells by itself; absent where the day was rejected."""
    numbers: tuple[NumberDrift, ...] = Field((), exclude_if=lambda numbers: not numbers)
    """The features that are numbers, beside what the training window held; absent without any."""
    feature_worth: FeatureWorth | None = Field(None, exclude_if=lambda worth: worth is None)
    """Values and worth of each feature on the validation days; absent where nothing was trained."""
    training: TrainingPart | None = None
    """Training; null where nothing was trained."""
    metrics: RunMetrics = RunMetrics()
    """Figures of the models on the validation days."""
    slices: SlicesPart | None = Field(None, exclude_if=lambda slices: slices is None)
    """Parts of the validation rows, and what the models are worth there; absent where nothing was judged."""
    money: MoneyPart | None = Field(None, exclude_if=lambda money: money is None)
    """Decisions in currency, and the verdict on cost at other prices; absent where nothing was judged."""
    guardrails: GuardrailsPart | None = Field(None, exclude_if=lambda guardrails: guardrails is None)
    """Other kinds of outcomes on what each model would send; absent without guardrails, or a champion."""
    log_reach: LogReachPart | None = Field(None, exclude_if=lambda reach: reach is None)
    """Limits of what the log can show; absent where nothing was judged."""
    yardstick: Yardstick | None = Field(None, exclude_if=lambda yardstick: yardstick is None)
    """The worth of the network over simple models; absent in runs that were not due to say."""
    seed_noise: SeedNoise | None = Field(None, exclude_if=lambda noise: noise is None)
    """Dependence of the network on its seed; absent in runs before the first twin."""
    heads: Mapping[str, HeadPart] = Field({})
    """Further heads, by their kind of outcome."""
    verdict: Verdict | None = None
    """The decision on the challenger; null where the day was rejected."""
    evidence: EvidencePart | None = Field(None, exclude_if=lambda evidence: evidence is None)
    """The evidence on the cost, of this night and of those before; absent where nothing was judged."""
    not_known: tuple[str, ...] = Field((), exclude_if=lambda names: not names)
    """Checks that passed since their interval reaches both sides of the bound; absent where there are none."""
    tested: Mapping[str, float] = Field({}, exclude_if=lambda ends: not ends)
    """By check, what was held against its bound where that isn't its value: an end of its interval, or that of a sum of
    steps; where two bounds allow a range, the end that lies outside. Absent where there are none."""
    serves: Served | None = None
    """The model that serves after the run; null where the day was rejected."""
    fresh: FreshPass | None = None
    """The pass after the verdict over days whose labels aren't final; null where there was none."""
    recalibration: Recalibration | None = Field(None, exclude_if=lambda recalibration: recalibration is None)
    """The level, brought up to date after the verdict; absent where it was not."""
    champion: str | None = None
    """The champion that the challenger met; in the answer of `daily`, the champion in service after the run."""
    report: str | None = None
    """Address of the run's report; null in the stored document, which may be moved."""


class RunDocument(StoredDocument, RunInputs, DayDocument):
    """A run from its day's data to the verdict: run.json in the run, and the answer of `explain`."""

    verdict: Verdict
    """The decision on the challenger."""
    serves: Served
    """The model that serves after the run."""
    versions: Mapping[str, str] = Field({})
    """Versions of this software and of the packages that results depend on."""


class ChampionRefresh(Part):
    """The run that refreshes the champion by its own recipe, beside that of a changed one on trial."""

    run_id: ObjectName | None
    """The run; null where the champion can't be refreshed."""
    decision: Decision | None
    """Its verdict."""
    message: str = Field(alias="words")
    """A sentence with what became of it, or why it can't be made."""


class DailyAnswer(RunDocument):
    """The answer of `daily`: the run, and what came of its verdict."""

    not_deployed: str | None
    """The reason why a promoted challenger was not put into service; null where it was, or was not promoted."""
    rolled_back: str | None = Field(None, exclude_if=lambda rolled_back: rolled_back is None)
    """What became of a champion that the run found harmful; absent where nothing was done."""
    champion_refresh: ChampionRefresh | None = Field(None, exclude_if=lambda refresh: refresh is None)
    """The run of the champion's own recipe, which refreshes it beside a changed one on trial; absent where none is."""
    recorded: bool
    """True if the run was found, made earlier from the same inputs."""
