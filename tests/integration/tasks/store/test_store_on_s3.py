"""Rules that hold on every store, on S3: those of the store itself, and of an ingest that was outrun."""

import pytest

from tests.unit.tasks.ingest.test_ingest_day import (  # noqa: F401 - run here too
    test_ingest_that_was_outrun_by_one_that_saw_more_files_takes_the_others_day,
)
from tests.unit.tasks.store.test_store import *  # noqa: F403 - the rules themselves


@pytest.fixture
def store(s3_store):
    return s3_store
