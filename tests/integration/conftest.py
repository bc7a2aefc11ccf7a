"""Fixtures that start servers or whole runs; here, so that no test of the other kinds can ask for them."""

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
def prefect_server(great_expectations):
    """One Prefect server for the whole session, for flows; tasks are plain functions and need none."""
    from prefect.testing.utilities import prefect_test_harness  # noqa: PLC0415 - two seconds, for those who ask

    with prefect_test_harness(server_startup_timeout=None):
        yield
