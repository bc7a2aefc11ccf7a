"""Requests to addresses that may hold credentials: what is sent, what may be shown, and how failures are told."""

from __future__ import annotations

import base64
import re
import urllib.request
from http.client import HTTPException
from typing import TYPE_CHECKING
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit, urlunsplit

if TYPE_CHECKING:
    from urllib.parse import SplitResult

# What opening an address raises: of a network that fails, or of an address that is none.
REQUEST_ERRORS = (OSError, HTTPException, ValueError)


def public_address(url: str) -> str:
    """Return scheme, host and port of a URL; user, password, path and query may hold secrets."""
    try:
        split = _checked(url)
    except ValueError:
        return "an address that is none"
    return f"{split.scheme}://{split.netloc.rpartition('@')[2]}"


def is_address(url: str) -> bool:
    """Return True if a request can be sent to the URL."""
    return public_address(url) != "an address that is none"


def request_to(url: str, body: bytes | None = None) -> urllib.request.Request:
    """Make the request to a URL, a POST where there is a body of JSON; raises ValueError where it is no address.

    User and password become a header, since urllib takes them for a part of the host; a redirection doesn't get it.
    """
    split = _checked(url)
    userinfo, _, host = split.netloc.rpartition("@")
    headers = {} if body is None else {"Content-Type": "application/json"}
    request = urllib.request.Request(urlunsplit(split._replace(netloc=host)), body, headers)  # noqa: S310 - checked
    if userinfo:
        user, _, password = userinfo.partition(":")
        given = base64.b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {given}")
    return request


def failure_of(error: Exception) -> str:
    """Say what became of a request without repeating its address, parts of which libraries put into their errors."""
    if isinstance(error, HTTPError):
        return f"HTTP status {error.code}"
    if isinstance(error, URLError) and isinstance(error.reason, Exception):
        return failure_of(error.reason)
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"{type(error).__name__}"


def _checked(url: str) -> SplitResult:
    """Split a URL of HTTP; raises ValueError where it is none."""
    split = urlsplit(url)
    if split.scheme not in ("http", "https") or not split.hostname or not re.fullmatch(r"[!-~]+", url):
        msg = "an address of http or https"
        raise ValueError(msg)
    _ = split.port  # raises ValueError where it is no number
    split.hostname.encode("idna")  # UnicodeError, which is a ValueError, for an empty or an endless part
    return split
