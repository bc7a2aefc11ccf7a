"""Compare strategies: train each on the same window, judge all on the same validation days, write their differences."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.models.documents.comparison_documents import (
    CRITERIA,
    SIMPLER_NAMES,
    ComparedDay,
    ComparedStrategy,
    ComparisonDocument,
    CorrectedDifference,
    Criterion,
    FreshnessPoint,
    Recommendation,
)
from ctr_retrain.models.errors import DataRejectedError, UsageError
from ctr_retrain.models.judging.costs import fill_values
from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.models.trials.differences import holm
from ctr_retrain.models.trials.recommendation import prefer_simpler, recommend
from ctr_retrain.models.trials.strategies import Strategy, strategies
from ctr_retrain.models.trials.trial import Trial, TrialRows
from ctr_retrain.tasks.compare.compare_simply import compare_simply
from ctr_retrain.tasks.compare.plan_comparison import ComparePlan, Fit, FitResult, Window
from ctr_retrain.tasks.evaluate.judge_challenger import untrainable
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.execution.model_process import Compute, Models, ProgressOf
from ctr_retrain.tasks.plan.run import Run
from ctr_retrain.tasks.store.layout import COMPARISON_FILE, scores_file
from ctr_retrain.tasks.store.protocol import Store, load_document
from ctr_retrain.tasks.train.disk_arrays import make_map
from ctr_retrain.tasks.train.row_roles import judged_rows_of
from ctr_retrain.tasks.train.weigh_rows import weigh_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ctr_retrain.tasks.plan.plan_run import RunPlan


def compare_strategies(store: Store, recipe: Recipe, plan: ComparePlan, folder: Path, models: Models) -> None:
    """Train and judge, and write comparison.json into the folder.

    Raises DataRejectedError where there is too little even for unweighted training, UsageError where that diverges.
    """
    chosen = strategies(recipe, plan.request.grid, plan.positive_ratio, plan.request.strategies)
    scratch = folder / "scores"
    scratch.mkdir()
    windows, failures = _windows(store, recipe, plan, chosen, scratch)
    # The first is unweighted training, which all others are compared with: without it there is no comparison.
    if why := failures.get(chosen[0].name):
        msg = f"compare for {plan.request.day}: {why}"
        raise DataRejectedError(msg)
    seeds = [recipe.training.seed + number for number in range(plan.request.seeds)]
    results = models.call(_fit_windows, store, windows, seeds, scratch, models.compute)
    failures |= {result.name: result.failure for result in results if result.failure}
    if why := failures.get(chosen[0].name):
        msg = f"compare for {plan.request.day}: expected a model of {chosen[0].name} training, received none: {why}"
        raise UsageError(msg)
    names = list(dict.fromkeys(result.name for result in results if result.name not in failures))
    runs = range(len(plan.runs))
    scores = {name: _by_seed(scratch, name, seeds, runs) for name in names}
    older = {_age(days) for days in plan.aged}
    trial = Trial(_judged(store, recipe, plan.runs, scratch), scores, recipe)
    failed_ages = {name.replace("_", " "): why for name, why in failures.items() if name in older}
    recommended = _recommended(trial, chosen, failures, plan.request.criterion, recipe)
    youngest = _youngest(chosen)
    network = recommended.name or (youngest if youngest in scores else chosen[0].name)
    yardsticks = compare_simply(trial, network, results, failures, plan.request.criterion)
    document = ComparisonDocument(
        **dict(replace(plan, left_out=plan.left_out | failed_ages).inputs),
        date=plan.request.day,
        criterion=plan.request.criterion,
        confidence=recipe.gate.confidence,
        seeds=tuple(seeds),
        days=_days(plan.runs),
        strategies=_strategies(trial, chosen, results, failures, plan.runs),
        not_converged=_not_converged(results),
        yardsticks=yardsticks,
        recommendation=prefer_simpler(recommended, yardsticks if _enough(trial, recipe) else ()),
        freshness_curve=_freshness(trial, youngest, plan.aged) if youngest in scores else (),
    )
    shutil.rmtree(scratch)  # all that lies in the folder is published with it
    document.write(folder / COMPARISON_FILE)


def load_comparison(store: Store, path: str) -> ComparisonDocument:
    """Return the document of a recorded comparison.

    Raises StorageError where it is damaged or of a format that this version doesn't know.
    """
    return load_document(store, path, COMPARISON_FILE, ComparisonDocument)


def _windows(
    store: Store, recipe: Recipe, plan: ComparePlan, chosen: Sequence[Strategy], scratch: Path
) -> tuple[list[Window], dict[str, str]]:
    """List the fits on each window, and the reason of each strategy that can't be trained."""
    windows: list[Window] = []
    failures: dict[str, str] = {}
    youngest = _youngest(chosen)
    for number, run in enumerate(plan.runs):
        wanted = {strategy.name: strategy.recipe for strategy in chosen}
        wanted |= {youngest: recipe} if plan.aged else {}
        older = {age: plans[number] for age, plans in plan.aged.items()}
        work: list[tuple[RunPlan, dict[str, Recipe]]] = [(run, wanted)]
        work += [(aged, {_age(age): recipe}) for age, aged in older.items()]
        for window, recipes in work:
            fits = []
            for name, variant in recipes.items():
                factors = weigh_rows(Run(store, variant, window, scratch))
                if failed := untrainable(variant, factors, []):
                    failures[name] = failed.message
                else:
                    fits.append(Fit(name, variant, factors))
            if fits:
                windows.append(Window(number, window, tuple(fits), simply=window is run))
    return windows, failures


