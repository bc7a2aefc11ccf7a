"""The outbox of a root: messages are written there with what people know, and go out from there, to each receiver once.

A run that dies leaves what it did not deliver to the next one. One process delivers at a time, so that two that end
together don't send the same message.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from ctr_retrain.models.incidents.message import Message, OutboxRef, Posting, Sender, Told
from ctr_retrain.models.incidents.message_text import first_line
from ctr_retrain.models.incidents.tell_changes import Letterhead, tell_changes
from ctr_retrain.tasks.alerts.delivery import Answer, Delivery, send_all
from ctr_retrain.tasks.alerts.incident_refs import load_incidents, swap_until_done
from ctr_retrain.tasks.alerts.receivers import Receiver
from ctr_retrain.tasks.lease.live_process import lives, this_process
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.protocol import Store, load_ref

MOST_PENDING = 200  # messages; the oldest go first
MOST_DELIVERED = 500  # names that are remembered
EXPIRES_DAYS = 14  # a message that nobody took by then is given up; the incident stays on the pages
SENDER_SECONDS = 60  # after which a sender on another machine counts as dead

EMPTY = OutboxRef(told=())

log = logging.getLogger(__name__)


def load_outbox(store: Store) -> OutboxRef:
    """Read the outbox; an empty one where there is none. Raises StorageError."""
    ref = load_ref(store, layout.OUTBOX_REF, OutboxRef)
    return ref.content if ref else EMPTY


def queue_news(store: Store, delivery: Delivery, head: Letterhead, now: datetime) -> tuple[Message, ...]:
    """Write what people don't know yet into the outbox, together with what they know then; return it.

    It is addressed to the receivers of its level that have not failed in this run.
    """
    new: list[Message] = []

    def add(box: OutboxRef) -> OutboxRef:
        # Read here, so that whoever told people of a newer state meanwhile makes this swap fail.
        messages, told = tell_changes(load_incidents(store), box.told, now.date(), head)
        new[:] = messages
        postings = [Posting(message=one, at=now.isoformat(), addressed=_addressed(one, delivery)) for one in messages]
        return with_postings(box, postings, now, told)

    swap_until_done(store, layout.OUTBOX_REF, OutboxRef, EMPTY, add)
    for message in new:
        about = f"channel {message.channel}" if message.channel else message.kind
        log.warning("alert on %s, %s: %s", message.date, about, first_line(message))
    return tuple(new)


def with_postings(
    box: OutboxRef, postings: Iterable[Posting], now: datetime, told: tuple[Told, ...] | None = None
) -> OutboxRef:
    """Return the outbox with messages more, none twice and none too old."""
    known = {*box.delivered, *(posting.message.id for posting in box.pending)}
    young = (now - timedelta(days=EXPIRES_DAYS)).isoformat()
    pending = [*box.pending, *(posting for posting in postings if posting.message.id not in known)]
    kept = tuple(posting for posting in pending if posting.at >= young)[-MOST_PENDING:]
    if len(kept) < len(pending):
        log.warning("%d messages that nobody took in %d days are given up", len(pending) - len(kept), EXPIRES_DAYS)
    return box.model_copy(update={"pending": kept, "told": box.told if told is None else told})


def deliver(store: Store, delivery: Delivery) -> list[Answer]:
    """Send what is pending to all who have not taken it yet, and return their answers.

    Another process that is at it delivers these messages too, and this one does nothing.
    """
    answers = list[Answer]()
    if not load_outbox(store).pending or not _claim(store):
        return answers
    try:
        # Once more where another process has written messages meanwhile and left them to this one.
        while work := _work(store, delivery):
            answers += _send(store, delivery, work)
    finally:
        _settle(store, delivery)
    return answers


def is_waited_for(store: Store, receiver: Receiver) -> bool:
    """Return True if some message waits for a receiver."""
    return any(_waits_for(posting, receiver) for posting in load_outbox(store).pending)


def _waits_for(posting: Posting, receiver: Receiver) -> bool:
    """Return True if a message is still to be sent to a receiver."""
    # Also what was written for others: whoever mends an address gets what the wrong one did not.
    return bool(posting.addressed) and receiver.gets(posting.message) and receiver.key not in posting.taken_by


def _addressed(message: Message, delivery: Delivery) -> tuple[str, ...]:
    """Return the keys of those who get a message."""
    failed = delivery.patience.failed
    return tuple(one.key for one in delivery.receivers if one.gets(message) and one.key not in failed)


def _work(store: Store, delivery: Delivery) -> list[tuple[Receiver, list[Message]]]:
    """Return the messages that each receiver has still to get; none where a run has waited long enough."""
    if delivery.patience.is_over:
        return []
    pending = load_outbox(store).pending
    waiting = {
        one: [posting.message for posting in pending if _waits_for(posting, one)]
        for one in delivery.receivers
        if one.key not in delivery.patience.failed
    }
    return [(receiver, messages) for receiver, messages in waiting.items() if messages]


def _send(store: Store, delivery: Delivery, work: Iterable[tuple[Receiver, list[Message]]]) -> list[Answer]:
    """Send to receivers; what was taken is noted at once, so that a death repeats as little as can be."""

    def note(answer: Answer) -> None:
        if not answer.failure:
            _note_taken(store, answer.message, answer.receiver.key)

    answers = send_all(work, delivery.patience, note)
    for answer in answers:
        if answer.failure:
            log.warning("%s did not take the alert: %s", answer.receiver.name, answer.failure)
    return answers


def _note_taken(store: Store, message: Message, key: str) -> None:
    """Note that a receiver took a message."""

    def note(box: OutboxRef) -> OutboxRef:
        pending = tuple(
            posting.model_copy(update={"taken_by": (*posting.taken_by, key)})
            if posting.message.id == message.id and key not in posting.taken_by
            else posting
            for posting in box.pending
        )
        return box.model_copy(update={"pending": pending})

    swap_until_done(store, layout.OUTBOX_REF, OutboxRef, EMPTY, note)


def _settle(store: Store, delivery: Delivery) -> None:
    """Take messages out that all have taken to whom they go, and give up the right to deliver.

    A receiver that is not set any more is not waited for, unless none is: somebody's shell may lack the settings.
    """
    at_hand = {one.key for one in delivery.receivers}

    def settle(box: OutboxRef) -> OutboxRef:
        missing = {p.message.id: set(p.addressed) - set(p.taken_by) for p in box.pending}
        done = [name for name, keys in missing.items() if not keys or (at_hand and not keys & at_hand)]
        update = {
            "pending": tuple(posting for posting in box.pending if posting.message.id not in done),
            "delivered": (*box.delivered, *done)[-MOST_DELIVERED:],
            "sender": None,
        }
        return box.model_copy(update=update)

    swap_until_done(store, layout.OUTBOX_REF, OutboxRef, EMPTY, settle)


def _claim(store: Store) -> bool:
    """Take the right to deliver; False where another process that lives has it."""
    now = datetime.now(UTC)
    own = Sender(**dict(this_process()), at=now.isoformat())
    claimed = [False]

    def claim(box: OutboxRef) -> OutboxRef:
        ours = box.sender is not None and (box.sender.host, box.sender.process) == (own.host, own.process)
        claimed[0] = box.sender is None or ours or not _lives(box.sender, now)
        return box.model_copy(update={"sender": own}) if claimed[0] else box

    swap_until_done(store, layout.OUTBOX_REF, OutboxRef, EMPTY, claim)
    return claimed[0]


def _lives(sender: Sender, now: datetime) -> bool:
    """Return True if a sender may still be at it: on this machine if its process lives, elsewhere for a minute."""
    alive = lives(sender)
    return alive if alive is not None else now - datetime.fromisoformat(sender.at) < timedelta(seconds=SENDER_SECONDS)
