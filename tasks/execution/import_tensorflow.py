"""TensorFlow's import without what it writes to stderr, which no setting of its own turns off."""

from __future__ import annotations

import logging
import os
import sys
import tempfile


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
            import tensorflow  # noqa: F401, ICN001, PLC0415
        except BaseException:
            said.seek(0)
            os.write(stderr, said.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
