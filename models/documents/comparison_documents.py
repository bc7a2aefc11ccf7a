"""A comparison of ways to train: what was compared, each one's figures, what separates them, and what to do.

And that of a network with simple models of the same window, which `compare` makes too, and a run every so often; and
that of policies by which a challenger takes over, which `backfill --shadow` makes.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Literal

from pydantic import Field

from ctr_retrain.models.documents.document import Bound, Day, Part, StoredDocument
from ctr_retrain.models.documents.evaluation_documents import METRICS, Figures, Metrics

RecipeValue = bool | int | float | str  # of the keys that strategies set
Criterion = Literal["cost_per_1000", "log_loss"]
SimplerName = Literal["logistic_regression", "gradient_boosting"]
SIMPLER_NAMES: dict[SimplerName, str] = {  # in sentences, the simplest first
    "logistic_regression": "a linear model",
    "gradient_boosting": "boosted trees",
}
CRITERIA: tuple[Criterion, ...] = ("cost_per_1000", "log_loss")
# Metrics in the order of a comparison's columns: what strategies are compared by comes first.
COLUMNS = (*CRITERIA, *(key for key in METRICS if key not in CRITERIA))


class IntervalPart(Part):
    """A figure with its interval at the gate's confidence."""

    value: float | None
    """The figure; null where it is undefined."""
    low: Bound
    """Lower end of its interval; null where it has none."""
    high: Bound
    """Upper end of it."""


class SimplerModel(Part):
    """A simple model of a run's window, beside the challenger on the same rows."""

    name: SimplerName
    """The model: scikit-learn's LogisticRegression or HistGradientBoostingClassifier."""
    metrics: Metrics
    """Its figures on the validation days."""
    seconds: float
    """Time to train it and to predict."""
    worth_per_1000: IntervalPart
    """What the network saves against it, in currency units per 1,000 impressions; above 0 the network is better."""
    log_loss_difference: IntervalPart
    """The network's log loss less its own, in nats an impression; below 0 the network is better."""
    worth_it: bool
    """True if the network surely saves something against it."""
    message: str = Field(alias="words")
    """A sentence with both."""


class Yardstick(Part):
    """The worth of a run's network over simple models."""

    rows: int
    """Rows of the training window, which values are counted on."""
    rows_used: int
    """Rows that the simple models were trained on; all positives are among them, if half of them is enough."""
    seconds: float
    """Time of all of it."""
    models: tuple[SimplerModel, ...]
    """The simple models, the simplest first."""
    worth_it: bool
    """True if the network surely saves something against each of them."""
    message: str = Field(alias="words")
    """The sentence of the simplest model against which it doesn't, with what to do; else of the first."""


class YardstickDocument(StoredDocument):
    """A run's yardstick, or the reason why there is none: yardstick.json in the run."""

    yardstick: Yardstick | None = None
    """The comparison; null where it failed."""
    failure: str = ""
    """The reason; empty where it didn't."""


class RequestedComparison(Part):
    """The request: how to compare what."""

    day: Day
    """The newest run day."""
    days: int
    """Number of run days to judge by."""
    seeds: int
    """Models of each strategy and run day."""
    strategies: tuple[str, ...]
    """Names of the families of strategies; empty for all."""
    half_lives: tuple[float, ...]
    """Half-lives to try, in days."""
    class_powers: tuple[float, ...]
    """Powers of the class weight to try."""
    ages: tuple[int, ...]
    """Ages of the freshness curve's training windows, in days."""
    criterion: Criterion
    """The figure that a recommendation goes by, chosen before looking."""


class ComparisonInputs(Part):
    """The inputs of a comparison, which its manifest holds too."""

    comparison_id: str
    """Name of the comparison."""
    day: Day
    """The newest run day."""
    request: RequestedComparison = Field(alias="asked")
    """The request."""
    left_out: Mapping[str, str]
    """Run days, ages and strategies that can't be had, and the reason of each."""
    recipe_digest: str
    """Digest of the recipe."""
    code: str
    """Version and digest of the code."""


class ComparedDay(Part):
    """One run day of a comparison."""

    date: Day
    """The run day."""
    train: tuple[Day, ...]
    """Days that were trained on."""
    validation: tuple[Day, ...] = Field(alias="validate")
    """Days on which all were judged."""
    rows: int
    """Impressions that were judged."""
    positives: int
    """Positives among them."""


class DifferencePart(Part):
    """One figure less another, on identical rows."""

    value: float
    """The difference; below 0 is better."""
    low: Bound
    """Lower end of its interval, of this comparison alone; null where it has none."""
    high: Bound
    """Upper end of it."""
    p: float
    """Two-sided p-value that there is no difference."""

    @property
    def limits(self) -> tuple[float, float]:
        """Both ends of the interval; infinite where it has none."""
        return (-inf if self.low is None else self.low, inf if self.high is None else self.high)


class CorrectedDifference(DifferencePart):
    """One of several differences."""

    p_holm: float
    """The p-value corrected for their number by Holm's method."""


class TrialMetrics(Figures):
    """A strategy's figures on the judged rows, each a mean over its seeds; null where one of them has none."""


class ComparedStrategy(Part):
    """One way to train, its figures, and what separates it from unweighted training."""

    name: str
    """Name of the strategy."""
    message: str = Field(alias="words")
    """A description of what it does."""
    changes: Mapping[str, RecipeValue]
    """Keys of the recipe that it sets otherwise, and to what."""
    own: bool
    """True for the recipe as it stands."""
    failure: str | None
    """The reason why it has no figures; null where it has."""
    metrics: TrialMetrics | None
    """Its figures; null where it failed."""
    seconds: float | None
    """Training time of one model, a mean."""
    delta: Mapping[Criterion, CorrectedDifference] | None
    """Its differences from the first strategy; null for that one and where it failed."""
    delta_by_day: Mapping[Criterion, Mapping[Day, float]] | None
    """The same differences of each run day alone; null where there is one day."""