def _fit_windows(
    progress_of: ProgressOf, store: Store, windows: list[Window], seeds: list[int], scratch: Path, compute: Compute
) -> list[FitResult]:
    from ctr_retrain.tasks.compare.fit_strategies import fit_windows  # noqa: PLC0415 - TensorFlow: not for the flow

    return fit_windows(progress_of, store, windows, seeds, scratch, compute)


def _by_seed(scratch: Path, name: str, seeds: Sequence[int], runs: range) -> list[NDArray[np.float32]]:
    """Return the probabilities of each seed's models; simple models have no seed, so theirs are those of all."""
    if name in SIMPLER_NAMES:
        return [_joined(scratch, name, seeds[0], runs)] * len(seeds)
    return [_joined(scratch, name, seed, runs) for seed in seeds]


def _joined(scratch: Path, name: str, seed: int, runs: range) -> NDArray[np.float32]:
    """Return one strategy's and seed's probabilities on the rows of all validation days, as an open memory map."""
    parts = [np.load(scratch / scores_file(name, seed, run), mmap_mode="r") for run in runs]
    if len(parts) == 1:
        return np.asarray(parts[0])
    joined: NDArray[np.float32] = make_map(scratch / f"{name}-{seed}.npy", np.float32, (sum(map(len, parts)),))
    np.concatenate(parts, out=joined)
    return joined


def _age(days: int) -> str:
    return f"age_{days}"


def _youngest(chosen: Sequence[Strategy]) -> str:
    """Return the name under which the recipe itself is trained on the youngest window."""
    return next((strategy.name for strategy in chosen if strategy.own), _age(0))


def _judged(store: Store, recipe: Recipe, runs: Sequence[RunPlan], scratch: Path) -> TrialRows:
    """Return the rows of all validation days, in the order in which models scored them."""
    found: dict[str, list[NDArray[np.generic]]] = {}
    for number, run in enumerate(runs):
        for day in run.validate:
            with duck.connect(scratch, threads=1) as connection:  # one thread keeps the rows' order
                rows = connection.sql(judged_rows_of(store, recipe, day)).to_arrow_table()
            for name in rows.column_names:
                found.setdefault(name, []).append(rows[name].to_numpy(zero_copy_only=False))
            found.setdefault("day", []).append(np.full(len(rows), number))
    columns = {name: np.concatenate(parts) for name, parts in found.items()}
    columns["campaign"] = np.unique(columns["campaign"].astype(str), return_inverse=True)[1]
    if "value" in columns:
        columns["value"] = fill_values(columns["value"], columns["channel"])
    return TrialRows(**columns)


def _days(runs: Sequence[RunPlan]) -> tuple[ComparedDay, ...]:
    """Describe the run days: which days each trained on and was judged by."""
    return tuple(
        ComparedDay(
            date=run.day,
            train=run.used_days.train,
            validation=run.used_days.validation,
            rows=sum(day.rows for day in run.validate),
            positives=sum(day.positives for day in run.validate),
        )
        for run in runs
    )


