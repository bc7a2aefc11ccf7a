"""Spool: a small store on this machine where incidents and messages wait while the root can't be read or written."""

from __future__ import annotations

import hashlib
import logging
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING

from ctr_retrain.models.errors import CtrRetrainError, StorageError
from ctr_retrain.models.incidents.follow_incidents import add_look
from ctr_retrain.models.incidents.incident import IncidentsRef
from ctr_retrain.models.incidents.message import OutboxRef
from ctr_retrain.tasks.alerts.incident_refs import change_incidents, load_incidents, swap_until_done
from ctr_retrain.tasks.alerts.outbox import EMPTY, load_outbox, with_postings
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.local_store import LocalStore

if TYPE_CHECKING:
    from ctr_retrain.models.incidents.alerts_section import Alerts
    from ctr_retrain.tasks.store.protocol import Store


log = logging.getLogger(__name__)


def spool_of(folder: Path, root: str) -> LocalStore:
    """Return the spool of a root, which shares the folder with those of other roots."""
    return LocalStore(folder / hashlib.sha256(root.encode()).hexdigest()[:16])


def empty_spool(spool: LocalStore, store: Store, rules: Alerts, now: datetime) -> None:
    """Move what waits in the spool into the root; what a run that died has moved already counts once.

    A spool that can't be read is put aside. Raises StorageError or BusyError where the root can't be written.
    """
    while moved := _moved_aside(Path(spool.root)):
        contents = _contents(moved)
        try:
            if contents:
                _pour(*contents, store, rules, now)
        except CtrRetrainError:  # the root fails still: what people were told must be known where this run goes on
            with suppress(OSError):
                moved.rename(spool.root)
            raise
        if contents:
            rmtree(moved, ignore_errors=True)  # another process may be at it too
        if moved.is_dir():
            return


def _moved_aside(folder: Path) -> Path | None:
    """Move a spool aside, so that what others write meanwhile begins a new one; None where there is none.

    One that a run which died has moved comes first.
    """
    aside = folder.with_name(f"{folder.name}.emptied")
    if not aside.is_dir():
        try:
            folder.rename(aside)
        except OSError:  # there is none, or another process has just moved it
            return None
    return aside


def _contents(moved: Path) -> tuple[IncidentsRef, OutboxRef] | None:
    """Read a spool; put one aside that is damaged or of a newer version, and return None: it must not stop alerts."""
    spool = LocalStore(moved)
    try:
        return load_incidents(spool), load_outbox(spool)
    except StorageError as error:
        kept = moved.with_suffix(".unreadable")
        log.warning("alerts that waited on this machine can't be read and stay in %s: %s", kept, error)
        rmtree(kept, ignore_errors=True)
        with suppress(OSError):
            moved.rename(kept)
        return None


def _pour(waiting: IncidentsRef, box: OutboxRef, store: Store, rules: Alerts, now: datetime) -> None:
    """Put what a spool holds into the root."""
    # The outbox first: with it goes what people know, so that nobody tells them again of what the looks show.
    swap_until_done(store, layout.OUTBOX_REF, OutboxRef, EMPTY, lambda own: _with_spooled(own, box, now))

    def with_looks(known: IncidentsRef) -> IncidentsRef:
        for look in waiting.looks:
            known = add_look(known, look, rules.incident_rules)
        return known

    change_incidents(store, with_looks)


def _with_spooled(own: OutboxRef, spooled: OutboxRef, now: datetime) -> OutboxRef:
    """Return the root's outbox with what the spool's has more: messages, and what people were told."""
    knows = {one.cause for one in own.told}
    told = (*own.told, *(one for one in spooled.told if one.cause not in knows))
    new = tuple(name for name in spooled.delivered if name not in own.delivered)
    merged = own.model_copy(update={"delivered": (*own.delivered, *new)})
    return with_postings(merged, spooled.pending, now, told)
