"""Times after which libraries give up, so long that only what hangs meets them; no rule depends on a clock."""

PATIENT = {
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "600s",
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "600s",
    "PREFECT_API_REQUEST_TIMEOUT": "600",
    "PREFECT_SERVER_DATABASE_CONNECTION_TIMEOUT": "600",
    "PREFECT_SERVER_DATABASE_SQLALCHEMY_POOL_TIMEOUT": "600",
    "PREFECT_SERVER_DATABASE_TIMEOUT": "600",
}
