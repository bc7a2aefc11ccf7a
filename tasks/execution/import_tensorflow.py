"""TensorFlow's import without what it writes to stderr, which no setting of its own turns off."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def import_tensorflow() -> None:
    """Import TensorFlow quietly, where it isn't yet; where that fails, what it said is shown."""
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # each run has a model of its own: retracing is no news
    if "tensorflow" in sys.modules:
        return
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            with _kept_out("sklearn"):
                import tensorflow  # noqa: F401, ICN001, PLC0415
        except BaseException:
            said.seek(0)
            os.write(stderr, said.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


@contextlib.contextmanager
def _kept_out(library: str) -> Iterator[None]:
    """Let a library count as not installed while this lasts, unless it has been imported."""
    # Keras imports scikit-learn, and with it SciPy's statistics, for wrappers of its own that nobody here asks for: a
    # fifth of the time. Who needs it imports it later.
    if library in sys.modules:
        yield
        return
    sys.modules[library] = None  # type: ignore[assignment] # Python's own way to say so
    try:
        yield
    finally:
        del sys.modules[library]
