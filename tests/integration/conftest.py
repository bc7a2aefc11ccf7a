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
def prefect_server(tmp_path_factory):
    """One Prefect server for the whole session, which whoever is to know it must be told of: its address."""
    from ctr_retrain.tasks.orchestration.own_server import own_server  # noqa: PLC0415

    with own_server(tmp_path_factory.mktemp("prefect")) as url:
        yield url
