"""The rows of a label object in tests, as every stage reads them: landed columns and labels, joined by position."""

import tempfile
from pathlib import Path

from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.label.labelled_rows import labelled_rows


def label_table(store, labelled):
    """All rows in their order, as an Arrow table."""
    with tempfile.TemporaryDirectory() as scratch, duck.connect(Path(scratch), threads=1) as connection:
        return connection.sql(labelled_rows(store, labelled)).to_arrow_table()


def label_rows(store, labelled):
    """All rows in their order, each a dictionary."""
    return label_table(store, labelled).to_pylist()
