"""Read the ledger for tonight's gate: the nights that asked the same question, the budget, how days differ."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta

from ctr_retrain.models.documents.verdict_documents import Question
from ctr_retrain.models.gate.weighing import ANCHOR, PREDECESSOR, Evidence
from ctr_retrain.models.judging.day_variance import DayVariance, PastEstimate, estimate_day_variance
from ctr_retrain.models.judging.judged_rows import champion_over, over
from ctr_retrain.models.ledger.error_budget import share_of_budget
from ctr_retrain.models.ledger.ledger_documents import LedgerNight, LedgerRef, PastFigureName
from ctr_retrain.models.ledger.pooled_nights import Night, each_day_once
from ctr_retrain.models.ledger.refresh_steps import Step
from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.tasks.ledger.night_cells import changed_decisions, read_cells
from ctr_retrain.tasks.plan.run import Run
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.protocol import Store, digest_of, load_ref, open_verified

LOOK_BACK = timedelta(days=28)  # of nights that tell how days differ: four of each weekday
# Nights of refreshes against one champion that are added up: eight weeks, after which it is no more what it was.
REFRESH_NIGHTS_KEPT = 56
STEP: PastFigureName = "champion_over_predecessor"
CALIBRATION: PastFigureName = "challenger"  # the sum of the ratio's numerator: it is no difference to a champion


def load_ledger(store: Store) -> LedgerRef:
    """Read the ledger; an empty one where no night was entered."""
    ref = load_ref(store, layout.LEDGER_REF, LedgerRef)
    return ref.content if ref else LedgerRef(nights=(), changes=())


def prices_of(recipe: Recipe) -> str:
    """Return a digest of what is gated and what decisions cost."""
    return digest_of({name: [one.gated, one.cost.model_dump(mode="json")] for name, one in recipe.channels.items()})


def evidence_for(
    run: Run, question: Question, champion_digest: str | None, scored: Iterable[str], dominant: str | None = None
) -> Evidence:
    """Return the evidence of nights before the run's day.

    champion_digest: of what trained the champion. scored: roles of the earlier champions that are scored tonight.
    dominant: what is to be said of a campaign with nearly all rows.
    """
    ledger, plan = load_ledger(run.store), run.plan
    # A run for a past day sees what was known then, so that it comes to the verdict that it came to.
    past = [night for night in ledger.nights if night.day < plan.day and night.challenger == plan.training_digest]
    earlier = {role: plan.earlier[role].version for role in scored}
    same = _same_question(past, run, question, champion_digest)
    taken, chain = _steps(ledger, run)
    share, number = _share(ledger, plan.training_digest, champion_digest, plan.day)
    return Evidence(
        nights=_nights(run.store, same, earlier),
        error=run.recipe.gate.false_changes_per_year * share,
        change=number,
        days=_day_variances(night for night in past if night.day >= plan.day - LOOK_BACK),
        champion=plan.champion.version if plan.champion else None,
        champion_days=(plan.day - plan.champion.run_day).days if plan.champion else 0,
        earlier=earlier,
        steps=taken,
        chain=chain,
        message=_anchor_message(run, earlier),
        dominant_campaign=dominant,
    )


def _same_question(
    past: list[LedgerNight], run: Run, question: Question, champion_digest: str | None
) -> list[LedgerNight]:
    """Return the nights whose evidence adds to tonight's; none where a first model is judged, by its own rows alone."""
    alike = [night for night in past if night.question == question and night.prices == prices_of(run.recipe)]
    if question == "change":  # measured by whatever its opponent's training made
        return [night for night in alike if night.champion == champion_digest]
    # A refresh is measured by the champion in service and no other, which other challengers came close to or didn't.
    version = run.plan.champion.version if run.plan.champion else None
    return [night for night in alike if version and night.champion_version == version][-REFRESH_NIGHTS_KEPT:]


def _steps(ledger: LedgerRef, run: Run) -> tuple[list[Step], list[Step] | None]:
    """Return the steps of this recipe's refreshes that served before the champion, and those since the anchor.

    The latter are None where one of them isn't known.
    """
    plan, known = run.plan, dict[str, LedgerNight]()
    serving = plan.champion.version if plan.champion else None
    for night in ledger.nights:
        version, asked = night.champion_version, (night.champion, night.prices)
        # A champion that is its own anchor took no step, whatever served before it.
        took = STEP in night.figures and {ANCHOR, PREDECESSOR} <= night.earlier.keys()
        if version and night.day < plan.day and took and asked == (plan.training_digest, prices_of(run.recipe)):
            known[version] = night  # the last of its nights knows most
    steps = {version: _step(night) for version, night in known.items()}
    earlier = {role: tenure.version for role, tenure in plan.earlier.items()}
    chain, version = list[Step](), earlier.get(PREDECESSOR)
    while version and version != earlier.get(ANCHOR) and version in steps and len(chain) < len(steps):
        chain.append(steps[version])
        version = known[version].earlier[PREDECESSOR]
    whole = version is not None and version == earlier.get(ANCHOR)
    return [step for version, step in steps.items() if version != serving], chain if whole else None


def _step(night: LedgerNight) -> Step:
    figure = night.figures[STEP]
    return Step(figure.estimate, figure.standard_error)


def _nights(store: Store, nights: list[LedgerNight], earlier: dict[str, str]) -> list[Night]:
    """Read the cells of nights, each validation day's once; sums against another anchor than tonight's are left out."""
    found = []
    for night in nights:
        folder = open_verified(store, layout.ledger_object(night.run_id), layout.CELLS_FILE)
        if folder is None:  # of a root that was restored without it: less evidence is no failure
            continue
        others = [role for role, version in night.earlier.items() if earlier.get(role) != version]
        left_out = [name(role) for role in others for name in (over, champion_over)]
        found.append(Night(read_cells(folder / layout.CELLS_FILE, left_out), changed_decisions(night)))
    return each_day_once(found)


def _share(ledger: LedgerRef, challenger: str, champion: str | None, day: date) -> tuple[float, int]:
    """Return a change's share of the year's error and its number; of one that isn't known what it would get."""
    for change in ledger.changes:
        if (change.challenger, change.champion) == (challenger, champion):
            return change.share, change.number
    return share_of_budget((change.opened for change in ledger.changes), day)


def _day_variances(nights: Iterable[LedgerNight]) -> dict[str, DayVariance]:
    """Return by figure how far days differ, as far as there are nights enough to tell."""
    estimates: dict[str, list[PastEstimate]] = {}
    for night in nights:
        for name, figure in night.figures.items():
            group = "" if name == CALIBRATION else night.champion_version or ""
            one = PastEstimate(group, figure.estimate, figure.standard_error)
            estimates.setdefault(name, []).append(one)
    found = {name: estimate_day_variance(each) for name, each in estimates.items()}
    return {name: variance for name, variance in found.items() if variance}


def _anchor_message(run: Run, earlier: dict[str, str]) -> str:
    """Say aloud where the anchor can't be scored any more, so that the champion takes its place."""
    anchor = run.plan.earlier.get(ANCHOR)
    if anchor is None or ANCHOR in earlier:
        return ""
    return f"The anchor {anchor.version} can't be scored any more: tonight the champion takes its place."
