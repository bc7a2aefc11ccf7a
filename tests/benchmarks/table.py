"""What benchmarks print and write: rows of flat objects, as a table and as JSON, with the machine that they ran on."""

import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ctr_retrain.tasks.execution import duck

PACKAGES = ("duckdb", "pyarrow", "pandas", "tensorflow")


def print_table(title, rows):
    """One line a row; columns in the order in which the rows first have them."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = Table(title=title, caption=_machine())
    for name in names:
        table.add_column(name, justify="left" if isinstance(rows[0].get(name), str) else "right")
    for row in rows:
        table.add_row(*(_shown(row.get(name, "")) for name in names))
    Console(width=max(120, 14 * len(names)) if not sys.stdout.isatty() else None).print(table)


def write_rows(path, rows):
    """A JSON list of flat objects."""
    Path(path).write_text(json.dumps(rows, indent=1), encoding="utf-8")


def _shown(value):
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def _machine():
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    system = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return f"{duck.cores()} cores, {system}, {packages}"
