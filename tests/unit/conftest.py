"""What keeps unit tests quick."""

import sys

import pytest


@pytest.fixture(autouse=True)
def _no_tensorflow():
    """Fail a unit test that imports TensorFlow: it would cost all the others seconds."""
    before = "tensorflow" in sys.modules  # by a test of another kind, in a run of all of them
    yield
    assert before or "tensorflow" not in sys.modules, "this test imports TensorFlow: move it to tests/tensorflow"
