"""Adam for the dense weights, row-wise Adagrad for the embedding table, whose step costs only the batch's rows."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

EMBEDDING_TABLE = "embedding_table"  # name of the variables that row-wise Adagrad updates


@keras.saving.register_keras_serializable("ctr_retrain")
class RowWiseAdagradAdam(keras.optimizers.Adam):  # type: ignore[misc]
    """Adam (Kingma and Ba 2015), save for variables named EMBEDDING_TABLE, whose gradients are sparse.

    For each row r of the table that the batch names, with g the sum of its gradients:

        a_r ← a_r + mean(g²)        row_r ← row_r − rate · g / √a_r

    that is Adagrad (Duchi, Hazan and Singer 2011, section 1.2) with one accumulator a row, as FBGEMM's "exact row-wise
    Adagrad", which TorchRec trains with, has it; here a starts above zero instead of an ε. Other rows stay untouched.

    The mean loss has divided every gradient by the batch's rows. That is undone for the table, since otherwise the
    accumulator's start would swamp the gradients of rare values.

    learning_rate: of the dense weights, a number or a schedule. embedding_rate_ratio: the table's rate over it, so
    that one schedule serves both. ids_per_row: table rows that one training row names.
    """

    def __init__(
        self,
        learning_rate: Any,
        embedding_rate_ratio: float,
        ids_per_row: int,
        initial_accumulator: float = 0.1,
        **options: Any,
    ) -> None:
        """Take the rates and the start of the accumulators; `options` are Adam's."""
        super().__init__(learning_rate=learning_rate, **options)
        self.embedding_rate_ratio = embedding_rate_ratio
        self.ids_per_row = ids_per_row
        self.initial_accumulator = initial_accumulator

    def build(self, variables: list[Any]) -> None:
        """Slots: Adam's two of the variable's shape, or one number a row, (rows,), for a table."""
        if self.built:
            return
        keras.optimizers.Optimizer.build(self, variables)
        self._momentums, self._velocities = [], []  # Adam's; a table's accumulator stands in both
        for variable in variables:
            if variable.name == EMBEDDING_TABLE:
                start = keras.initializers.Constant(self.initial_accumulator)
                accumulator = self.add_variable((variable.shape[0],), start, name=f"{variable.name}_accumulator")
                slots = (accumulator, accumulator)
            else:
                slots = tuple(self.add_variable_from_reference(variable, name) for name in ("momentum", "velocity"))
            self._momentums.append(slots[0])
            self._velocities.append(slots[1])

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """One variable's update, in place; a sparse gradient is a table's."""
        if not isinstance(gradient, tf.IndexedSlices):
            super().update_step(gradient, variable, learning_rate)
            return
        accumulator = self._momentums[self._get_variable_index(variable)]
        rows, position = tf.unique(gradient.indices)
        summed = tf.math.unsorted_segment_sum(gradient.values, position, tf.size(rows))  # (distinct rows, width)
        summed *= tf.cast(tf.size(gradient.indices) // self.ids_per_row, summed.dtype)  # the batch's rows
        self.assign_add(accumulator, tf.IndexedSlices(tf.reduce_mean(summed**2, axis=1), rows))
        rate = self.embedding_rate_ratio * tf.cast(learning_rate, summed.dtype)
        scale = rate * tf.math.rsqrt(tf.gather(accumulator.value, rows))
        self.assign_sub(variable, tf.IndexedSlices(summed * scale[:, None], rows))

    def get_config(self) -> dict[str, Any]:
        """All that the constructor takes."""
        return {
            **super().get_config(),
            "embedding_rate_ratio": self.embedding_rate_ratio,
            "ids_per_row": self.ids_per_row,
            "initial_accumulator": self.initial_accumulator,
        }
