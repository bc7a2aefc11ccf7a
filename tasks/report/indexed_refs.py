"""Refs of a root in brief: taken from the index where a ref was not written since, else read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from typing import TypeVar

from ctr_retrain.models.documents.document import Stored
from ctr_retrain.models.documents.ref_documents import AcceptedRef, RunsRef
from ctr_retrain.models.incidents.history_index import (
    HistoryIndex,
    IndexedDecision,
    IndexedNight,
    IndexedRecord,
    IndexedRef,
)
from ctr_retrain.models.incidents.night_ref import NightRef
from ctr_retrain.tasks.execution.thread_pool import ThreadPool
from ctr_retrain.tasks.pages.render_page import link_from_root
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.layout import DATA_DOCS
from ctr_retrain.tasks.store.protocol import Store, day_of_ref, load_ref

READERS = 16  # refs read at once, each of which a bucket answers in its own time
NEWEST = 14  # days from which on the newest are listed, and of which nights are kept
KEPT_ATTEMPTS = 3  # of a day, the newest

Entry = TypeVar("Entry", bound=IndexedRef)


@dataclass
class IndexedRefs:
    """The refs of a root beside what an index knows of them. Each look raises StorageError where the root fails."""

    store: Store
    known: HistoryIndex
    read: int = field(default=0, init=False)  # refs that the index didn't know as they are

    def records(self, *, newest_only: bool = False) -> dict[date, IndexedRecord]:
        """Return the runs that were made for each day, or for the newest days."""
        marks = self._newest_marks(layout.RUNS, self.known.records) if newest_only else self._marks(layout.RUNS)
        return self._entries(layout.RUNS, marks, self.known.records, RunsRef, _record)

    def decisions(self) -> dict[date, IndexedDecision]:
        """Return the decision on each landed day."""
        folder, known = layout.ACCEPTED_REFS, self.known.decisions
        make = partial(_decision, self.store)
        return self._entries(folder, self._marks(folder), known, AcceptedRef, make)

    def nights(self) -> dict[date, IndexedNight]:
        """Return the attempts to make the runs of the newest days."""
        marks = self._newest_marks(layout.NIGHT_REFS, self.known.nights)
        newest = dict(sorted(marks.items())[-NEWEST:])
        return self._entries(layout.NIGHT_REFS, newest, self.known.nights, NightRef, _night)

    def newest_landed(self) -> date | None:
        """Return the newest landing day that was ingested; None where none was."""
        known = {self.known.newest_landed: None} if self.known.newest_landed else {}
        return max(self._newest_marks(layout.DAY_REFS, known, least=1), default=None)

    def _marks(self, folder: str, after: str = "") -> dict[date, str]:
        """List the days that have a ref in a folder, each with the ref's mark."""
        return {day_of_ref(self.store, name): mark for name, mark in self.store.ref_marks(folder, after).items()}

    def _newest_marks(self, folder: str, known: Mapping[date, object], least: int = NEWEST) -> dict[date, str]:
        """List the newest days alone, where the index knows from which on these are."""
        days = sorted(known)[-least:]
        if len(days) == least:
            marks = self._marks(folder, after=f"{folder}/{days[0] - timedelta(days=1)}")
            if days[-1] in marks:
                return marks
        # Too few to go by; or the newest that the index knows isn't there, as in one that belongs to another root.
        return self._marks(folder)

    def _entries(
        self,
        folder: str,
        marks: Mapping[date, str],
        known: Mapping[date, Entry],
        kind: type[Stored],
        make: Callable[[Stored, str], Entry],
    ) -> dict[date, Entry]:
        """Return what each ref says: as the index knows it while the mark is the same, else read anew."""
        found = {day: known[day] for day, mark in marks.items() if day in known and known[day].mark == mark}
        unknown = sorted(marks.keys() - found.keys())
        with ThreadPool(READERS) as pool:
            refs = list(pool.map(lambda day: load_ref(self.store, f"{folder}/{day}", kind), unknown))
        for day, ref in zip(unknown, refs, strict=True):
            if ref is not None:  # another process may have removed it since it was listed
                # With the older mark, where it was written between: it is read again then, which is right.
                found[day] = make(ref.content, marks[day])
        self.read += len(unknown)
        return dict(sorted(found.items()))


def _record(ref: RunsRef, mark: str) -> IndexedRecord:
    return IndexedRecord(mark=mark, runs=ref.history)


def _night(ref: NightRef, mark: str) -> IndexedNight:
    return IndexedNight(mark=mark, attempts=ref.attempts[-KEPT_ATTEMPTS:])


def _decision(store: Store, ref: AcceptedRef, mark: str) -> IndexedDecision:
    docs = "" if ref.accepted else link_from_root(store, ref.validation, DATA_DOCS)
    return IndexedDecision(mark=mark, accepted=ref.accepted, reason="" if ref.accepted else ref.reason, docs=docs)
