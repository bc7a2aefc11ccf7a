"""The lease of a root, in `refs/lease.json`: taken, kept by signs of life, lost, given back.

No clock keeps a run that has lost the lease from publishing, since it may have been stopped at any moment and wake up
at any other. Tokens do: each holder has a higher one, and each swap of a guarded ref is announced in the lease first,
by a compare-and-swap that fails for whoever has lost it. Whoever takes over raises the token, so that nothing more can
be announced, and then closes what had been: it stamps these refs anew, so that a swap which was announced and not made
meets another version than it expects. A ref that wasn't there yet is written as it was announced.
"""

from __future__ import annotations

import logging
import random
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ctr_retrain.models.documents.ref_documents import LeaseHolder, LeaseRef, RefIntent, TokenRaise
from ctr_retrain.models.errors import BusyError, StorageError
from ctr_retrain.tasks.lease.lease_words import lost_error
from ctr_retrain.tasks.lease.live_process import has_ended
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.protocol import Ref, Store, TypedRef, load_ref, replace_ref

SWAPS = 50  # that a writer of the lease loses to others of the same holder before it gives up
LONGEST_PAUSE = 0.2  # seconds between two of them, of random length so that they part
SECONDS_TO_END = 30  # for a sign of life under way when the lease is given back
# Notes of what was, which each writer adds to: also a run that has lost the lease says how it ended.
NOTES = frozenset(
    name.split("/")[0] for name in (layout.NIGHT_REFS, layout.ALERTED_REFS, layout.INCIDENTS_REF, layout.OUTBOX_REF)
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pace:
    """The seconds between signs of life, and those after the last one from which a holder counts as dead."""

    beat_seconds: float = 10
    dead_seconds: float = 90


PACE = Pace()


def is_guarded(name: str) -> bool:
    """Return True if only the holder of the lease, and people by hand, may swap a ref."""
    return name.partition("/")[0] not in NOTES


def read_lease(store: Store) -> LeaseRef | None:
    """Read the lease of a root; None where no run ever took it. Raises StorageError."""
    ref = load_ref(store, layout.LEASE_REF, LeaseRef)
    return ref.content if ref else None


class Lease:
    """The lease in the hands of this process, or of one that it works for: it pickles, with its token, for workers."""

    def __init__(self, store: Store, token: int, holder: LeaseHolder, pace: Pace = PACE) -> None:
        """Take what was written into the lease; `known` is set by whoever wrote it."""
        self.token, self.holder, self.pace = token, holder, pace
        self.known: TypedRef[LeaseRef] | None = None  # as last read or written; None: it is to be read
        self._store = store
        self._done: set[str] = set()  # intents that stand in the lease and are over
        self._lost: BusyError | None = None
        self._lock = threading.Lock()
        self._heart: threading.Thread | None = None
        self._over = threading.Event()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle token and holder: a worker publishes by them, and gives no signs of life of its own."""
        return Lease, (self._store, self.token, self.holder, self.pace)

    def swap(self, store: Store, name: str, value: dict[str, Any], expected: Ref | None) -> Ref:
        """Swap a ref of the root; raises BusyError where the lease is lost, or where another was faster."""
        if not is_guarded(name):
            return store.swap_ref(name, value, expected)
        if expected is not None and expected.token > self.token:
            # Of a holder's own lease only where its file was lost, or put back from a backup, with its higher token.
            self._change(lambda lease: lease.above(expected.token))
        intent = RefIntent(id=uuid.uuid4().hex, ref=name, value=value if expected is None else None)
        self._change(lambda lease: lease.announcing(intent))
        try:
            swapped = store.swap_ref(name, value, expected, token=self.token)
        except BusyError:
            self._forget(intent)
            self.check()  # where the lease is lost, that is what is to be told
            raise
        # After any other error the intent stays: a request that was lost on its way may still arrive.
        self._forget(intent)
        return swapped

    def check(self) -> None:
        """Look into the store and raise BusyError where the lease is lost."""
        with self._lock:
            self.known = load_ref(self._store, layout.LEASE_REF, LeaseRef)
            self._require_own(self.known)

    def check_known(self) -> None:
        """Raise BusyError where the lease is known to be lost; costs nothing."""
        if self._lost is not None:
            raise self._lost

    def begin_signs_of_life(self) -> None:
        """Give signs of life from a thread that ends with the process, until the lease is given back."""
        self._heart = threading.Thread(target=self._live, name="lease", daemon=True)
        self._heart.start()

    def give_sign_of_life(self) -> None:
        """Write into the lease that its holder lives; raises BusyError where it is lost."""
        self._change(lambda lease: lease)

    def forget_all(self, intents: tuple[RefIntent, ...]) -> None:
        """Leave out intents of before, which are closed, with the next sign of life."""
        self._done.update(intent.id for intent in intents)

    def give_back(self) -> None:
        """Give the lease back; where that fails it passes on once its signs of life are old."""
        self._over.set()
        if self._heart is not None:
            self._heart.join(SECONDS_TO_END)
            if self._heart.is_alive():  # it waits for a service that doesn't answer, and so would this
                return
        try:
            self._change(LeaseRef.released)
        except (BusyError, StorageError) as error:
            log.debug("the lease of %s could not be given back: %s", self._store.root, error)

    def _live(self) -> None:
        while not self._over.wait(self.pace.beat_seconds):
            try:
                self.give_sign_of_life()
            except BusyError:
                return  # lost: the run hears of it when it next asks the store for something
            except StorageError as error:
                log.warning("no sign of life could be written into the lease of %s: %s", self._store.root, error)

    def _forget(self, intent: RefIntent) -> None:
        """Leave out an intent: with the next sign of life, or at once where this process gives none."""
        self.forget_all((intent,))
        if self._heart is None:
            with suppress(StorageError):  # one that stays costs whoever takes over a stamp
                self._change(lambda lease: lease)

    def _change(self, change: Callable[[LeaseRef], LeaseRef]) -> None:
        """Change the lease by compare-and-swap while it is this holder's; raises BusyError once it is not."""
        with self._lock:
            for _ in range(SWAPS):
                known, self.known = self.known or load_ref(self._store, layout.LEASE_REF, LeaseRef), None
                lease, done = self._require_own(known), frozenset(self._done)
                after = change(lease).without(done).with_sign_of_life()
                try:
                    self.known = replace_ref(self._store, layout.LEASE_REF, after, known)
                except BusyError:  # a worker of the same holder, or whoever took over: the next turn tells
                    time.sleep(random.uniform(0, LONGEST_PAUSE))  # noqa: S311 - chance is no secret
                else:
                    self.token = after.token
                    self._done -= done
                    return
        msg = f"lease of {self._store.root}: expected to write it within {SWAPS} attempts, received none. Run again."
        raise BusyError(msg)

    def _require_own(self, known: TypedRef[LeaseRef] | None) -> LeaseRef:
        """Return the lease as it stands; raises BusyError, from then on always, where it is another's."""
        self.check_known()
        if known is None or not known.content.is_held_by(self.token, self.holder.id):
            self._lost = lost_error(self._store.root, self.token, self.holder, known.content if known else None)
            raise self._lost
        return known.content


def try_lease(store: Store, holder: LeaseHolder, pace: Pace = PACE) -> Lease | LeaseRef:
    """Take the lease if nobody who lives holds it; else return it as it stands. Raises StorageError."""
    while True:
        ref = load_ref(store, layout.LEASE_REF, LeaseRef)
        before = ref.content if ref else LeaseRef(token=0)
        if is_held(store, before, pace):
            return before
        try:
            taken = replace_ref(store, layout.LEASE_REF, before.taken_by(holder), ref)
        except BusyError:  # another was faster: look again
            continue
        lease = Lease(store, taken.content.token, holder, pace)
        lease.known = taken
        try:
            close_intents(store, before.intents, lease.token)
        except (BusyError, StorageError):
            lease.give_back()  # with the intents, which the next holder closes
            raise
        lease.forget_all(before.intents)
        return lease


def is_held(store: Store, lease: LeaseRef, pace: Pace = PACE) -> bool:
    """Return True if the lease has a holder who is not known to be dead.

    On the holder's own machine the kernel says if the process has ended. Else its last sign of life has to be older
    than `dead_seconds` by the clock of the disk or the service that dates it: clocks of two machines are not compared.
    """
    if lease.holder is None or has_ended(lease.holder):
        return False
    age = store.ref_age(layout.LEASE_REF)
    return age is None or age < timedelta(seconds=pace.dead_seconds)


def raise_token(store: Store, who: str, command: str, at: str, stamp: int = 0) -> tuple[int, LeaseRef]:
    """Take the right to publish from whoever has it, for a person; return the new token, and the lease of before.

    Its intents are still to be closed. stamp: of the ref that is to be swapped. Raises StorageError.
    """
    while True:
        ref = load_ref(store, layout.LEASE_REF, LeaseRef)
        before = ref.content if ref else LeaseRef(token=0)
        token = max(before.token, stamp) + 1
        after = before.raised_by(TokenRaise(who=who, command=command, at=at, token=token))
        try:
            replace_ref(store, layout.LEASE_REF, after, ref)
        except BusyError:  # the holder gave a sign of life, or another took over: look again
            continue
        return after.token, before


def close_intents(store: Store, intents: tuple[RefIntent, ...], token: int) -> None:
    """Make sure that no swap which was announced under an older token can still come.

    Refs that are there are stamped with the token. One that isn't is written as it was announced. Raises BusyError
    where one changes all the time, which only somebody past the lease can do.
    """
    for intent in intents:
        for _ in range(SWAPS):
            with suppress(BusyError):
                _close(store, intent, token)
                break
        else:
            msg = f"ref {intent.ref} in {store.root}: expected it to stay for a moment, received {SWAPS} changes."
            raise BusyError(msg, ref=intent.ref)


def _close(store: Store, intent: RefIntent, token: int) -> None:
    """Stamp the ref of an intent, or write it as announced; raises BusyError where it changes meanwhile."""
    ref = store.read_ref(intent.ref)
    value = intent.value if ref is None else ref.value
    if value is None:  # it was there and is removed: a swap on what it was will find nothing
        return
    if ref is None or ref.token < token:
        store.swap_ref(intent.ref, value, ref, token=token)
