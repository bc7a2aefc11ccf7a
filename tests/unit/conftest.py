"""What keeps unit tests quick."""

import sys

import pytest

RULES_OF_FILES = "tests/unit/repository/"
SLOW = {"tensorflow": "tests/tensorflow", "great_expectations": "tests/integration"}  # seconds to import, and to use


def pytest_collection_modifyitems(items):
    """Put the rules of the repository's files in front: one process then has them all, and parses each file once."""
    items.sort(key=lambda item: ("tests/unit/" in item.nodeid, not item.nodeid.startswith(RULES_OF_FILES)))


@pytest.fixture(autouse=True)
def _no_slow_library():
    """Fail a unit test that imports a slow library: it would cost all the others seconds."""
    before = [library for library in SLOW if library in sys.modules]  # by a test of another kind, in a run of all
    yield
    for library, place in SLOW.items():
        if library in sys.modules and library not in before:
            pytest.fail(f"this test imports {library}: move it to {place}")
