"""One way for whatever a run notices: signals become incidents, incidents messages, and messages go out."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from ctr_retrain.models.errors import BusyError, StorageError
from ctr_retrain.models.incidents.follow_incidents import add_look
from ctr_retrain.models.incidents.incident import Incident, IncidentsRef, Look
from ctr_retrain.models.incidents.message import Message
from ctr_retrain.models.incidents.signal import Signal, SignalKind
from ctr_retrain.models.incidents.tell_changes import Letterhead, tell_changes
from ctr_retrain.tasks.alerts.delivery import Answer, Delivery, send_all
from ctr_retrain.tasks.alerts.incident_refs import load_incidents, note_look
from ctr_retrain.tasks.alerts.outbox import deliver, is_waited_for, queue_news
from ctr_retrain.tasks.alerts.spool import empty_spool, spool_of
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.protocol import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reported:
    """The outcome of a report."""

    open: tuple[Incident, ...]  # incidents that are open after it, the gravest first
    messages: tuple[Message, ...]  # that it wrote
    kept: bool  # in the root; else the spool keeps them, or nothing does


def report_signals(
    store: Store,
    signals: Iterable[Signal],
    *,
    looked_at: Iterable[SignalKind],
    day: date,
    now: datetime,
    delivery: Delivery,
    report: str = "",
) -> Reported:
    """Note what a run for `day` noticed, and tell people what is new.

    looked_at: kinds that the run looked at; an open incident of such a kind that is not among the signals is over.
    Signals of other kinds count too, and end nothing. The same report twice changes nothing. report: address of the
    run's page; by default the one over all runs. Neither a receiver nor the store makes this fail.
    """
    look = Look(day=day, at=now.isoformat(), looked_at=tuple(sorted(set(looked_at))), signals=tuple(signals))
    head = Letterhead(delivery.recipe, day, report or f"{store.root}/{layout.RUN_LIST_PAGE}", delivery.runbook)
    spool = spool_of(delivery.spool, store.root)
    try:
        empty_spool(spool, store, delivery.rules, now)
        return _report(store, look, now, delivery, head)
    except (StorageError, BusyError) as error:
        log.warning("alerts wait on this machine until the root can be written: %s", error)
    try:
        return _report(spool, look, now, delivery, head, kept=False)
    except (StorageError, BusyError) as error:
        log.warning("alerts can't be kept on this machine either, and are sent as they are: %s", error)
        return _send_unkept(look, delivery, head)


def _report(
    store: Store, look: Look, now: datetime, delivery: Delivery, head: Letterhead, *, kept: bool = True
) -> Reported:
    """Note a look, write what is new into the outbox, deliver it; then tell the others of receivers that failed."""
    note_look(store, look, delivery.rules)
    messages = queue_news(store, delivery, head, now)
    answers = deliver(store, delivery)
    known = load_incidents(store)
    if any(answer.failure for answer in answers) or _failing(known):
        waits = {one.name for one in delivery.receivers if is_waited_for(store, one)}
        note_look(store, _look_at_receivers(known, answers, look, waits), delivery.rules)
        messages += queue_news(store, delivery, head, now)
        deliver(store, delivery)
    return Reported(load_incidents(store).open, messages, kept)


def _look_at_receivers(known: IncidentsRef, answers: Sequence[Answer], look: Look, waits: set[str]) -> Look:
    """Return the look at receivers: who failed now, and who failed before and was not tried; not who took all since.

    waits: names of receivers that have messages still to come; a run that died may have sent the others theirs.
    """
    failed = {answer.receiver.name: answer for answer in answers if answer.failure}
    still = [Signal.of(one) for one in _failing(known) if one.subject in waits - set(failed)]
    found = (*still, *(_failed_signal(answer, look.day) for answer in failed.values()))
    return Look(day=look.day, at=look.at, looked_at=("receiver_failed",), signals=found)


def _failing(known: IncidentsRef) -> list[Incident]:
    """Return the open incidents of receivers that failed."""
    return [incident for incident in known.open if incident.kind == "receiver_failed"]


def _failed_signal(answer: Answer, day: date) -> Signal:
    """Return the signal of a receiver that did not take a message."""
    setting = answer.receiver.place.rpartition(" ")[2]
    return Signal(
        kind="receiver_failed",
        subject=answer.receiver.name,
        level="warning",
        since=day,
        summary=f"An alert could not be delivered to {answer.receiver.name}: {answer.failure}.",
        details=(
            f"Its messages wait in the outbox, and each run tries again. Look at {setting} and the service there.",
        ),
        commands=("ctr-retrain alerts test",),
    )


def _send_unkept(look: Look, delivery: Delivery, head: Letterhead) -> Reported:
    """Send the messages of a look alone, where nothing can be written: better told twice than not at all."""
    known = add_look(IncidentsRef(incidents=()), delivery.rules.graded(look), delivery.rules.incident_rules)
    messages, _ = tell_changes(known, (), look.day, head)
    work = [(one, [m for m in messages if one.gets(m)]) for one in delivery.receivers]
    if not delivery.patience.is_over:
        send_all(work, delivery.patience, lambda _: None)
    return Reported(known.open, messages, kept=False)