class ComparedSimply(Part):
    """A simple model of the same windows, and what separates a network from it."""

    name: SimplerName
    """The model: scikit-learn's LogisticRegression or HistGradientBoostingClassifier."""
    network: str | None
    """The strategy that it is compared with: the recommended one, else the recipe's own."""
    failure: str | None
    """The reason why it has no figures; null where it has."""
    metrics: TrialMetrics | None
    """Its figures; null where it failed."""
    seconds: float | None
    """Time to train it and to predict, a mean over the run days."""
    delta: Mapping[Criterion, DifferencePart] | None
    """That network's figures less its own; below 0 the network is better. Null where it failed."""
    worth_it: bool | None
    """True if the network is surely better by the criterion; null where it failed."""
    message: str = Field(alias="words")
    """A sentence."""


class Recommendation(Part):
    """The way to train."""

    name: str | None
    """A simple model's name, where no network is surely better; else a strategy's, null where none stands out."""
    strategy: str | None = None
    """The strategy to train a network by; null where the evidence doesn't separate them."""
    message: str = Field(alias="words")
    """The reason, and what to write into the recipe."""


class FreshnessPoint(Part):
    """The recipe trained on a window that ends some days before the newest one."""

    age_days: int
    """Days between the ends of the two windows."""
    log_loss: float
    """Log loss on the judged rows."""
    low: Bound
    """The youngest window's log loss plus the lower end of the paired difference; null where it has none."""
    high: Bound
    """The youngest window's log loss plus the upper end of the paired difference; null where it has none."""
    delta: DifferencePart | None
    """The paired difference from the youngest window; null for that one itself."""


class ComparisonDocument(StoredDocument, ComparisonInputs):
    """Ways to train that were judged side by side: comparison.json in the comparison."""

    date: Day
    """The newest run day."""
    criterion: Criterion
    """The figure that the recommendation goes by."""
    confidence: float
    """Confidence of the intervals, from the recipe's gate."""
    seeds: tuple[int, ...]
    """Seeds of each strategy's models."""
    days: tuple[ComparedDay, ...]
    """The run days, oldest first."""
    strategies: tuple[ComparedStrategy, ...]
    """The strategies, the simplest first, which is unweighted training."""
    yardsticks: tuple[ComparedSimply, ...] = ()
    """Simple models, the simplest first; empty in comparisons of before there were any."""
    not_converged: str = ""
    """A warning where networks were still learning when their steps were over; empty where all had settled."""
    recommendation: Recommendation
    """The recommended way to train, or that none can be recommended."""
    freshness_curve: tuple[FreshnessPoint, ...]
    """Log loss by age of the data; empty where no other age was compared."""


class ComparisonAnswer(ComparisonDocument):
    """The answer of `compare`."""

    report: str
    """Address of its report."""
    recorded: bool
    """True if the comparison was found, made earlier from the same inputs."""


PolicyName = Literal["never_retrain", "always_promote", "best_auc", "estimate_within_margin", "gate"]
POLICY_NAMES: dict[PolicyName, str] = {  # in tables, in their order
    "never_retrain": "never retrain",
    "always_promote": "always promote",
    "best_auc": "better AUC",
    "estimate_within_margin": "estimate within the margin",
    "gate": "the gate",
}


class PolicyChampion(Part):
    """A model that serves under a policy, until another takes its place."""

    version: str
    """The model."""
    since: Day
    """The first of the compared days on which it serves."""
    days: int
    """Compared days on which it serves."""
    over_predecessor: IntervalPart | None
    """Its cost per 1,000 impressions on these days, less that of the model whose place it took; null for the first."""


class PolicyOutcome(Part):
    """A policy on past days: what it promotes, and what that costs."""

    name: PolicyName
    """The policy."""
    cost: float
    """Cost of its champions' decisions on all compared days, in currency units; a gain is negative."""
    cost_per_1000: float
    """The same per 1,000 impressions."""
    over_gate: IntervalPart | None
    """Its cost per 1,000 impressions less the gate's; null for the gate itself."""
    promotions: int
    """Challengers that it puts into service on the nights that it decides."""
    worse_days: int
    """Compared days on which a model serves that costs more than its predecessor by more than the margin, by its
    estimate over all of its days."""
    surely_worse_days: int
    """Those of them on which the whole interval is beyond the margin."""
    champions: tuple[PolicyChampion, ...]
    """The models that serve on the compared days, oldest first."""


class PolicyTable(Part):
    """Policies by which a challenger takes over, side by side on the same nights and the same logged impressions."""

    message: str = Field(alias="words")
    """Sentences that say what is compared, or why nothing is."""
    currency: str
    """Currency of the recipe's costs; empty where it names none."""
    margin: float
    """Cost per 1,000 impressions by which a refresh may be dearer: the recipe's `gate.max_cost_delta_per_1000`."""
    nights: tuple[Day, ...] = ()
    """Run days on which the policies decide."""
    days: tuple[Day, ...] = ()
    """Compared event days, on which what they decided serves."""
    rows: int = 0
    """Impressions of these days, of gated channels."""
    left_out: Mapping[Day, str] = Field({})
    """Run days on which no policy decides, and whose event day isn't compared, and the reason of each."""
    policies: tuple[PolicyOutcome, ...] = ()
    """The policies; none where nothing is compared."""
