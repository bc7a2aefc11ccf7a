"""The base of optimizers for embedding tables, whose step costs the batch's rows alone, however large the table.

The dense weights belong to a stock Keras optimizer with all its settings; the tables, variables named EMBEDDING_TABLE
whose gradients are sparse, to a subclass of TableOptimizer.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import keras
import tensorflow as tf

from ctr_retrain.models.features.embedding import EMBEDDING_TABLE


class TableOptimizer(keras.optimizers.Optimizer):  # type: ignore[misc]
    """An optimizer that sums gradients by row and replaces these rows.

    For each row r of a table that the batch names, with g the sum of its gradients:

        row_r ← row_r − rate · (direction(g) + row_weight_decay · row_r)

    Rows that the batch doesn't name stay untouched, and so do rows whose g is nothing but zeros, as rows of
    sample_weight 0 leave it. The mean loss has divided every gradient by the batch's rows; that is undone for tables,
    since otherwise an accumulator's start, or Adam's ε, would swamp the gradients of rare values.

    dense: any stock optimizer; its learning rate, number or schedule, is this optimizer's. Its weight_decay, clipnorm,
    global_clipnorm and clipvalue are about the dense weights alone. embedding_rate_ratio: the tables' rate over it, so
    that one schedule serves both. ids_per_row: table rows that one training row names. row_clipnorm: the largest
    Euclidean norm of g (undivided), or None. row_weight_decay: decoupled (Loshchilov and Hutter 2019), of the batch's
    rows only, as FBGEMM has it.

    Raises ValueError for settings of `dense` that tables can't follow, and for Keras' own settings given to this one.
    """

    _REFUSED: ClassVar[dict[str, str]] = {
        "use_ema": (
            "averages of the dense weights alone would belong to embeddings that have moved on, and an average of the "
            "table would touch all of it at each step. Let the learning rate decay to nearly nothing instead"
        ),
        "gradient_accumulation_steps": (
            "sums kept for a table are as large as the table and would be touched as a whole. Use larger batches"
        ),
    }

    def __init__(
        self,
        dense: keras.optimizers.Optimizer,
        embedding_rate_ratio: float,
        ids_per_row: int,
        row_clipnorm: float | None = None,
        row_weight_decay: float = 0.0,
        name: str | None = None,
        **options: Any,
    ) -> None:
        """Take the dense weights' optimizer and the tables' settings."""
        _refuse_options(type(self).__name__, options)
        for setting, reason in self._REFUSED.items():
            if getattr(dense, setting):
                msg = (
                    f"{type(self).__name__}: expected a dense optimizer without {setting}, received "
                    f"{getattr(dense, setting)!r}: {reason}."
                )
                raise ValueError(msg)
        super().__init__(learning_rate=0.0, name=name)  # never used: the rate is the dense optimizer's
        self.dense = dense
        self.embedding_rate_ratio = embedding_rate_ratio
        self.ids_per_row = ids_per_row
        self.row_clipnorm = row_clipnorm
        self.row_weight_decay = row_weight_decay

    def build(self, variables: list[Any]) -> None:
        """Make the slots: the dense optimizer's for its weights, this one's for the tables.

        Raises ValueError where a table has a regularizer or a constraint.
        """
        if self.built:
            return
        tables = [variable for variable in variables if _is_table(variable)]
        for table in tables:
            for setting in ("regularizer", "constraint"):
                if getattr(table, setting, None) is not None:
                    msg = (
                        f"table {table.path}: expected no {setting}, received {getattr(table, setting)!r}, which "
                        "would touch the whole table at each step. Use row_weight_decay or row_clipnorm."
                    )
                    raise ValueError(msg)
        super().build(tables)
        self.dense.build([variable for variable in variables if not _is_table(variable)])
        self.build_slots(tables)

    @abstractmethod
    def build_slots(self, tables: list[Any]) -> None:
        """Make the variables that the optimizer keeps for each table."""

    @abstractmethod
    def direction(self, table_number: int, rows: Any, gradient: Any) -> Any:
        """Update the slots at `rows`, (n,), by their gradients, (n, width), and return the steps, (n, width)."""

    def apply(self, grads: list[Any], trainable_variables: list[Any]) -> None:
        """Take one step of all variables."""
        pairs = list(zip(grads, trainable_variables, strict=True))
        if not self.built:
            with keras.name_scope(self.name, caller=self):
                self.build([variable for _, variable in pairs])
        tables = [pair for pair in pairs if _is_table(pair[1]) and pair[0] is not None]
        dense = [pair for pair in pairs if not _is_table(pair[1])]
        if tables:
            self._backend_update_step(*zip(*tables, strict=True), self.learning_rate)  # sums over replicas first
        if dense:
            self.dense.apply(*map(list, zip(*dense, strict=True)))
        else:
            self.dense.iterations.assign_add(1)  # which its schedule goes by

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Take one table's step, in place.

        Rows are gathered, changed and written back: TensorFlow's subtracting scatter takes three times as long.
        """
        if not isinstance(gradient, tf.IndexedSlices):
            msg = (
                f"table {variable.name}: expected a sparse gradient, received a dense one, as large as the table. Read "
                "the table by tf.nn.embedding_lookup alone, and regularise by row_weight_decay."
            )
            raise ValueError(msg)  # noqa: TRY004 - the message is about a model, not about a type
        rows, summed = self._sum_by_row(gradient, variable)
        if self.row_clipnorm is not None:
            summed = tf.clip_by_norm(summed, self.row_clipnorm, axes=[1])
        step = self.direction(self._get_variable_index(variable), rows, summed)
        current = tf.gather(variable, rows)
        if self.row_weight_decay:
            step += tf.where(has_gradient(summed), self.row_weight_decay * current, 0.0)
        rate = self.embedding_rate_ratio * tf.cast(learning_rate, current.dtype)
        self.assign(variable, tf.IndexedSlices(current - rate * step, rows))

    def _sum_by_row(self, gradient: Any, table: Any) -> tuple[Any, Any]:
        """Return the distinct rows, (n,), and the sum of each one's gradients over the batch, undivided, (n, width)."""
        rows, position = tf.unique(gradient.indices, out_idx=tf.int64)
        ids = tf.size(gradient.indices, tf.int64)
        factor = tf.cast(ids // self.ids_per_row, table.dtype)  # the batch's rows
        if self.dense.loss_scale_factor:
            factor /= self.dense.loss_scale_factor
        values = tf.cast(gradient.values, table.dtype)
        if "GPU" in table.device:  # where a sparse product isn't deterministic
            return rows, factor * tf.math.unsorted_segment_sum(values, position, tf.size(rows))
        # On a CPU, a product with the sparse matrix of "id i names row j" is three times as fast, to the same bits.
        named = tf.SparseTensor(
            tf.stack([tf.range(ids), position], axis=1),
            tf.fill([ids], factor),
            tf.stack([ids, tf.size(rows, tf.int64)]),
        )
        return rows, tf.sparse.sparse_dense_matmul(named, values, adjoint_a=True)

    @property
    def variables(self) -> list[Any]:
        """Return the tables' slots, then all variables of the dense optimizer."""
        return [*self._variables, *self.dense.variables]

    @property
    def learning_rate(self) -> Any:
        """Return the dense optimizer's current rate."""
        return self.dense.learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate: Any) -> None:
        self.dense.learning_rate = learning_rate

    @property
    def iterations(self) -> Any:
        """Return the number of steps done."""
        return self.dense.iterations

    def scale_loss(self, loss: Any) -> Any:
        """Multiply the loss by the dense optimizer's loss_scale_factor."""
        return self.dense.scale_loss(loss)

    def get_config(self) -> dict[str, Any]:
        """Return all that the constructor takes, for Keras."""
        return {
            "name": self.name,
            "dense": keras.saving.serialize_keras_object(self.dense),
            "embedding_rate_ratio": self.embedding_rate_ratio,
            "ids_per_row": self.ids_per_row,
            "row_clipnorm": self.row_clipnorm,
            "row_weight_decay": self.row_weight_decay,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> TableOptimizer:
        """Rebuild the optimizer from its `get_config`."""
        dense = keras.saving.deserialize_keras_object(config["dense"], custom_objects=custom_objects)
        return cls(**{**config, "dense": dense})


def has_gradient(gradient: Any) -> Any:
    """Return True for rows whose gradient has anything but zeros, (n, 1)."""
    return tf.reduce_any(tf.not_equal(gradient, 0), axis=1, keepdims=True)


def _is_table(variable: Any) -> bool:
    """Return True for an embedding table, which is known by its name."""
    return bool(variable.name == EMBEDDING_TABLE)


def _refuse_options(optimizer: str, options: dict[str, Any]) -> None:
    """Raise ValueError for Keras' own settings of an optimizer, which would be about the tables too."""
    for setting, value in options.items():
        if setting in ("clipnorm", "global_clipnorm", "clipvalue"):
            advice = "it would make the tables' gradients dense. Set it on `dense`, and row_clipnorm for the tables"
        elif setting == "weight_decay":
            advice = "it would touch whole tables at each step. Set it on `dense`, and row_weight_decay for the tables"
        else:
            advice = "the dense weights' settings belong to `dense`"
        msg = f"{optimizer}: expected no {setting}, received {value!r}: {advice}."
        raise ValueError(msg)
