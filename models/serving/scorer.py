"""The scorer: a served graph run on Arrow tables, with TensorFlow alone and nothing of ours that builds networks.

So a process that serves knows no custom layer, and finds out whether a saved graph needs one.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from ctr_retrain.models.errors import StorageError
from ctr_retrain.models.feature_kinds.arrow_columns import as_numbers, as_texts, as_times, column_of
from ctr_retrain.models.serving.graph_operations import check_operations
from ctr_retrain.models.serving.output_names import PROBABILITY
from ctr_retrain.models.training.device import prepare_device

if TYPE_CHECKING:
    import pyarrow as pa

SCORING_ROWS = 32_768  # in one call of the graph
PLAIN_PLACES = ("/var/tmp", "/dev/shm")  # noqa: S108 - for a link in a folder of its own, where TMPDIR won't do
COLUMNS_FILE = Path("assets.extra", "columns.json")  # where TensorFlow leaves room for files of others


class Scorer:
    """A SavedModel that scores Arrow tables."""

    def __init__(self, path: Path) -> None:
        """Load the model, which is TensorFlow's graph and nothing else.

        Raises StorageError where the folder holds none that `save_serving` wrote, or one that does more than compute.
        """
        prepare_device()
        try:
            check_operations(path)
            self._model = _loaded(path)  # kept: the signature holds it by a weak reference only
            self._signature = self._model.signatures["serving_default"]
            self._columns = _columns_of(path)
        except (OSError, KeyError, ValueError, RecursionError, tf.errors.OpError) as error:
            msg = f"model {path}: expected a complete SavedModel of this software, received: {error}."
            raise StorageError(msg) from error
        specs = self._signature.structured_input_signature[1]
        self._casts = {name: _CASTS[spec.dtype] for name, spec in specs.items()}

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns that the model reads."""
        return tuple(self._columns[name] for name in self._casts)

    def score(self, table: pa.Table, batch_rows: int = SCORING_ROWS) -> npt.NDArray[np.float64]:
        """Return the label's probabilities, (n,). Absent columns and nulls count as missing; others don't matter.

        Raises DataRejectedError where a column can't be read as the model's type.
        """
        return self.score_all(table, batch_rows)[PROBABILITY]

    def score_all(self, table: pa.Table, batch_rows: int = SCORING_ROWS) -> dict[str, npt.NDArray[np.float64]]:
        """Return every probability of the model by its name, (n,) each, the label's own first."""
        found = {name: np.empty(len(table)) for name in self.output_names}
        for first in range(0, len(table), batch_rows):
            batch = table.slice(first, batch_rows)
            outputs = self._signature(**{name: self._input(batch, name) for name in self._casts})
            for name, probability in found.items():
                probability[first : first + len(batch)] = outputs[name].numpy()
        return found

    @property
    def output_names(self) -> tuple[str, ...]:
        """Return the names of the probabilities, the label's own first."""
        return tuple(sorted(self._signature.structured_outputs))

    def _input(self, table: pa.Table, name: str) -> Any:
        """Return a column of the table as the signature's input of this name."""
        column = self._columns[name]
        return tf.constant(self._casts[name](column_of(table, column), column))


def _loaded(path: Path) -> Any:
    """Load a SavedModel, whatever its folder is called: TensorFlow takes some characters of a path for a pattern."""
    if not _is_pattern(str(path)):
        return tf.saved_model.load(str(path))
    # The folder of temporary files may be called so too.
    plain = next((place for place in (tempfile.gettempdir(), *PLAIN_PLACES) if not _is_pattern(place)), None)
    with tempfile.TemporaryDirectory(dir=plain) as aside:
        link = Path(aside, "model")
        link.symlink_to(path.absolute())
        return tf.saved_model.load(str(link))


def _is_pattern(path: str) -> bool:
    """Return True if TensorFlow takes a path for a pattern."""
    return bool(set("*?[]") & set(path))


def _columns_of(path: Path) -> dict[str, str]:
    """Read which column each of the signature's inputs is; raises ValueError where the file says something else."""
    columns = json.loads((path / COLUMNS_FILE).read_text(encoding="utf-8"))
    if not isinstance(columns, dict) or not all(isinstance(column, str) for column in columns.values()):
        msg = f"{COLUMNS_FILE}: expected names of inputs and columns"
        raise ValueError(msg)
    return columns


# The signature's types are those of text, numbers and times; these read an Arrow column as each of them.
_CASTS: dict[Any, Any] = {tf.string: as_texts, tf.float32: as_numbers, tf.int64: as_times}
