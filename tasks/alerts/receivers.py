"""Receivers of messages: their addresses, which are secrets, and one message sent to one of them.

A plain http or https address gets our JSON document. All others, and addresses of services that Apprise knows by their
own form such as https://hooks.slack.com/…, are sent to by Apprise.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import threading
import urllib.request
import warnings
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from ctr_retrain.models.incidents.incident import LEVELS
from ctr_retrain.models.incidents.message_text import body, first_line, webhook_document
from ctr_retrain.tasks.execution.web_request import REQUEST_ERRORS, failure_of, is_address, public_address, request_to
from ctr_retrain.tasks.orchestration.prefect_server import named_server

if TYPE_CHECKING:
    from ctr_retrain.models.incidents.message import Message
    from ctr_retrain.models.incidents.signal import SignalLevel

ALERT_TARGETS = "CTR_RETRAIN_ALERT_TARGETS"
WEBHOOK = "CTR_RETRAIN_WEBHOOK_URL"
PREFECT = "prefect://events"  # stands for the server that Prefect's own settings name
TIMEOUT_SECONDS = 8.0  # of connecting, and of each wait for an answer
KEY_ROUNDS = 50_000  # so that a digest in the root tells no weak password: 15 ms each
FORM = "LEVEL=ADDRESS, separated by spaces, each with the level warning or critical, such as warning=mailto://…"


@dataclass(frozen=True)
class Receiver:
    """One address that gets messages."""

    level: SignalLevel  # the mildest that it gets
    url: SecretStr
    place: str  # where the address stands, for people
    own_form: bool = False  # it gets our JSON document whatever Apprise makes of the address

    @property
    def name(self) -> str:
        """Return the name for people: place and kind of the address, and nothing that could be a secret."""
        scheme = self.url.get_secret_value().partition("://")[0]
        return f"{self.place} ({scheme if re.fullmatch(r'[a-z0-9]{1,20}', scheme) else 'no address'})"

    @cached_property
    def key(self) -> str:
        """Return a digest of the address, by which the root notes what it took."""
        secret = self.url.get_secret_value().encode()
        return hashlib.pbkdf2_hmac("sha256", secret, b"ctr-retrain receiver", KEY_ROUNDS).hex()[:16]

    def gets(self, message: Message) -> bool:
        """Return True if a message goes there: by its level, and not one about the receiver itself."""
        own = message.kind == "receiver_failed" and message.subject == self.name
        return LEVELS.index(message.level) >= LEVELS.index(self.level) and not own


def prefect_server() -> tuple[Receiver, ...]:
    """Return the Prefect server as a receiver of events, where one is named."""
    return (Receiver("warning", SecretStr(PREFECT), "the Prefect server", own_form=True),) if named_server() else ()


def parse_targets(text: str) -> tuple[Receiver, ...]:
    """Read the setting of receivers by level; raises ValueError, which repeats no address."""
    found = []
    for number, entry in enumerate(text.split(), start=1):
        level, equals, url = entry.partition("=")
        if level not in LEVELS[1:] or not equals or not re.match(r"[a-z][a-z0-9+.-]*://", url):
            msg = f"{FORM}, or nothing"
            raise ValueError(msg)
        place = f"receiver {number} of {ALERT_TARGETS}"
        found.append(Receiver("critical" if level == "critical" else "warning", SecretStr(url), place))
    return tuple(found)


def send_message(receiver: Receiver, message: Message) -> str:
    """Send one message; return nothing where it was taken, else what happened, without the address."""
    url = receiver.url.get_secret_value()
    try:
        if url == PREFECT:
            return _emit(message)
        if receiver.own_form or not _is_known_to_apprise(url):
            return _post(receiver, url, message)
        return _notify(url, message)
    except Exception as error:  # noqa: BLE001 - a receiver's library may raise anything, and no run may fail by it
        return f"{type(error).__name__}"  # its text may hold the address


def answer_of(receiver: Receiver) -> str:
    """Say where messages go, for `doctor`; raises ValueError for an address to which nothing can be sent."""
    url = receiver.url.get_secret_value()
    if receiver.own_form or not _is_known_to_apprise(url):
        if not is_address(url):
            msg = "an address of http or https, or one of a service that Apprise knows"
            raise ValueError(msg)
        return public_address(url)
    return f"{receiver.name} by Apprise"


def _emit(message: Message) -> str:
    """Send a message as a Prefect event."""
    from ctr_retrain.tasks.alerts.prefect_events import post_event  # noqa: PLC0415 - only flows have it

    post_event(message)
    return ""


def _post(receiver: Receiver, url: str, message: Message) -> str:
    """Post the JSON document of a message."""
    if not is_address(url):
        return f"{receiver.place}: expected an address of http or https, received none"
    try:
        request = request_to(url, json.dumps(webhook_document(message)).encode())
        request.add_header("Idempotency-Key", message.id)
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS):  # noqa: S310 - the user's own address
            return ""
    except REQUEST_ERRORS as error:
        return failure_of(error)


def _is_known_to_apprise(url: str) -> bool:
    """Return True if Apprise knows a service of such an address."""
    return _instance(url) is not None


def _notify(url: str, message: Message) -> str:
    """Send a message by Apprise."""
    apprise = import_apprise()
    kinds = {"warning": apprise.NotifyType.WARNING, "critical": apprise.NotifyType.FAILURE}
    over = message.change == "resolved"
    service = _instance(url)
    statuses.forget()
    taken = service.notify(
        title=first_line(message),
        body=body(message),
        notify_type=apprise.NotifyType.SUCCESS if over else kinds.get(message.level, apprise.NotifyType.INFO),
        body_format=apprise.NotifyFormat.TEXT,
    )
    return "" if taken else statuses.last() or "it did not take the message"


@cache
def import_apprise() -> Any:
    """Import Apprise with its services, which takes a second or two, so only where something is sent."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it imports what Python deprecates
        import apprise  # noqa: PLC0415

        apprise.NotificationManager().load_modules()
    return apprise


def _instance(url: str) -> Any:
    """Make Apprise's sender of an address; None where it knows no such service."""
    apprise = import_apprise()
    # What Apprise logs repeats addresses in part, so nothing but a status is let through.
    apprise.logger.propagate, apprise.logger.handlers = False, [statuses]
    apprise.logger.setLevel(logging.WARNING)
    logging.getLogger("urllib3").setLevel(logging.INFO)  # below, it logs paths, which hold tokens
    asset = apprise.AppriseAsset(app_id="ctr-retrain", app_desc="ctr-retrain", app_url="", secure_logging=True)
    service = apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
    if service is not None:
        if "format=" not in url:
            service.notify_format = apprise.NotifyFormat.TEXT  # as HTML a mail loses its lines
        service.socket_connect_timeout = service.socket_read_timeout = TIMEOUT_SECONDS
    return service


class Statuses(logging.Handler):
    """The last HTTP status that Apprise logged in each thread, and nothing else of its lines."""

    def __init__(self) -> None:
        """Begin with none."""
        super().__init__()
        self._seen = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the status in a line."""
        if found := re.search(r"error=(\d{3})\b", record.getMessage()):
            self._seen.status = f"HTTP status {found[1]}"

    def forget(self) -> None:
        """Forget this thread's status."""
        self._seen.status = ""

    def last(self) -> str:
        """Return this thread's status; nothing where there was none."""
        return getattr(self._seen, "status", "")


statuses = Statuses()
