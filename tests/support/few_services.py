"""Services of Prefect's server that tests do without: together a thirtieth of a core, and half of each flow's cost."""

UNUSED = (
    "CANCELLATION_CLEANUP",
    "CLEANUP_RECONCILER",
    "FOREMAN",
    "LATE_RUNS",
    "PAUSE_EXPIRATIONS",
    "REPOSSESSOR",
    "SCHEDULER",
    "TASK_RUN_RECORDER",
    "TRIGGERS",
)
FEW_SERVICES = {f"PREFECT_SERVER_SERVICES_{name}_ENABLED": "false" for name in UNUSED}
