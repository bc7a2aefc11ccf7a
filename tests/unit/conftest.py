"""What keeps unit tests quick."""

import sys

import pytest

SLOW = {"tensorflow": "tests/tensorflow", "great_expectations": "tests/integration"}  # seconds to import, and to use


@pytest.fixture(autouse=True)
def _no_slow_library():
    """Fail a unit test that imports a slow library: it would cost all the others seconds."""
    before = SLOW.keys() & sys.modules.keys()  # by a test of another kind, in a run of all of them
    yield
    for library in SLOW.keys() & sys.modules.keys() - before:
        pytest.fail(f"this test imports {library}: move it to {SLOW[library]}")
