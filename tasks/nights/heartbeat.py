"""Heartbeat: an address that hears of each good end, so that a service outside notices when it hears of none."""

from __future__ import annotations

import logging
import urllib.request

from pydantic import SecretStr

from ctr_retrain.tasks.execution.web_request import REQUEST_ERRORS, failure_of, public_address, request_to

TIMEOUT_SECONDS = 5

log = logging.getLogger(__name__)


def send_heartbeat(address: SecretStr) -> bool:
    """Ask for the address, where there is one; return True if it answered. A failure stops no run."""
    url = address.get_secret_value()
    if not url:
        return False
    try:
        with urllib.request.urlopen(request_to(url), timeout=TIMEOUT_SECONDS):  # noqa: S310 - the user's own address
            return True
    except REQUEST_ERRORS as error:
        log.warning("heartbeat to %s was not heard: %s", public_address(url), failure_of(error))
        return False
