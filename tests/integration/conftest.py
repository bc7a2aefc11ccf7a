"""Fixtures of servers, of whole runs, and of libraries that take seconds; no test of another kind can ask for them."""

import warnings

import pytest

from tests.support.s3_server import (  # noqa: F401 - fixtures
    behind_proxy,
    bucket,
    bucket_name,
    cache,
    proxy,
    s3_environment,
    s3_server,
    s3_store,
)
from tests.support.small_world import first_run, recipe_file, root, small_landing  # noqa: F401 - likewise


@pytest.fixture(scope="session")
def great_expectations():
    """Great Expectations, imported once a session: five seconds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations.expectations  # noqa: PLC0415 - five seconds, for those who ask
    return great_expectations


@pytest.fixture(scope="session")
def prefect_server(great_expectations):
    """One Prefect server for the whole session, for flows: its address. Tasks are plain functions and need none."""
    from prefect.settings import PREFECT_API_URL  # noqa: PLC0415
    from prefect.testing.utilities import prefect_test_harness  # noqa: PLC0415 - two seconds, for those who ask

    with prefect_test_harness(server_startup_timeout=None):
        yield PREFECT_API_URL.value()
