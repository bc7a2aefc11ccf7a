"""Write what a night adds to the ledger into its run, and enter it once the run is whole.

The cells are copied out of the run, so that they outlive it: evidence counts for a year, runs are kept for weeks.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from math import log, sqrt

from ctr_retrain.models.documents.verdict_documents import Question
from ctr_retrain.models.gate.weighing import Evidence, step_of
from ctr_retrain.models.judging.clustered_ratio import POSITIVE_DENOMINATOR, Clusters
from ctr_retrain.models.judging.judged_rows import COST_DELTA, JudgedRows
from ctr_retrain.models.ledger.error_budget import YEAR, share_of_budget
from ctr_retrain.models.ledger.ledger_documents import (
    LedgerChange,
    LedgerNight,
    LedgerNightDocument,
    LedgerRef,
    PastFigure,
    PastFigureName,
)
from ctr_retrain.models.ledger.night_of_rows import night_of
from ctr_retrain.models.ledger.pooled_nights import Night, each_day_once, pool
from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.tasks.ledger.night_cells import changed_rows, write_cells
from ctr_retrain.tasks.ledger.read_ledger import STEP, prices_of
from ctr_retrain.tasks.plan.run import Run
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.layout import CELLS_FILE, LEDGER_NIGHT_FILE
from ctr_retrain.tasks.store.protocol import Store, has_object, load_document, load_ref, open_verified, replace_ref


def write_night(run: Run, rows: JudgedRows, evidence: Evidence, question: Question, champion: str | None) -> None:
    """Write what the night adds into the run's folder; champion: digest of what trained it.

    rows: those that were judged, with days numbered by the calendar.
    """
    gated = {name: channel.cost for name, channel in run.recipe.channels.items() if channel.gated}
    night = night_of(rows.of_channels(gated), gated)
    write_cells(night.cells, run.folder / CELLS_FILE)
    LedgerNightDocument(
        day=run.plan.day,
        run_id=run.plan.run_id,
        question=question,
        challenger=run.plan.training_digest,
        champion=champion,
        champion_version=run.plan.champion.version if run.plan.champion else None,
        earlier=evidence.earlier,
        prices=prices_of(run.recipe),
        validation=tuple(day.day for day in run.plan.validate),
        figures=_figures(night) | _step([*(evidence.nights if question == "refresh" else ()), night], run.recipe),
        changed=changed_rows(night),
    ).write(run.folder / LEDGER_NIGHT_FILE)


def enter_night(store: Store, run_id: str) -> None:
    """Enter a run that is whole into the ledger; twice changes nothing. A run that judged nothing adds nothing.

    Of two runs of a day that asked the same, the newer one counts.
    """
    path = layout.run_object(run_id)
    if store.file(path, LEDGER_NIGHT_FILE) is None:
        return
    night = LedgerNight.of(load_document(store, path, LEDGER_NIGHT_FILE, LedgerNightDocument))
    _keep_cells(store, run_id)  # before the ref names them: what a ref names is there
    ref = load_ref(store, layout.LEDGER_REF, LedgerRef)
    before = ref.content if ref else LedgerRef(nights=(), changes=())
    after = add_night(before, night)
    if after != before:
        replace_ref(store, layout.LEDGER_REF, after, ref)
    if not store.stays(layout.ledger_object(run_id)):  # no ref named it until now
        _keep_cells(store, run_id)


def add_night(ledger: LedgerRef, night: LedgerNight) -> LedgerRef:
    """Add a night to the ledger's, open a change where it is the first of one, forget what is older than a year."""

    def asks(one: LedgerNight) -> tuple[object, ...]:
        return (one.day, one.challenger, one.champion, one.question)

    kept = [one for one in ledger.nights if asks(one) != asks(night) and one.day > night.day - YEAR]
    changes = ledger.changes
    known = {(change.challenger, change.champion) for change in changes}
    if night.question == "change" and night.champion and (night.challenger, night.champion) not in known:
        share, number = share_of_budget((change.opened for change in changes), night.day)
        opened = LedgerChange(
            challenger=night.challenger, champion=night.champion, opened=night.day, share=share, number=number
        )
        changes = (*changes, opened)
    nights = sorted([*kept, night], key=lambda one: (one.day, one.run_id))
    return LedgerRef(nights=tuple(nights), changes=changes)


def _keep_cells(store: Store, run_id: str) -> None:
    """Copy the run's cells into an object of their own."""
    path = layout.ledger_object(run_id)
    if has_object(store, path):
        return
    folder = open_verified(store, layout.run_object(run_id), CELLS_FILE)
    assert folder is not None  # the caller has read from it
    with store.writing(path, {"run_id": run_id}) as written:
        shutil.copyfile(folder / CELLS_FILE, written / CELLS_FILE)


def _step(nights: Sequence[Night], recipe: Recipe) -> dict[PastFigureName, PastFigure]:
    """Return what the champion costs more than its predecessor, where both were scored."""
    pooled = pool(each_day_once(nights), STEP, recipe.gate.confidence, None)
    step = step_of(pooled)
    return {STEP: PastFigure(estimate=step.estimate, standard_error=step.standard_error)} if step else {}


def _figures(night: Night) -> dict[PastFigureName, PastFigure]:
    """Return the night's figures by which days are told apart, those whose error its rows tell."""
    sums = dict(zip(night.cells.names, night.cells.sums.T, strict=True))
    clusters, found = Clusters.of_cells(night.cells), {}
    ratios: tuple[tuple[PastFigureName, str], ...] = (
        ("challenger", POSITIVE_DENOMINATOR),
        ("log_loss_delta", "rows"),
        (COST_DELTA, "rows"),
    )
    for top, bottom in ratios:
        spread = clusters.spread(sums[top], sums[bottom], positive=bottom == POSITIVE_DENOMINATOR)
        if spread.variance is not None and (bottom == "rows" or spread.logarithm):
            estimate = log(spread.ratio) if spread.logarithm else spread.ratio
            found[top] = PastFigure(estimate=estimate, standard_error=sqrt(spread.variance))
    return found
