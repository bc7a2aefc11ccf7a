"""Holding a root for a run: the lease is taken, or waited for; given back in the end, however the run ends."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from ctr_retrain.models.documents.ref_documents import LeaseHolder
from ctr_retrain.tasks.lease.guarded_store import GuardedStore
from ctr_retrain.tasks.lease.lease import PACE, Lease, Pace, try_lease
from ctr_retrain.tasks.lease.lease_words import describe_holder, held_error
from ctr_retrain.tasks.lease.live_process import this_holder
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.protocol import Store

FIRST_LOOK_SECONDS, LONGEST_LOOK_SECONDS = 1.0, 10.0  # between two looks of one that waits

log = logging.getLogger(__name__)

# What a run calls publishes by the run's lease and takes none of its own: a command's flow, the days of a backfill.
_HELD: ContextVar[Mapping[str, Lease]] = ContextVar("held", default={})  # noqa: B039 - by root; never changed in place


@dataclass(frozen=True)
class Patience:
    """The time to wait for another run, and the way to tell of it."""

    minutes: float = 0  # 0: not at all
    tell: Callable[[str], None] = log.warning


IMPATIENT = Patience()


@contextmanager
def holding(store: Store, command: str, patience: Patience = IMPATIENT, pace: Pace = PACE) -> Iterator[Store]:
    """Hold the root while this lasts, and give the store through which to publish; `command` as it could be typed.

    Raises BusyError where another run holds the root, and does so still after the patience; StorageError.
    """
    if held := _HELD.get().get(store.root):
        yield GuardedStore(store, held)
        return
    lease = wait_for_lease(store, command, patience, pace)
    before = _HELD.set({**_HELD.get(), store.root: lease})
    try:
        lease.begin_signs_of_life()
        yield GuardedStore(store, lease)
    finally:
        _HELD.reset(before)
        lease.give_back()


def wait_for_lease(store: Store, command: str, patience: Patience = IMPATIENT, pace: Pace = PACE) -> Lease:
    """Take the lease, as soon as whoever holds it is done or dead; raises BusyError where that takes too long."""
    began, told = time.monotonic(), ""
    while True:
        found = try_lease(store, this_holder(command), pace)
        if isinstance(found, Lease):
            return found
        waited = time.monotonic() - began
        # Between the two looks the holder may have given it back: then there is nothing left to tell.
        if found.holder is not None and waited >= patience.minutes * 60:
            age = store.ref_age(layout.LEASE_REF)
            raise held_error(store.root, found.holder, age, pace.dead_seconds, waited if patience.minutes else 0)
        if found.holder is not None and found.holder.id != told:
            told = found.holder.id
            patience.tell(_waiting(store, command, found.holder, patience))
        time.sleep(min(LONGEST_LOOK_SECONDS, FIRST_LOOK_SECONDS + waited / 10))


def _waiting(store: Store, command: str, holder: LeaseHolder, patience: Patience) -> str:
    return (
        f"`{command}` waits, for {patience.minutes:g} minutes at most, until the root {store.root} is free: "
        f"{describe_holder(holder)}"
    )
