"""How work is executed: DuckDB, days side by side, the process of the models, progress."""
