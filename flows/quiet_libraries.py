"""Keep libraries from phoning home and from chattering. Imported first: they read the environment when imported."""

from __future__ import annotations

import logging
import os
import signal
from pathlib import Path

from ctr_retrain.tasks.execution.parents_end import signal_at_parents_end
from ctr_retrain.tasks.execution.shown_logs import show_logs
from ctr_retrain.tasks.execution.web_request import is_address

QUIET = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DASK_LOGGING__DISTRIBUTED": "warning",
    # Without an NVIDIA driver, TensorFlow reports that as an error in every process.
    "TF_CPP_MIN_LOG_LEVEL": "2" if Path("/proc/driver/nvidia").exists() else "3",
}
for _name, _value in QUIET.items():
    os.environ.setdefault(_name, _value)
show_logs()

# Prefect starts scheduled runs as processes of their own, which would outlive a `serve` that is killed.
SERVED_BY = "_CTR_RETRAIN_SERVED_BY"  # the process of `serve`
if os.environ.get(SERVED_BY) == str(os.getppid()):
    signal_at_parents_end(signal.SIGKILL)

# A night must not be lost for want of a record of it.
SERVER_IGNORED = not is_address(os.environ.get("PREFECT_API_URL") or "http://none")
if SERVER_IGNORED:
    logging.getLogger(__name__).warning(
        "PREFECT_API_URL: expected an address such as http://127.0.0.1:4200/api, received one that is none. "
        "This process goes on without that server; mend the variable or unset it."
    )
    del os.environ["PREFECT_API_URL"]
