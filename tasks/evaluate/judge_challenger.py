"""Stage 8, gate: the verdict on the challenger, written as data, before anything is put into service.

A rejected or held challenger is a result of the run, not a failure of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from ctr_retrain.models.documents.drift_documents import Alert
from ctr_retrain.models.documents.verdict_documents import Check, Question, Verdict, VerdictDocument
from ctr_retrain.models.gate.judge import FAILED, judge
from ctr_retrain.models.judging.seed_noise import SeedDeviation, seed_deviation
from ctr_retrain.models.ledger.dominant_campaign import describe_dominant
from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.models.weights.row_weights import Factors
from ctr_retrain.tasks.decisions.measure_decisions import measure_decisions
from ctr_retrain.tasks.decisions.measure_guardrails import measure_guardrails, with_guarded_sums
from ctr_retrain.tasks.decisions.measure_money import check_values
from ctr_retrain.tasks.evaluate.measure_seed_twin import known_twins
from ctr_retrain.tasks.evaluate.score_models import judged_rows, unfairness
from ctr_retrain.tasks.integrity.manifest import PublishedModel
from ctr_retrain.tasks.ledger.read_ledger import evidence_for
from ctr_retrain.tasks.ledger.write_ledger import write_night
from ctr_retrain.tasks.plan.plan_run import RunPlan
from ctr_retrain.tasks.plan.run import Run
from ctr_retrain.tasks.slices.measure_slices import measure_slices
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.layout import SCORES_FILE, VERDICT_FILE
from ctr_retrain.tasks.store.protocol import Store, load_manifest
from ctr_retrain.tasks.train.weigh_rows import constant_rates


def judge_challenger(run: Run, known: Sequence[Check], service: Store | None = None) -> Verdict:
    """Judge the challenger by the recipe's gate and write verdict.json.

    known: checks that earlier stages made. service: the store that has the champion's manifest and the ledger, where
    it isn't the run's own. Where there is no champion, the challenger is compared with the answer of a model without
    features: each channel's positive ratio in the training window.
    """
    checks, plan, service = list(known), run.plan, service or run.store
    # A champion that has seen the validation days would look better there than it is: such a comparison proves nothing,
    # so the run is held for lack of evidence.
    if why := unfairness(service, plan):
        assert plan.champion is not None
        message = f"Champion {plan.champion.version} on the validation days: {why}."
        name = "champion_unseen_rows"
        checks.append(Check(name=name, value=None, bound=None, passed=False, message=message, kind="evidence"))
    rates = constant_rates(run.folder) if plan.champion is None else None
    scored = pq.read_table(run.folder / SCORES_FILE)
    rows = with_guarded_sums(judged_rows(scored, rates), scored, run.recipe)
    theirs = _published_champion(service, plan)
    same = theirs is not None and _trained_alike(theirs, plan)
    seeds = _seeds(run, theirs.recipe_digest) if theirs and not same else None
    checks += check_values(scored, run.recipe)
    slices = [*measure_slices(run, rows), *measure_decisions(run, scored, rows, refresh=same)]
    # By the calendar, so that the ledger counts each validation day once.
    rows = replace(rows, day=np.array([one.day.toordinal() for one in plan.validate])[rows.day])
    question: Question = "first" if plan.champion is None else "refresh" if same else "change"
    champion = (theirs.training_digest or theirs.recipe_digest) if theirs else None
    gated = [name for name, channel in run.recipe.channels.items() if channel.gated]
    campaigns = scored["campaign"].to_numpy(zero_copy_only=False)[np.isin(rows.channel, gated)]
    asked = replace(run, store=service)
    evidence = evidence_for(asked, question, champion, rows.earlier, describe_dominant(campaigns))
    slices += measure_guardrails(run, rows, evidence.nights)
    verdict = judge(rows, run.recipe, same_recipe=same, known=checks, seeds=seeds, slices=slices, evidence=evidence)
    if verdict.evidence:
        write_night(run, rows, evidence, question, champion)
    return write_verdict(run.folder, verdict)


def untrainable(recipe: Recipe, factors: Factors, alerts: Sequence[Alert]) -> Check | None:
    """Return the failed check because of which nothing should be trained today, or None."""
    # Counted after recency: where old days weigh little, their positives teach little, however many they are.
    floor, received = recipe.training.min_positives, factors.effective_positives
    if received < floor:
        message = (
            f"Effective positives after recency on the training days: expected at least {floor:,}, "
            f"received {received:,.1f}. Wait for more days; or what changes that: a longer window "
            f"(training.window_days = {recipe.training.window_days}), weights.half_life_days = "
            f"{recipe.row_weights.half_life_days:g}, or a lower training.min_positives."
        )
        name = "training_positives"
        return Check(name=name, value=received, bound=floor, passed=False, message=message, kind="evidence")
    if recipe.drift.holds_training and alerts:
        alert = alerts[0]
        message = f"Positive ratio: expected no alert (drift.holds_training), received: {alert.cause}"
        return Check(
            name="drift", value=alert.received, bound=alert.expected, passed=False, message=message, kind="evidence"
        )
    return None


def judge_without_challenger(folder: Path, check: Check, *, bootstrap: bool) -> Verdict:
    """Write the verdict of a run that ended without a challenger, for the reason that the failed check gives."""
    # The kind of the check decides: lack of evidence holds the run, training that diverged rejects it.
    decision = FAILED[check.kind]
    opening = "Rejected. No model came out of training" if decision == "reject" else "Held, nothing was trained"
    return write_verdict(
        folder, Verdict(decision=decision, bootstrap=bootstrap, checks=(check,), reason=f"{opening}. {check.message}")
    )


def write_verdict(folder: Path, verdict: Verdict) -> Verdict:
    """Write verdict.json into the run's folder."""
    VerdictDocument(**dict(verdict)).write(folder / VERDICT_FILE)
    return verdict


def _published_champion(store: Store, plan: RunPlan) -> PublishedModel | None:
    """Return what the champion says of itself; None where there is no champion."""
    path = layout.model_object(plan.champion.version) if plan.champion else None
    return load_manifest(store, path, PublishedModel) if path else None


def _trained_alike(champion: PublishedModel, plan: RunPlan) -> bool:
    """Return True if a run merely refreshes the champion: other bounds, prices or seeds make no other model."""
    return plan.recipe_digest == champion.recipe_digest or plan.training_digest == champion.training_digest


def _seeds(run: Run, theirs: str) -> SeedDeviation | None:
    """Return what another seed does to a cost, by earlier runs' twins of this recipe and of the champion's."""
    if not run.recipe.training.seed_twin_every:
        return None
    recipes, twins = (theirs, run.plan.recipe_digest), known_twins(run.store, run.plan.day)
    return seed_deviation(twin for twin in twins if twin.recipe_digest in recipes)
