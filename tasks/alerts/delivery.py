"""Delivery of a run's messages: to whom, by which rules, and how long a run waits for all of them together."""

from __future__ import annotations

import contextvars
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ctr_retrain.models.incidents.alerts_section import Alerts
from ctr_retrain.models.incidents.message import Message
from ctr_retrain.tasks.alerts.receivers import Receiver, import_apprise, send_message

PATIENCE_SECONDS = 8.0  # that a run waits in all; with what else is to be done it stays below ten
RESERVED_SECONDS = 2.0  # of these
ATTEMPTS = 3  # in one run
SECONDS_BETWEEN_ATTEMPTS = 1.0
REFUSALS = ("HTTP status", "Connection refused")


class Patience:
    """The time that a run still waits for receivers, whatever it reports how often, and who has failed it already."""

    def __init__(self, seconds: float = PATIENCE_SECONDS) -> None:
        """Begin with the whole time."""
        self._left = seconds
        self.failed: set[str] = set()  # keys of receivers, which only a later run tries again

    @property
    def reserve(self) -> float:
        """Return the seconds that are kept to tell the others of a receiver that fails; none once one has."""
        return 0 if self.failed else RESERVED_SECONDS

    @property
    def is_over(self) -> bool:
        """Return True if there is no time left to wait."""
        return self._left <= self.reserve

    def waits(self) -> Iterator[float]:
        """Yield the seconds that are left, as often as there are some; the time between counts."""
        reserve = self.reserve
        while self._left > reserve:
            began = time.monotonic()
            yield self._left - reserve
            self._left -= time.monotonic() - began


@dataclass(frozen=True)
class Delivery:
    """The receivers of a run's messages and the rules of incidents."""

    recipe: str  # name of the recipe
    rules: Alerts
    receivers: tuple[Receiver, ...]
    spool: Path  # folder on this machine where messages wait while the root can't be written
    runbook: str  # address of the runbook
    patience: Patience = field(default_factory=Patience)


@dataclass(frozen=True)
class Answer:
    """The answer of a receiver to a message."""

    receiver: Receiver
    message: Message
    failure: str  # what happened; empty where it took the message


def send_all(
    work: Iterable[tuple[Receiver, Sequence[Message]]], patience: Patience, note: Callable[[Answer], None]
) -> list[Answer]:
    """Send to all receivers side by side, to each its messages in their order until it fails; return their answers.

    note: is called with each answer as soon as it is there. Who has not answered when patience ends has failed.
    """
    answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
    stop, busy = threading.Event(), {}
    work = list(work)
    if any(messages and not receiver.own_form for receiver, messages in work):
        import_apprise()  # before there are threads, which would import it side by side
    for receiver, messages in work:
        if messages:
            busy[receiver.key] = (receiver, list(messages))
            # A daemon: what hangs in a receiver's library must not keep the process from ending.
            run = contextvars.copy_context().run  # a flow's own settings, by which Prefect finds its server
            task = (_send_in_turn, receiver, messages, answers, stop)
            threading.Thread(target=run, args=task, daemon=True).start()
    found: list[Answer] = []
    for seconds in patience.waits() if busy else ():
        try:
            answer = answers.get(timeout=seconds)
        except queue.Empty:
            break
        found.append(answer)
        note(answer)
        receiver, waiting = busy[answer.receiver.key]
        waiting.remove(answer.message)
        if answer.failure or not waiting:
            del busy[receiver.key]
        if not busy:
            break
    stop.set()
    patience.failed |= {answer.receiver.key for answer in found if answer.failure} | set(busy)
    found += [Answer(receiver, waiting[0], "no answer in time") for receiver, waiting in busy.values()]
    return found


def _send_in_turn(
    receiver: Receiver, messages: Sequence[Message], answers: queue.SimpleQueue[Answer], stop: threading.Event
) -> None:
    """Send messages one after the other, until one fails or nobody waits any more."""
    for message in messages:
        if stop.is_set():
            return
        failure = send_message(receiver, message)
        for _ in range(ATTEMPTS - 1):
            # Only what surely was not taken: after a silence a second attempt could be a second message.
            if not failure.startswith(REFUSALS) or stop.wait(SECONDS_BETWEEN_ATTEMPTS):
                break
            failure = send_message(receiver, message)
        answers.put(Answer(receiver, message, failure))
        if failure:
            return