def _strategies(
    trial: Trial,
    chosen: Sequence[Strategy],
    results: Sequence[FitResult],
    failures: Mapping[str, str],
    runs: Sequence[RunPlan],
) -> tuple[ComparedStrategy, ...]:
    """Describe each strategy: its figures, and its differences from unweighted training."""
    baseline, *others = (strategy.name for strategy in chosen if strategy.name not in failures)
    deltas = _differences(trial, others, baseline)
    seconds = {name: mean(result.seconds for result in results if result.name == name) for name in (baseline, *others)}
    return tuple(
        ComparedStrategy(
            name=strategy.name,
            message=strategy.message,
            changes=strategy.changes,
            own=strategy.own,
            failure=failures.get(strategy.name),
            metrics=None if strategy.name in failures else trial.metrics(strategy.name),
            seconds=seconds.get(strategy.name),
            delta=deltas.get(strategy.name),
            delta_by_day=_by_day(trial, strategy.name, baseline, runs) if strategy.name in deltas else None,
        )
        for strategy in chosen
    )


def _differences(trial: Trial, names: Sequence[str], baseline: str) -> dict[str, dict[Criterion, CorrectedDifference]]:
    """Return each strategy's differences from the baseline; p_holm is corrected for the number of strategies."""
    deltas: dict[str, dict[Criterion, CorrectedDifference]] = {name: {} for name in names}
    for criterion in CRITERIA:
        found = [trial.difference(criterion, name, baseline) for name in names]
        for name, delta, p in zip(names, found, holm([delta.p for delta in found]), strict=True):
            deltas[name][criterion] = CorrectedDifference(**dict(delta.to_part()), p_holm=p)
    return deltas


def _by_day(
    trial: Trial, name: str, baseline: str, runs: Sequence[RunPlan]
) -> dict[Criterion, dict[date, float]] | None:
    """Return a strategy's differences from the baseline on each run day alone; None where there is one day."""
    if len(runs) == 1:
        return None
    return {
        criterion: {runs[day].day: value for day, value in trial.by_day(criterion, name, baseline).items()}
        for criterion in CRITERIA
    }


def _not_converged(results: Sequence[FitResult]) -> str:
    """Say which strategies' networks were still learning when their steps were over; empty where none was."""
    short = {result.name: result.cut_short for result in results if result.cut_short}
    if not short:
        return ""
    name, message = next(iter(short.items()))
    return (
        f"Networks have not converged ({', '.join(short)}), so that what looks better may only be what learns faster. "
        f"{name}: {message}. Leave training.batch_rows and the learning rates to the window, or lower batch_rows."
    )


def _recommended(
    trial: Trial, chosen: Sequence[Strategy], failures: Mapping[str, str], criterion: Criterion, recipe: Recipe
) -> Recommendation:
    """Recommend a strategy by the gate's floor of positives and its confidence, or say why none can be."""
    if not _enough(trial, recipe):
        positives, floor = int(trial.rows.label.sum()), recipe.gate.min_positives
        message = (
            f"Positives to judge by: expected at least {floor:,} (gate.min_positives), received {positives:,}. "
            "Judge by more days: --days."
        )
        return Recommendation(name=None, message=message)
    able = [strategy for strategy in chosen if strategy.name not in failures]
    return recommend(
        able,
        lambda one, other: trial.difference(criterion, one, other),
        criterion,
        1 - recipe.gate.confidence,
    )


def _enough(trial: Trial, recipe: Recipe) -> bool:
    """Return True if there are positives enough to recommend anything by."""
    return int(trial.rows.label.sum()) >= recipe.gate.min_positives


def _freshness(trial: Trial, youngest: str, ages: Iterable[int]) -> tuple[FreshnessPoint, ...]:
    """Return log loss by age of the data; low and high: the youngest's log loss plus the paired difference's bounds."""
    base = trial.metrics(youngest).log_loss
    assert base is not None
    curve = [FreshnessPoint(age_days=0, log_loss=base, low=base, high=base, delta=None)]
    for age in (age for age in ages if _age(age) in trial):
        delta = trial.difference("log_loss", _age(age), youngest)
        point = FreshnessPoint(
            age_days=age,
            log_loss=base + delta.value,
            low=base + delta.low,
            high=base + delta.high,
            delta=delta.to_part(),
        )
        curve.append(point)
    return tuple(curve) if len(curve) > 1 else ()
