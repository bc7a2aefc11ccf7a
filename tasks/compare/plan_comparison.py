"""Plan of a comparison: its run days, each with training window and validation days, older windows, and its name.

Run days lie `validation_days` apart, so that no impression is judged twice. Labels are as of each run day, as its own
run had them. The name is a digest of all of that, of the recipe, the code and the request: the same is found again.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from ctr_retrain.models.documents.comparison_documents import ComparisonInputs, Criterion, RequestedComparison
from ctr_retrain.models.errors import DataRejectedError
from ctr_retrain.models.trials.strategies import Grid
from ctr_retrain.tasks.plan.plan_run import RunPlan, plan_run
from ctr_retrain.tasks.store.protocol import digest_of

if TYPE_CHECKING:
    from ctr_retrain.models.recipe.recipe import Recipe
    from ctr_retrain.models.weights.row_weights import Factors
    from ctr_retrain.tasks.orchestration.fan_out import FanOut
    from ctr_retrain.tasks.store.protocol import Store


@dataclass(frozen=True)
class CompareRequest:
    """The request of a comparison: which strategies to judge, by which days, how often, and by what."""

    # Prefect makes a form of these, with the descriptions beside them.
    day: Annotated[date, Field(description="The newest run day.")]
    days: Annotated[int, Field(ge=1, description="Run days to judge by, up to the newest.")] = 1
    seeds: Annotated[int, Field(ge=1, description="Models of each strategy and run day.")] = 3
    strategies: Annotated[tuple[str, ...], Field(description="Names of families of strategies; none: all.")] = ()
    half_lives: Annotated[tuple[float, ...], Field(description="Half-lives to try, in days.")] = ()
    class_powers: Annotated[tuple[float, ...], Field(description="Powers of the class weight to try.")] = ()
    ages: Annotated[tuple[int, ...], Field(description="Ages of the freshness curve, in days.")] = (
        1,
        2,
        4,
        7,
    )
    criterion: Annotated[
        Criterion, Field(description="The figure that a recommendation goes by, chosen before looking.")
    ] = "cost_per_1000"

    @property
    def document(self) -> RequestedComparison:
        """Return the request as the comparison's document has it."""
        return RequestedComparison(**asdict(self))

    @property
    def grid(self) -> Grid:
        """Return the values to vary."""
        return Grid(self.half_lives, self.class_powers)

    def run_days(self, recipe: Recipe) -> list[date]:
        """Return the run days, newest first, as far apart as a run has validation days."""
        return [self.day - timedelta(days=back * recipe.training.validation_days) for back in range(self.days)]

    def reach(self, recipe: Recipe) -> Recipe:
        """Return the recipe with a window that reaches back to the oldest day that the comparison may read."""
        training = recipe.training
        more = (self.day - self.run_days(recipe)[-1]).days + max(self.ages, default=0)
        window = training.model_copy(update={"window_days": training.window_days + more + 1})
        return recipe.model_copy(update={"training": window})


@dataclass(frozen=True)
class ComparePlan:
    """The inputs of one comparison."""

    comparison_id: str  # the newest run day, and the beginning of the digest
    request: CompareRequest
    runs: tuple[RunPlan, ...]  # one a run day, oldest first
    aged: dict[int, tuple[RunPlan, ...]]  # age in days → the same run days with training windows older by so much
    left_out: dict[str, str]  # run days and ages that can't be had → why
    recipe_digest: str
    code: str  # version and digest of this software, and of a network of one's own

    @property
    def positive_ratio(self) -> float:
        """Return the positive ratio of the rows of all training windows, before some are kept out."""
        days = [day for run in self.runs for day in run.train]
        return sum(day.positives for day in days) / sum(day.rows for day in days)

    @property
    def inputs(self) -> ComparisonInputs:
        """Return what the comparison's manifest and document say of its inputs."""
        return ComparisonInputs(
            comparison_id=self.comparison_id,
            day=self.request.day,
            request=self.request.document,
            left_out=self.left_out,
            recipe_digest=self.recipe_digest,
            code=self.code,
        )


@dataclass(frozen=True, eq=False)
class Fit:
    """One way to train on a window's rows, under its name; once for each seed."""

    name: str  # of the strategy, or of the window's age
    recipe: Recipe  # that trains by it
    factors: Factors  # of the rows' weights


@dataclass(frozen=True, eq=False)
class Window:
    """The fits on one training window, all scored on the same validation days."""

    run: int  # place of its run day among those compared, oldest first
    plan: RunPlan  # training window and validation days
    fits: tuple[Fit, ...]
    simply: bool  # train simple models too


@dataclass(frozen=True)
class FitResult:
    """The course of one fit."""

    name: str  # of the strategy, or of the window's age
    seed: int
    run: int  # place of its run day among those compared, oldest first
    seconds: float  # of training
    failure: str | None = None  # why it has no scores; None where it has
    cut_short: str = ""  # a sentence where its loss was still falling at the end


def plan_comparison(
    store: Store,
    recipe: Recipe,
    request: CompareRequest,
    problems: dict[str, str],
    fan_out: FanOut,
    forced_at: datetime | None = None,
) -> ComparePlan:
    """Plan each run day and its older windows, and name the comparison. `forced_at` makes a name of its own.

    Run days without a usable window are left out; raises DataRejectedError where it is the newest.
    """
    runs: list[RunPlan] = []
    aged: dict[int, list[RunPlan]] = {age: [] for age in request.ages}
    left_out: dict[str, str] = {}
    for day in request.run_days(recipe):
        try:
            run = plan_run(store, recipe, day, problems, fan_out).cold  # all fits start from nothing
        except DataRejectedError as error:
            if not runs:  # the newest day, which is the one that was asked for
                raise
            left_out[str(day)] = str(error)
            continue
        runs.insert(0, run)
        for age in list(aged):
            try:
                older = plan_run(store, recipe, day, problems, fan_out, days=run.days.aged(age)).cold
                missing = len(run.train) - len(older.train)
            except DataRejectedError:
                older, missing = None, len(run.train)
            if older is None or missing > 0:
                window = run.days.aged(age).train
                message = f"window {window[0]} to {window[-1]}: {missing} days fewer than the youngest has"
                left_out[f"age {age}"] = message
                del aged[age]
            else:
                aged[age].insert(0, older)
    return _named(recipe, request, runs, aged, left_out, forced_at)


def _named(
    recipe: Recipe,
    request: CompareRequest,
    runs: list[RunPlan],
    aged: dict[int, list[RunPlan]],
    left_out: dict[str, str],
    forced_at: datetime | None,
) -> ComparePlan:
    labels = [
        [[day.path for day in plan.train], [day.path for day in plan.validate]]
        for plan in (*runs, *(plan for plans in aged.values() for plan in plans))
    ]
    code, wanted = runs[0].code, request.document.to_json()
    forced = forced_at.isoformat() if forced_at else None
    name = f"{request.day}-{digest_of([labels, recipe.digest, code, wanted, forced])[:8]}"
    older = {age: tuple(plans) for age, plans in aged.items()}
    return ComparePlan(name, request, tuple(runs), older, left_out, recipe.digest, code)
