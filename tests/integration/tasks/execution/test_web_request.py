"""Addresses that may hold secrets: what is shown of them, what is sent, and what is said when that fails."""

import base64
import os
import subprocess
import sys
import urllib.error
from http.client import InvalidURL
from urllib.request import urlopen

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctr_retrain.tasks.execution.web_request import (
    REQUEST_ERRORS,
    failure_of,
    is_address,
    public_address,
    request_to,
)
from tests.support.counts import draws

MALFORMED = [
    *("", "hook", "http://", "https:///path", "ftp://host/x", "http://host:port/", "http://host:99999/", "http://[::1"),
    *("http://ho st/", "http://host/a b", "http://host/\n", "http://host/\x1b[0m", "http://a..b/", "http://hôst:x/"),
    *(f"http://{'a' * 70}/", "http://user:SECRET@", "//host/x", "http:host"),
]


@pytest.mark.parametrize("url", MALFORMED)
def test_address_that_is_none_is_told_by_an_error_of_a_request_and_by_no_other(url):
    assert not is_address(url)
    assert public_address(url) == "an address that is none"
    with pytest.raises(ValueError):  # noqa: PT011 - whatever is wrong
        request_to(url)


def test_only_scheme_host_and_port_are_shown():
    assert public_address("https://user:SECRET@hooks.example:8443/T0/SECRET?t=SECRET#SECRET") == (
        "https://hooks.example:8443"
    )


def test_user_and_password_go_into_a_header_that_a_redirection_does_not_get():
    request = request_to("https://user:p%40ss@host/hook?x=1", b"{}")
    assert (request.full_url, request.get_method()) == ("https://host/hook?x=1", "POST")
    assert request.headers == {"Content-type": "application/json"}
    given = request.unredirected_hdrs["Authorization"].removeprefix("Basic ")
    assert base64.b64decode(given) == b"user:p@ss"
    assert request_to("https://host/").unredirected_hdrs == {}


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (InvalidURL("nonnumeric port: 'SECRET@host'"), "InvalidURL"),
        (ValueError("unknown url type: 'SECRET'"), "ValueError"),
        (urllib.error.HTTPError("https://host/SECRET", 503, "SECRET", None, None), "HTTP status 503"),
        (urllib.error.URLError(ConnectionRefusedError(111, "Connection refused")), "Connection refused"),
        (urllib.error.URLError("SECRET"), "URLError"),
        (TimeoutError("SECRET"), "no answer in time"),
    ],
)
def test_failure_is_told_without_what_the_library_repeats(error, words):
    assert failure_of(error) == words


@given(st.text(alphabet=st.characters(codec=None), max_size=30))
@settings(max_examples=draws(150, 10_000))
def test_any_text_for_an_address_ends_in_an_error_that_is_expected(text):
    for url in (text, f"http://{text}", f"http://127.0.0.1:{text}"):
        if not is_address(url):
            with pytest.raises(REQUEST_ERRORS) as refused:
                urlopen(request_to(url), timeout=0.001)
            assert failure_of(refused.value)


START = "import ctr_retrain.flows.quiet_libraries as q, logging, os; print(os.environ.get('PREFECT_API_URL'))"


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("http://user:SECRET@host:port/api", "None"),
        ("SECRET", "None"),
        ("http://127.0.0.1:9/api", "http://127.0.0.1:9/api"),
    ],
)
def test_server_address_that_is_none_ends_no_run_and_is_not_repeated(url, kept):
    environment = {**os.environ, "PREFECT_API_URL": url}
    answer = subprocess.run([sys.executable, "-c", START], env=environment, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == kept
    assert ("PREFECT_API_URL: expected an address" in answer.stderr) == (kept == "None")
    assert "SECRET" not in answer.stderr


def test_every_log_line_of_a_flow_s_process_is_fit_to_be_read():
    program = (
        "import ctr_retrain.flows.quiet_libraries, logging; logging.getLogger('x').warning('of %s', '\\x1b[2J\\n')"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stderr == "of \\x1b[2J\\n\n"
