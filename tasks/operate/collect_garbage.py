"""Garbage collection: remove the objects that no ref and no kept run needs, after the recipe's retention.

Refs stay, and with them the history of what was. What a live process on this machine names stays; what a
process on another machine has just written stays by its age.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

from ctr_retrain.models.data.days import plan_days
from ctr_retrain.models.documents.command_documents import GarbageReport
from ctr_retrain.models.documents.ref_documents import AcceptedRef, DayRef
from ctr_retrain.tasks.integrity.manifest import EncodedDay, KeptRun, MadeOfDays, Sharded
from ctr_retrain.tasks.ledger.read_ledger import load_ledger
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.champion import Champions, read_champions
from ctr_retrain.tasks.store.protocol import list_day_refs, load_day_refs, load_manifest
from ctr_retrain.tasks.train.encoding_key import encoding_digest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ctr_retrain.models.recipe.recipe import Recipe
    from ctr_retrain.tasks.store.protocol import Store


def collect_garbage(
    store: Store, recipe: Recipe, *, dry_run: bool = False, min_age: timedelta | None = None
) -> GarbageReport:
    """Remove the objects that nobody needs, or name them. min_age: instead of the recipe's. Raises StorageError."""
    spared = timedelta(hours=recipe.retention.min_age_hours) if min_age is None else min_age
    with store.collecting() as in_use:
        ages = store.ages()  # before the refs are read: what is published and named meanwhile is not among these
        young = {path for path, age in ages.items() if age < spared}
        kept = _needed(store, recipe, ages, in_use | young)
        removed = [path for path in ages if path not in kept]
        if not dry_run:
            # A ref may come to name an object meanwhile: where no lock keeps writers off, the store asks once more.
            removed = store.remove(removed, lambda: _needed(store, recipe, store.ages()))
    return GarbageReport(root=store.root, dry_run=dry_run, removed=tuple(removed), kept=len(ages) - len(removed))


def _needed(store: Store, recipe: Recipe, paths: Iterable[str], spared: Iterable[str] = ()) -> set[str]:
    """Return the spared objects and all that a ref or a kept run leads to, there or not, with their shards."""
    paths = list(paths)
    days = load_day_refs(store, layout.DAY_REFS, DayRef)
    current_days = {layout.day_object(day, ref.current) for day, ref in days}
    decisions = [decision for _, decision in load_day_refs(store, layout.ACCEPTED_REFS, AcceptedRef)]
    judged = {path for decision in decisions for path in (decision.day_object, decision.validation)}
    champions = read_champions(store)
    versions = _kept_versions(champions, recipe.retention.champions)
    runs = {layout.run_object(version) for version in versions} | _recent(store, recipe, paths, layout.RUNS)
    kept = [run for path in runs if (run := load_manifest(store, path, KeptRun))]
    comparisons = _recent(store, recipe, paths, layout.COMPARISONS)
    models = {layout.model_object(version) for version in (*versions, *_measures(store, champions, recipe))}
    # A verdict is bound to the champion that it was judged against, which stays as long as the run does.
    models |= {layout.model_object(run.champion) for run in kept if run.champion}
    labels = {path for run in kept for path in run.labels}
    labels |= _labels_at_hand(store, recipe, paths, current_days)
    labels |= {path for path in spared if path.startswith("labels/")}
    rows = current_days | judged | labels | _inputs(store, labels)  # labels are nothing without the landed days
    rows |= {path for path in spared if path.startswith("days/")}
    encoded = _encoded_at_hand(store, recipe, paths, current_days)
    evidence = {layout.ledger_object(night.run_id) for night in load_ledger(store).nights}
    return {*spared, *rows, *encoded, *runs, *comparisons, *models, *evidence, *_shards(store, rows)}


def _kept_versions(champions: Champions, earlier: int) -> list[str]:
    """Return the champion and those before it that a rollback can reach, newest first."""
    # A version that was rolled back stays barred, so no rollback leads to it.
    served = dict.fromkeys(t.version for t in reversed(champions.tenures) if t.version not in champions.barred)
    return list(served)[: earlier + 1]


def _measures(store: Store, champions: Champions, recipe: Recipe) -> list[str]:
    """Return the earlier versions that refreshes of the champion are held to, by the next run too."""
    current = champions.current
    if current is None:
        return []
    # After its days the anchor is followed by another one, which may be older than all that a rollback can reach.
    newest = max([*list_day_refs(store, layout.RUNS), current.run_day])
    days = (newest, newest + timedelta(days=1))
    found = [champions.earlier_than(current, day, recipe.gate.anchor_days) for day in days]
    return [tenure.version for earlier in found for tenure in earlier.values()]


def _recent(store: Store, recipe: Recipe, paths: list[str], folder: str) -> set[str]:
    """Return a folder's runs or comparisons from `runs_days` before the newest on, recorded or about to be."""
    days = {path: _day(path.rsplit("/", maxsplit=1)[-1][:10]) for path in paths if path.startswith(f"{folder}/")}
    newest = max([*list_day_refs(store, layout.RUNS), *(day for day in days.values() if day)], default=None)
    if newest is None:
        return set()
    oldest = newest - timedelta(days=recipe.retention.runs_days)
    return {path for path, day in days.items() if day is None or day >= oldest}


def _labels_at_hand(store: Store, recipe: Recipe, paths: list[str], current_days: set[str]) -> set[str]:
    """Return the labels that the next run would find: of the window's days, made only of landed days that refs name."""
    # Labels go by a digest of the landed days in them: those of a day that was ingested anew are never asked for again.
    found = _within_window(store, recipe, "labels", paths)
    return {path for path in found if _inputs(store, [path]) <= current_days}


def _encoded_at_hand(store: Store, recipe: Recipe, paths: list[str], current_days: set[str]) -> set[str]:
    """Return the encoded days that the next run would find; a kept run needs none, since its labels give them again."""
    digest = encoding_digest(recipe)
    return {
        path
        for path in _within_window(store, recipe, layout.ENCODED, paths)
        if (encoded := load_manifest(store, path, EncodedDay)) and encoded.encoding == digest
        if set(encoded.inputs) <= current_days
    }


def _within_window(store: Store, recipe: Recipe, folder: str, paths: list[str]) -> list[str]:
    """Return the objects of a folder that belong to an event day which the next run may read."""
    landed = list_day_refs(store, layout.DAY_REFS)
    if not landed:
        return []
    window = {str(day) for day in plan_days(landed[-1], recipe).all_days}
    return [path for path in paths if path.startswith(f"{folder}/") and path.split("/")[1] in window]


def _inputs(store: Store, labels: Iterable[str]) -> set[str]:
    """Return the landed days that went into labels."""
    made = [found for path in labels if (found := load_manifest(store, path, MadeOfDays))]
    return {path for found in made for path in found.inputs}


def _shards(store: Store, paths: Iterable[str]) -> set[str]:
    """Return the shards in which the rows of landed and labelled days lie."""
    rows = [found for path in paths if (found := load_manifest(store, path, Sharded))]
    return {shard for found in rows for shard in found.shards}


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
