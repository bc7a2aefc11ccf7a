"""Alerts for people: each a Prefect event, and posted to a webhook where one is set, whose failure stops no run."""

from __future__ import annotations

import json
import logging
import time
import urllib.request
from collections.abc import Sequence
from datetime import date

from prefect.events import emit_event
from pydantic import SecretStr

from ctr_retrain.models.documents.drift_documents import Alert
from ctr_retrain.models.documents.ref_documents import AlertedRef
from ctr_retrain.tasks.execution.web_request import REQUEST_ERRORS, failure_of, is_address, request_to
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.protocol import Store, load_ref, replace_ref

EVENT = "ctr-retrain.alert"  # name of the event, to which Prefect's automations can listen
TIMEOUT_SECONDS = 10  # of one attempt
ATTEMPTS = 3
SECONDS_BETWEEN_ATTEMPTS = 1

log = logging.getLogger(__name__)


def send_alerts(store: Store, alerts: Sequence[Alert], recipe_name: str, day: date, webhook: SecretStr) -> bool:
    """Emit each alert as an event and post all in one JSON document to the webhook, once a day for equal alerts.

    Returns True if people were told now; where the webhook took nothing, the day's next run tries it again.
    """
    documents = [alert.to_json() for alert in alerts]
    told = load_ref(store, layout.alerted_ref(day), AlertedRef)
    known = told is not None and told.content.alerts == tuple(alerts)
    if not alerts or (told is not None and known and told.content.posted):
        return False
    for document in [] if known else documents:
        resource = {"prefect.resource.id": f"ctr-retrain.{recipe_name}.{document['channel']}"}
        emit_event(EVENT, resource, payload={**document, "date": str(day)})
        log.warning("alert on %s, channel %s: %s", day, document["channel"], document["cause"])
    body = json.dumps({"recipe": recipe_name, "date": str(day), "alerts": documents}).encode()
    posted = not webhook.get_secret_value() or _post(webhook, body)
    replace_ref(store, layout.alerted_ref(day), AlertedRef(alerts=tuple(alerts), posted=posted), told)
    return posted


def _post(webhook: SecretStr, body: bytes) -> bool:
    """Post a document to the webhook; return True if it was taken. Its address may hold a secret and is not logged."""
    if not is_address(webhook.get_secret_value()):
        log.warning(
            "CTR_RETRAIN_WEBHOOK_URL: expected an address of http or https, received none. No alert was posted."
        )
        return False
    for attempt in range(1, ATTEMPTS + 1):
        try:
            request = request_to(webhook.get_secret_value(), body)
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS):  # noqa: S310 - the user's own address
                return True
        except REQUEST_ERRORS as error:
            reason = failure_of(error)
            log.warning("webhook did not take the alert (attempt %d of %d): %s", attempt, ATTEMPTS, reason)
            time.sleep(SECONDS_BETWEEN_ATTEMPTS)
    return False
