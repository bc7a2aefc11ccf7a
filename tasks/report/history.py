"""The history of a root in brief, from an index that is checked against the refs and mended where it is behind.

A listing shows of each ref whether it was written since; only those, and runs that the index doesn't know, are read.
So the truth stays in refs and runs: an index that is absent, damaged or another root's costs time and nothing else.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from ctr_retrain.models.documents.document import parse_document
from ctr_retrain.models.documents.run_documents import RunDocument
from ctr_retrain.models.errors import StorageError
from ctr_retrain.models.incidents.history_index import (
    HistoryIndex,
    IndexedDecision,
    IndexedNight,
    IndexedRun,
)
from ctr_retrain.tasks.execution.thread_pool import ThreadPool
from ctr_retrain.tasks.pages.render_page import link_from_root
from ctr_retrain.tasks.report.indexed_refs import READERS, IndexedRefs
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.layout import REPORT_FILE, RUN_FILE
from ctr_retrain.tasks.store.protocol import has_object

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ctr_retrain.tasks.store.protocol import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class UnreadableRun:
    """A run whose document this version can't read: damaged, or written by a newer one."""

    name: str
    reason: str  # a sentence
    page: str  # link from the root


@dataclass(frozen=True)
class History:
    """The history of a root, of all days or of the newest."""

    runs: tuple[IndexedRun, ...]  # newest day first, of one day's the newest first
    unreadable: tuple[UnreadableRun, ...]
    nights: dict[date, IndexedNight]  # of the newest days
    rejected: dict[date, IndexedDecision]  # of days that nobody accepted since, newest first
    newest_landed: date | None  # landing day that was ingested
    index: HistoryIndex  # as it is to be stored
    read: int  # refs and runs that the stored index didn't know as they are


def read_history(store: Store) -> History:
    """Read the history of all days. Raises StorageError where the root can't be read."""
    refs = IndexedRefs(store, load_index(store))
    records = refs.records()
    runs, unreadable, read = _runs(store, refs.known, store.list_candidates(layout.RUNS))
    index = HistoryIndex(runs=tuple(sorted(runs, key=lambda run: run.run_id)), records=records, complete=True)
    # The id of a run holds its day and no time: the day's history knows which run came later.
    order = {run_id: place for record in records.values() for place, run_id in enumerate(record.runs)}
    runs.sort(key=lambda run: (run.date, order.get(run.run_id, -1)), reverse=True)
    return _history(refs, index, runs, unreadable, read)


def read_newest(store: Store, days: int) -> History:
    """Read the runs of the newest days, one a day, and all else that is newest, listing from there on alone.

    Raises StorageError where the root can't be read.
    """
    refs = IndexedRefs(store, load_index(store))
    records = refs.records(newest_only=True)
    current = [layout.run_object(records[day].runs[-1]) for day in sorted(records, reverse=True)]
    # `gc` removes runs and leaves their refs: such days have nothing to show.
    before = min(current)[:-1] if current else ""  # listed is what comes behind it, and so the oldest run too
    there = set(store.list_candidates(layout.RUNS, after=before)) if current else set()
    runs, unreadable, read = _runs(store, refs.known, [path for path in current if path in there][:days])
    kept = {run.run_id: run for run in (*refs.known.runs, *runs)}
    index = HistoryIndex(
        runs=tuple(kept[run_id] for run_id in sorted(kept)),
        records={**refs.known.records, **records},
        complete=refs.known.complete,
    )
    return _history(refs, index, runs, unreadable, read)


def load_index(store: Store) -> HistoryIndex:
    """Load the stored index; an empty one where there is none that says what was written into it."""
    text = store.read_page(layout.HISTORY_FILE)
    if text is None:
        return HistoryIndex()
    try:
        known = parse_document(HistoryIndex, text, layout.HISTORY_FILE)
    except StorageError as error:  # damaged, or of another version
        log.info("the index of the history is made anew: %s", error)
        return HistoryIndex()
    return known if known.is_whole else HistoryIndex()


def keep_index(store: Store, history: History) -> None:
    """Store the index, where there is anything in it; raises StorageError where the root can't be written.

    Of two that are stored at once either may stay: whoever reads it finds what it lacks.
    """
    if not history.index.is_empty:
        store.write_page(layout.HISTORY_FILE, history.index.sealed().to_text())


def _history(
    refs: IndexedRefs, index: HistoryIndex, runs: list[IndexedRun], unreadable: list[UnreadableRun], read: int
) -> History:
    """Put a history together, with decisions and the newest nights."""
    nights, decisions, landed = refs.nights(), refs.decisions(), refs.newest_landed()
    update = {"nights": nights, "decisions": decisions, "newest_landed": landed}
    rejected = {day: decisions[day] for day in sorted(decisions, reverse=True) if not decisions[day].accepted}
    return History(
        runs=tuple(runs),
        unreadable=tuple(unreadable),
        nights=nights,
        rejected=rejected,
        newest_landed=landed,
        index=index.model_copy(update=update),
        read=refs.read + read,
    )


def _runs(store: Store, known: HistoryIndex, paths: Iterable[str]) -> tuple[list[IndexedRun], list[UnreadableRun], int]:
    """Return the runs at some paths, in their order, those that can't be read, and how many were read."""
    indexed = {layout.run_object(run.run_id): run for run in known.runs}
    paths = list(paths)
    unknown = [path for path in paths if path not in indexed]
    with ThreadPool(READERS) as pool:
        read = dict(zip(unknown, pool.map(lambda path: _read_run(store, path), unknown), strict=True))
    found = [indexed.get(path) or read[path] for path in paths]
    runs = [run for run in found if isinstance(run, IndexedRun)]
    return runs, [run for run in found if isinstance(run, UnreadableRun)], len(unknown)


def _read_run(store: Store, path: str) -> IndexedRun | UnreadableRun | None:
    """Read a run's document. One night's must not cost the page of all others; a store that fails does raise."""
    file = store.file(path, RUN_FILE)
    if file is None and not has_object(store, path):  # it has gone since it was listed
        return None
    page = link_from_root(store, path, REPORT_FILE)
    try:
        document = parse_document(RunDocument, file.read_bytes() if file else b"", f"{path}/{RUN_FILE}")
    except StorageError as error:
        return UnreadableRun(path.rsplit("/", maxsplit=1)[-1], str(error), page)
    return IndexedRun.of_run(document, page)
