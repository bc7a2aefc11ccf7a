"""A store in memory whose callers are stopped before each request, until a test lets them go on: every interleaving.

An actor is a thread that works until its next request to the store and then stands still. One of them moves at a time,
by its test's hand, so that a history is the same each time.
"""

import threading
from datetime import timedelta

from ctr_retrain.tasks.integrity.fencing_stamp import check_stamp
from ctr_retrain.tasks.store.protocol import Ref, swap_conflict


class Killed(BaseException):
    """Ends an actor's thread at its next request."""


class Actor:
    """Works `work(actor)` in a thread of its own, which stands still at once."""

    def __init__(self, work):
        self.answer = self.error = None
        self.over = self.killed = False
        self._turn, self._stands = threading.Semaphore(0), threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self._thread.start()
        self._stands.acquire()

    def step(self, times=1):
        """Let it go on to its next request, so many times."""
        for _ in range(times):
            if self.over:
                return
            self._turn.release()
            self._stands.acquire()

    def finish(self):
        while not self.over:
            self.step()

    def kill(self):
        """As SIGKILL does: nothing more of it reaches the store, no `finally` either."""
        self.killed = True
        self.finish()

    def step_until(self, request, most=60):
        """Let it go on until it stands before a request, such as ("swap", "champion")."""
        for _ in range(most):
            if self.over or request(self.stands_before):
                return
            self.step()

    def pause(self, request=("begin", "")):
        """Stand still before a request; called by the store, from the actor's own thread."""
        self.stands_before = request
        self._stands.release()
        self._turn.acquire()
        if self.killed:
            raise Killed

    def _run(self, work):
        try:
            self.pause()
            self.answer = work(self)
        except Killed:
            pass
        except Exception as error:  # noqa: BLE001 - the test looks at it
            self.error = error
        self.over = True
        self._stands.release()


class Disk:
    """What all stores in memory share: refs, a clock that a test moves, and who wrote what under which token."""

    def __init__(self):
        self.now = 0.0  # seconds
        self.refs = {}  # name → (ref, when it was written)
        self.writes = []  # (name, value, token) that changed what a ref says, in order
        self._versions = 0

    def write(self, name, value, stamp):
        self._versions += 1
        before = self.refs.get(name)
        self.refs[name] = (Ref(value, str(self._versions), stamp), self.now)
        if before is None or before[0].value != value:
            self.writes.append((name, value, stamp))
        return self.refs[name][0]


class SteppedStore:
    """One actor's way to the disk; `actor` None: of the test itself, which nothing stops."""

    root = "memory"

    def __init__(self, disk, actor=None):
        self.disk, self._actor = disk, actor

    def read_ref(self, name):
        self._pause("read", name)
        found = self.disk.refs.get(name)
        return Ref(dict(found[0].value), found[0].version, found[0].token) if found else None

    def swap_ref(self, name, value, expected, *, token=None):
        self._pause("swap", name)
        found = self.disk.refs.get(name)
        current = found[0] if found else None
        check_stamp(name, self.root, token, current.token if current else 0)
        if (current and current.version) != (expected and expected.version):
            raise swap_conflict(name, self.root)
        return self.disk.write(name, value, token if token is not None else expected.token if expected else 0)

    def ref_age(self, name):
        self._pause("date", name)
        found = self.disk.refs.get(name)
        return timedelta(seconds=self.disk.now - found[1]) if found else None

    def _pause(self, *request):
        if self._actor is not None:
            self._actor.pause(request)


def append(store, name, entry):
    """What every writer of a ref does: read, add to what it says, swap."""
    ref = store.read_ref(name)
    store.swap_ref(name, {"entries": [*(ref.value["entries"] if ref else ()), entry]}, ref)
