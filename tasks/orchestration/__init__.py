"""Orchestration: what Prefect is told of a run, where a server of it is named, and days side by side."""
