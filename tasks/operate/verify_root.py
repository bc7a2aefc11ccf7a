"""Verification of a whole root: every ref is of its kind, every object has the files of its manifest, byte for byte."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING

from ctr_retrain.models.documents.command_documents import Damage, VerifyAnswer
from ctr_retrain.models.documents.ref_documents import (
    AcceptedRef,
    AlertedRef,
    ChampionRef,
    DayRef,
    LeaseRef,
    RecipeNameRef,
    RunsRef,
)
from ctr_retrain.models.errors import StorageError
from ctr_retrain.models.incidents.incident import IncidentsRef
from ctr_retrain.models.incidents.message import OutboxRef
from ctr_retrain.models.incidents.night_ref import NightRef
from ctr_retrain.models.ledger.ledger_documents import LedgerRef
from ctr_retrain.tasks.execution.progress import progress_of
from ctr_retrain.tasks.integrity.manifest import (
    EncodedDay,
    KeptRun,
    LandedDay,
    MadeOfDays,
    Manifest,
    PublishedModel,
    Sharded,
)
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.protocol import day_of_ref, has_object, has_ref, list_refs, load_manifest, load_ref

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ctr_retrain.models.documents.document import Part, StoredDocument
    from ctr_retrain.tasks.integrity.manifest import FileEntry
    from ctr_retrain.tasks.store.protocol import Store

REF_KINDS: dict[str, type[StoredDocument]] = {
    layout.CHAMPION_REF: ChampionRef,
    layout.name_ref(): RecipeNameRef,
    layout.INCIDENTS_REF: IncidentsRef,
    layout.OUTBOX_REF: OutboxRef,
    layout.LEASE_REF: LeaseRef,
    layout.LEDGER_REF: LedgerRef,
}
OWN_FOLDERS = (layout.INCIDENTS_REF, layout.OUTBOX_REF, layout.LEDGER_REF)  # refs that have a folder for themselves
DAY_REF_KINDS: dict[str, type[StoredDocument]] = {  # by folder, where each ref is a day's
    layout.DAY_REFS: DayRef,
    layout.ACCEPTED_REFS: AcceptedRef,
    layout.ALERTED_REFS: AlertedRef,
    layout.RUNS: RunsRef,
    layout.NIGHT_REFS: NightRef,
}
# By folder, what objects say of themselves beside their files.
OBJECT_KINDS: dict[str, tuple[type[Part], ...]] = {
    "days": (LandedDay,),
    "labels": (MadeOfDays,),
    layout.ENCODED: (EncodedDay,),
    layout.RUNS: (KeptRun,),
    layout.MODELS: (PublishedModel,),
}


def verify_root(store: Store) -> VerifyAnswer:
    """Read every ref and every file under a root and name what is damaged or missing; nothing is changed.

    Of a bucket all files are fetched, past the cache. Raises StorageError where the root can't be listed.
    """
    refs = [
        *filter(partial(has_ref, store), REF_KINDS),
        *(name for folder in DAY_REF_KINDS for name in list_refs(store, folder)),
        *(name for own in OWN_FOLDERS for name in list_refs(store, own.split("/")[0]) if name not in REF_KINDS),
    ]
    damaged = [damage for name in refs for damage in _damage(f"refs/{name}.json", _check_ref, store, name)]
    paths, sizes = list(store.ages()), list[int]()
    with progress_of("verifying", "objects") as progress:
        for done, path in enumerate(paths, 1):
            damaged += _damage(path, _check_object, store, path)
            sizes += [entry.size for entry in _entries(store, path)]
            progress(done, len(paths))
    return VerifyAnswer(
        root=store.root,
        refs=len(refs),
        objects=len(paths),
        files=len(sizes),
        size=sum(sizes),
        damaged=tuple(damaged),
    )


def _damage(path: str, check: Callable[[Store, str], Iterable[str]], store: Store, name: str) -> list[Damage]:
    """Make one check and return what it found, or what kept it from looking."""
    # Whoever restores from a backup wants to know all that is to be restored, so no damage ends the look.
    try:
        return [Damage(path=path, message=message) for message in check(store, name)]
    except StorageError as error:
        return [Damage(path=path, message=str(error))]


def _check_ref(store: Store, name: str) -> Iterator[str]:
    """Read a ref as its kind, and yield what it names and isn't there; raises StorageError where it is none."""
    folder = name.split("/", maxsplit=1)[0]
    if folder in DAY_REF_KINDS:
        day_of_ref(store, name)
    kind = REF_KINDS.get(name) or DAY_REF_KINDS.get(folder)
    if kind is None:
        msg = f"refs/{name}.json under {store.root}: expected no such file. It is none of ours: move it elsewhere."
        raise StorageError(msg)
    ref = load_ref(store, name, kind)
    named = _named(store, name, ref.content) if ref else ()
    yield from (f"expected the object {path}, received none" for path in named if not has_object(store, path))


def _named(store: Store, name: str, content: StoredDocument) -> tuple[str, ...]:
    """Return the objects that a ref needs; a run may have gone by the recipe's retention."""
    match content:
        case ChampionRef():
            return (layout.model_object(content.current),)
        case DayRef():
            return (layout.day_object(day_of_ref(store, name), content.current),)
        case AcceptedRef():
            return (content.day_object, content.validation)
    return ()


def _check_object(store: Store, path: str) -> Iterator[str]:
    """Yield what is wrong with an object: files, shards that are gone; raises StorageError for its manifest."""
    for kind in OBJECT_KINDS.get(path.split("/", maxsplit=1)[0], ()):
        load_manifest(store, path, kind)
    if sharded := load_manifest(store, path, Sharded):
        yield from (f"expected its shard {one}, received none" for one in sharded.shards if not has_object(store, one))
    yield from map(str, store.damaged_files(path))


def _entries(store: Store, path: str) -> tuple[FileEntry, ...]:
    """Return the files of an object; none where its manifest is damaged, which is told already."""
    with contextlib.suppress(StorageError):
        if manifest := load_manifest(store, path, Manifest):
            return manifest.files
    return ()
