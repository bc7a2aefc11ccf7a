"""Rules that hold on every store, on S3: those of the store itself, and of an ingest that was outrun."""

import pytest

from ctr_retrain.models.errors import StorageError
from ctr_retrain.tasks.store.protocol import open_verified
from tests.unit.tasks.ingest.test_ingest_day import (  # noqa: F401 - run here too
    test_ingest_that_was_outrun_by_one_that_saw_more_files_takes_the_others_day,
)
from tests.unit.tasks.integrity.test_verified_files import *  # noqa: F403 - likewise
from tests.unit.tasks.store.test_store import *  # noqa: F403 - the rules themselves


@pytest.fixture
def store(s3_store):
    return s3_store


@pytest.mark.parametrize("content", [b"other", b"abcd", None], ids=["changed", "longer", "gone"])
def test_damaged_copy_in_the_cache_is_fetched_anew_before_it_is_used(store, content):
    with store.writing("models/a", {}) as folder:
        (folder / "graph").write_bytes(b"graph")
    copy = store.open("models/a") / "graph"
    copy.unlink() if content is None else copy.write_bytes(content)
    assert (open_verified(store, "models/a") / "graph").read_bytes() == b"graph"
    assert store.file("models/a", "graph").read_bytes() == b"graph"


def test_file_beside_the_copies_in_the_cache_is_not_loaded(store):
    with store.writing("models/a", {}) as folder:
        (folder / "graph").write_bytes(b"graph")
    (store.open("models/a") / "more").write_bytes(b"")
    with pytest.raises(StorageError, match="more: expected no such file, received one"):
        open_verified(store, "models/a")
