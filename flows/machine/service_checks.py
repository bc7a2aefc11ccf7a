"""Checks of services that a night needs: the store's rights and conditions, clocks, Prefect's server, receivers."""

from __future__ import annotations

import importlib.metadata
import json
import urllib.request
import uuid
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from ctr_retrain.flows.quiet_libraries import SERVER_IGNORED
from ctr_retrain.models.errors import DataRejectedError, StorageError, UsageError
from ctr_retrain.tasks.alerts.receivers import ALERT_TARGETS, WEBHOOK, answer_of
from ctr_retrain.tasks.execution.web_request import REQUEST_ERRORS, failure_of, public_address, request_to
from ctr_retrain.tasks.operate.registry import served_recipe
from ctr_retrain.tasks.orchestration.prefect_server import named_server
from ctr_retrain.tasks.store import layout

if TYPE_CHECKING:
    from ctr_retrain.flows.settings import Settings
    from ctr_retrain.models.recipe.recipe import Recipe
    from ctr_retrain.tasks.landing.landing_zone import LandingZone
    from ctr_retrain.tasks.store.protocol import Store

SERVER_SECONDS = 2  # that Prefect's server may take for each of two answers
MOST_SKEW_SECONDS = 60  # between two clocks; at 15 minutes S3 refuses every request


def check_root(store: Store, recipe: Recipe) -> str:
    """Try on the root what a night does there, and see that it serves this recipe."""
    served = served_recipe(store)
    if served not in {None, recipe.name}:
        msg = f"{store.root} serves {served!r}, not {recipe.name!r}; set another --root"
        raise UsageError(msg)
    probe(store)
    return f"{store.root} can be written and {'is new to' if served is None else 'serves'} {recipe.name!r}"


def probe(store: Store) -> None:
    """Publish, list, read back and remove an object, and see that a swap which comes too late is refused.

    Raises StorageError where one of these fails.
    """
    store.check_swaps()  # first: a service that knows no conditions is to be named as such
    path = layout.probe_object(uuid.uuid4().hex)
    with store.writing(path, {}) as folder:
        (folder / "probe").write_text("written by doctor", encoding="utf-8")
    if path not in store.list_candidates(path.rsplit("/", maxsplit=1)[0]):
        msg = f"{store.root}: expected to list what was just written, received a list without it"
        raise StorageError(msg)
    store.open(path)
    store.remove([path])


def check_landing(landing: LandingZone) -> str:
    """Say which days have landed."""
    days = landing.days(layout.IMPRESSIONS)
    if not days:
        msg = f"{landing}: expected impressions/dt=…; set --landing, or `land` a file"
        raise DataRejectedError(msg)
    return f"{landing}: {days[0]} to {days[-1]}, {len(days)} days"


def check_clock(store: Store) -> str:
    """Compare this machine's clock with those of the store's service and of Prefect's server."""
    others = {"the store's service": store.service_time()}
    if url := named_server():
        others["Prefect's server"] = _server_time(url)
    # Answers say whole seconds, and took a moment to come: some seconds of difference are none.
    skews = {name: (datetime.now(UTC) - time).total_seconds() for name, time in others.items() if time}
    told = ", ".join(f"{abs(skew):.0f} s {'before' if skew > 0 else 'behind'} {name}" for name, skew in skews.items())
    if any(abs(skew) > MOST_SKEW_SECONDS for skew in skews.values()):
        msg = (
            f"this machine's clock: expected at most {MOST_SKEW_SECONDS} s apart, received {told}. "
            "Set it by a time server: timedatectl set-ntp true."
        )
        raise StorageError(msg)
    return f"this machine's clock is {told}" if told else "there is no other clock to compare this machine's with"


def check_server() -> str:
    """Ask Prefect's server for its version, which has to be of the client's series."""
    url, client = named_server(), importlib.metadata.version("prefect")
    if SERVER_IGNORED:
        msg = "PREFECT_API_URL: expected an address of http or https, received none. Mend or unset it."
        raise UsageError(msg)
    if not url:
        recorded = "runs are recorded in the root alone, and `serve` starts a server of its own"
        return f"Prefect {client} here, and no PREFECT_API_URL: {recorded}"
    shown = public_address(url)
    try:
        _ask(f"{url}/health")
        server = json.loads(_ask(f"{url}/admin/version"))
    except REQUEST_ERRORS as error:
        failed = f"PREFECT_API_URL {shown}: expected an answer, received: {failure_of(error)}"
        msg = f"{failed}. Start that server or unset it."
        raise StorageError(msg) from error
    # A client of one series sends fields that a server of another refuses, and then every run fails.
    if not isinstance(server, str) or _series(server) != _series(client):
        msg = (
            f"PREFECT_API_URL {shown}: expected a server of Prefect {client}, as is installed here, received "
            f"{str(server)[:40]!r}. Upgrade the older of them."
        )
        raise StorageError(msg)
    return f"{shown} answers, Prefect {server} there and {client} here"


def check_receivers(settings: Settings) -> str:
    """Say who gets alerts; nothing is sent: whoever listens there would take it for one."""
    if not settings.receivers:
        return f"no {WEBHOOK} and no {ALERT_TARGETS}: alerts are events and log lines"
    found = []
    for receiver in settings.receivers:
        try:
            found.append(answer_of(receiver))
        except ValueError as error:
            msg = f"{receiver.place}: expected {error}, received none. Mend or unset it."
            raise UsageError(msg) from None
    return f"alerts go to {', '.join(found)}; `ctr-retrain alerts test` sends one to each"


def _ask(url: str) -> bytes:
    with urllib.request.urlopen(request_to(url), timeout=SERVER_SECONDS) as answer:  # noqa: S310 - the user's own server
        content: bytes = answer.read()
    return content


def _server_time(url: str) -> datetime | None:
    """Return the time that Prefect's server says; None where it doesn't answer, which has a check of its own."""
    try:
        with urllib.request.urlopen(request_to(f"{url}/health"), timeout=SERVER_SECONDS) as answer:  # noqa: S310
            date = answer.headers.get("Date")
            return parsedate_to_datetime(date) if date else None
    except REQUEST_ERRORS:
        return None


def _series(version: str) -> list[str]:
    return version.split(".")[:2]
