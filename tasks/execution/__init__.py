"""Execution of work: DuckDB, days side by side, the process of the models, progress."""
