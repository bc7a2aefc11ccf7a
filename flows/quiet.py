"""Keep libraries from phoning home and from chattering. Imported first: they read the environment when imported."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from pathlib import Path

QUIET = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DASK_LOGGING__DISTRIBUTED": "warning",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    # Without an NVIDIA driver, TensorFlow reports that as an error in every process.
    "TF_CPP_MIN_LOG_LEVEL": "2" if Path("/proc/driver/nvidia").exists() else "3",
}
for _name, _value in QUIET.items():
    os.environ.setdefault(_name, _value)
logging.getLogger("tensorflow").setLevel(logging.ERROR)  # each run has a model of its own: retracing is no news


def import_tensorflow() -> None:
    """Import TensorFlow without what it writes to stderr on import, which no setting of its own turns off."""
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
