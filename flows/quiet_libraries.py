"""Keep libraries from phoning home and from chattering. Imported first: they read the environment when imported."""

from __future__ import annotations

import os
from pathlib import Path

QUIET = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DASK_LOGGING__DISTRIBUTED": "warning",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "600",  # two cores under a load of 12 took it 110
    # Without an NVIDIA driver, TensorFlow reports that as an error in every process.
    "TF_CPP_MIN_LOG_LEVEL": "2" if Path("/proc/driver/nvidia").exists() else "3",
}
for _name, _value in QUIET.items():
    os.environ.setdefault(_name, _value)
