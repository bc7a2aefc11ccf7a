"""The registry of a root, for people and for the flows: runs by day, models, and the recipe that the root serves."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from ctr_retrain.models.documents.bundle_documents import ListedModel, ModelState
from ctr_retrain.models.documents.ref_documents import RecipeNameRef, RunsRef, Tenure
from ctr_retrain.models.documents.run_documents import RunDocument
from ctr_retrain.models.errors import BusyError, UsageError
from ctr_retrain.tasks.integrity.manifest import PublishedModel
from ctr_retrain.tasks.report.recorded_run import load_document
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.champion import Champions, read_champions
from ctr_retrain.tasks.store.protocol import (
    Store,
    has_object,
    has_ref,
    list_refs,
    load_manifest,
    load_ref,
    replace_ref,
)

if TYPE_CHECKING:
    from ctr_retrain.tasks.plan.plan_run import RunPlan


def claim_root(store: Store, recipe_name: str) -> None:
    """Make sure that the root serves this recipe alone, and sweep what writers that died left aside.

    Raises UsageError where it serves another.
    """
    served = served_recipe(store)
    if served is None:
        try:
            # None: absent. Of two recipes that claim a new root at once, one is refused.
            replace_ref(store, layout.name_ref(), RecipeNameRef(current=recipe_name), None)
        except BusyError:
            if served_recipe(store) != recipe_name:
                raise
    elif served != recipe_name:
        msg = (
            f"root {store.root}: expected recipe name {served!r}, whose runs it holds, "
            f"received {recipe_name!r}. Use another --root for another recipe."
        )
        raise UsageError(msg)
    store.sweep()


def is_root(store: Store) -> bool:
    """Return True if anything was ever published there: a slip in a path leads to where nothing was.

    Looked for is what a root has at its own places alone: a slip may lead to a disk full of other folders.
    """
    folders = (layout.DAY_REFS, layout.ACCEPTED_REFS, layout.RUNS)
    return (
        any(has_ref(store, name) for name in (layout.name_ref(), layout.CHAMPION_REF))
        or any(list_refs(store, folder) for folder in folders)
        or any(store.list_objects(folder) for folder in (layout.RUNS, layout.MODELS))
    )


def served_recipe(store: Store) -> str | None:
    """Return the name of the recipe that the root serves; None where no run has claimed it."""
    ref = load_ref(store, layout.name_ref(), RecipeNameRef)
    return ref.content.current if ref else None


def record_run(store: Store, plan: RunPlan, *, beside: bool = False) -> None:
    """Make a run its day's newest; one that was made beside another only once."""
    name = layout.run_ref(plan.day)
    ref = load_ref(store, name, RunsRef)
    history = ref.content.history if ref else ()
    # A run that is found again makes no new entry.
    if plan.run_id not in (history if beside else history[-1:]):
        try:
            replace_ref(store, name, RunsRef(current=plan.run_id, history=(*history, plan.run_id)), ref)
        except BusyError:
            newer = load_ref(store, name, RunsRef)
            if newer is None or newer.content.current != plan.run_id:
                raise


def recorded_run(store: Store, day: date) -> str | None:
    """Return the newest run that was made for a day, None where there is none or `gc` removed it."""
    ref = load_ref(store, layout.run_ref(day), RunsRef)
    run_id = ref.content.current if ref else None
    return run_id if run_id and has_object(store, layout.run_object(run_id)) else None


def finished_run(store: Store, day: date, *, shadow: bool) -> str | None:
    """Return a day's newest run if nothing is left to do: a promoted one was put into service or refused.

    In the shadow nothing goes into service, so a run is finished once it was made.
    """
    run_id = recorded_run(store, day)
    if run_id is None or shadow:
        return run_id
    run = load_document(store, layout.run_object(run_id))
    if run.verdict.decision != "promote":
        return run_id
    champions = read_champions(store)
    candidate = Tenure(
        version=run_id, run_day=run.day, data_through=run.data_through, action="promote", reason="", at=""
    )
    return run_id if champions.settles(candidate) or champions.refuses(candidate, run.champion) else None


def current_champion(store: Store) -> str | None:
    """Return the version in service, None where none is."""
    current = read_champions(store).current
    return current.version if current else None


def find_run(store: Store, run_or_day: str) -> RunDocument:
    """Return the document of a run by its id or its day; raises UsageError where there is none."""
    try:
        run_id = recorded_run(store, date.fromisoformat(run_or_day))
    except ValueError:  # not a day, and so the id of a run
        run_id = run_or_day
    if run_id is None or not has_object(store, layout.run_object(run_id)):
        msg = f"run {run_or_day}: expected one under {store.root}, received none. See `ctr-retrain status`."
        raise UsageError(msg)
    return load_document(store, layout.run_object(run_id))


def served_through(store: Store) -> date | None:
    """Return the newest day that the model in service has seen, None where none is in service."""
    version = current_champion(store)
    served = load_manifest(store, layout.model_object(version), PublishedModel) if version else None
    return served.data_through if served else None


def list_models(store: Store) -> tuple[ListedModel, ...]:
    """List every run's challenger, newest first: its verdict, and if it serves, served before or is barred."""
    champions = read_champions(store)
    listed = []
    for path in reversed(store.list_objects(layout.RUNS)):
        document = load_document(store, path)
        challenger = document.metrics.challenger
        if document.training is None or challenger is None:
            continue  # a run that trained nothing has no model
        # What serves may have been trained on later days than what was judged: a fresh pass follows a promotion.
        promoted = document.verdict.decision == "promote"
        model = ListedModel(
            version=document.run_id,
            date=document.date,
            data_through=document.serves.data_through if promoted else document.data_through,
            decision=document.verdict.decision,
            state=_state(champions, document.run_id),
            cost_per_1000=challenger.cost_per_1000,
        )
        listed.append(model)
    return tuple(listed)


def _state(champions: Champions, version: str) -> ModelState:
    if champions.current and champions.current.version == version:
        return "champion"
    if version in champions.barred:
        return "barred"
    return "served before" if any(t.version == version for t in champions.tenures) else "never served"
