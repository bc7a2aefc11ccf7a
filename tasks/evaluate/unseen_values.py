"""Values of the validation days that the challenger has no embedding row for: how many rows hold one, by feature."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctr_retrain.models.features.encoder import encode
from ctr_retrain.models.features.vocabulary import count_unseen
from ctr_retrain.models.training.saved_network import fitted_recipe, load_trainable
from ctr_retrain.tasks.store.layout import CHALLENGER, TRAINABLE

if TYPE_CHECKING:
    import pyarrow as pa

    from ctr_retrain.tasks.plan.run import Run


class UnseenValues:
    """A count over tables of landed rows, by the values that a run's challenger knows."""

    def __init__(self, run: Run) -> None:
        """Begin at nothing, with the values that the run's challenger knows."""
        self._features = fitted_recipe(run.recipe, load_trainable(run.folder / CHALLENGER / TRAINABLE)).features
        self._rows = 0
        self._unseen: dict[str, int] = {}

    def add(self, table: pa.Table) -> None:
        """Count the rows of a table with all columns of the features."""
        self._rows += len(table)
        for name, rows in count_unseen([encode(table, self._features).ids], self._features).items():
            self._unseen[name] = self._unseen.get(name, 0) + rows

    def shares(self) -> dict[str, float]:
        """Return by feature of texts the share of all rows whose value has no embedding row of its own."""
        return {name: rows / self._rows for name, rows in self._unseen.items()}
