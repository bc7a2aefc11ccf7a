"""Rules of the lease in every history: holders that are stopped and killed anywhere, people, workers, a clock.

Each actor stands still before each request to the store, so that a history may stop it for ever, or for an hour, amid
whatever it does.
"""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ctr_retrain.models.documents.ref_documents import LeaseRef
from ctr_retrain.tasks.lease import lease as leases
from ctr_retrain.tasks.lease.guarded_store import GuardedStore
from ctr_retrain.tasks.lease.lease import Lease, Pace, read_lease, try_lease
from ctr_retrain.tasks.lease.live_process import this_holder
from ctr_retrain.tasks.lease.on_call import by_hand
from ctr_retrain.tasks.store import layout
from tests.support.counts import draws
from tests.support.stepped_store import Actor, Disk, SteppedStore, append

PACE = Pace(beat_seconds=10, dead_seconds=60)
REFS = ("champion", "runs/2026-03-01")
SECONDS = st.sampled_from((0, 1, 30, 59, 61, 300))


class Histories(RuleBasedStateMachine):
    @initialize()
    def begin(self):
        self.disk, self.actors = Disk(), []
        self.taken_over = self.before = 0  # the newest token of whoever took the root; the same before the last step
        self.by_hand = set()  # tokens of people, who need not have the root
        self.looked_at = self.count = 0
        self.told = []  # (ref, entry) that somebody was told is published
        self.dead = set()  # holders whose end the kernel of this machine tells
        self.outside = leases.has_ended, leases.LONGEST_PAUSE
        leases.has_ended = lambda holder: holder.id in self.dead
        leases.LONGEST_PAUSE = 0

    def teardown(self):
        if hasattr(self, "outside"):
            for actor in self.actors:
                actor.kill()
            leases.has_ended, leases.LONGEST_PAUSE = self.outside

    def act(self, work):
        self.actors.append(Actor(lambda actor: work(SteppedStore(self.disk, actor), actor)))

    def publish(self, store, names):
        for name in names:
            self.count += 1
            entry = self.count
            append(store, name, entry)
            self.told.append((name, entry))

    @rule(names=st.lists(st.sampled_from(REFS), max_size=4), workers=st.lists(st.sampled_from(REFS), max_size=2))
    def run(self, names, workers):
        """A run publishes and gives the root back; a worker of it publishes by a copy of its lease."""

        def work(store, actor):
            holder = this_holder("daily")
            lease = try_lease(store, holder, PACE)
            if isinstance(lease, LeaseRef):
                return
            actor.holder, self.taken_over = holder.id, max(self.taken_over, lease.token)
            if workers:
                self.act(lambda theirs, _: self.publish(GuardedStore(theirs, copy_of(lease, theirs)), workers))
            for name in names:
                self.publish(GuardedStore(store, lease), [name])
                lease.give_sign_of_life()
            lease.give_back()

        self.act(work)

    @rule(name=st.sampled_from(REFS))
    def person(self, name):
        """Somebody publishes by hand, and is never kept waiting."""

        def work(store, _):
            hand = by_hand(store, "rollback")
            guard, swap = hand._guard, hand._guard.swap

            def swap_as_told(*arguments):
                try:
                    return swap(*arguments)
                finally:
                    if guard._token:
                        self.by_hand.add(guard._token)
                        self.taken_over = max(self.taken_over, guard._token)

            guard.swap = swap_as_told
            self.publish(hand, [name])

        self.act(work)

    @precondition(lambda self: self.actors)
    @rule(number=st.integers(0, 50), times=st.integers(1, 12))
    def go_on(self, number, times):
        self.actors[number % len(self.actors)].step(times)

    @precondition(lambda self: self.actors)
    @rule(number=st.integers(0, 50))
    def stop_before_it_publishes(self, number):
        """The moment at which all that it has looked at says that it may."""
        self.actors[number % len(self.actors)].step_until(lambda request: request in [("swap", name) for name in REFS])

    @precondition(lambda self: self.actors)
    @rule(number=st.integers(0, 50), seen=st.booleans())
    def kill(self, number, seen):
        """seen: on this machine, whose kernel tells; else its end shows by its silence."""
        actor = self.actors[number % len(self.actors)]
        actor.kill()
        if seen and hasattr(actor, "holder"):
            self.dead.add(actor.holder)

    @rule(seconds=st.sampled_from((1, 30, 59, 61, 300)))
    def wait(self, seconds):
        self.disk.now += seconds

    @rule(name=st.sampled_from(REFS))
    def whoever_comes_once_all_are_silent_gets_the_root(self, name):
        """No history leaves a root that nobody can have any more, nor a swap that may still come."""
        self.disk.now += 61
        store = SteppedStore(self.disk)
        lease = try_lease(store, this_holder("daily"), PACE)
        assert isinstance(lease, Lease)
        self.taken_over = max(self.taken_over, lease.token)
        self.publish(GuardedStore(store, lease), [name])
        lease.give_back()
        assert (read_lease(store).holder, read_lease(store).intents) == (None, ())

    @invariant()
    def nothing_is_published_under_a_token_that_was_taken_over(self):
        published = [write for write in self.disk.writes if write[0] in REFS]
        for _, _, token in published[self.looked_at :]:
            assert token >= self.before or token in self.by_hand, "a run that had lost the root published"
        self.looked_at, self.before = len(published), self.taken_over

    @invariant()
    def nothing_is_lost_and_tokens_only_rise(self):
        for name in REFS:
            found = self.disk.refs.get(name)
            entries = found[0].value["entries"] if found else []
            assert {entry for published, entry in self.told if published == name} <= set(entries)
            assert len(set(entries)) == len(entries)
        for name in (*REFS, layout.LEASE_REF):
            tokens = [value.get("token", stamp) for written, value, stamp in self.disk.writes if written == name]
            assert tokens == sorted(tokens)


def copy_of(lease, store):
    """The lease as it comes out of a pickle, in a process that reaches the store by its own way."""
    make, (_, *more) = lease.__reduce__()
    return make(store, *more)


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=draws(20, 2000), stateful_step_count=draws(30, 60))
