"""The optimizers by recipe: Adam for the dense weights, row-wise Adagrad or lazy Adam for the embedding tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from ctr_retrain.models.training.table_optimizer import TableOptimizer, has_gradient
from ctr_retrain.models.training.training_steps import choose_rates

if TYPE_CHECKING:
    from ctr_retrain.models.recipe.training_section import Training

WARM_UP_SHARE = 0.05  # of the steps, on which the rate rises
FINAL_RATE_SHARE = 0.01  # a rate that doesn't fall leaves the intercept wandering by several per cent


def make_optimizer(training: Training, steps: int, ids_per_row: int, first_step: int = 0) -> TableOptimizer:
    """Make the recipe's optimizer: warm-up to its rates, then a cosine's half wave down to nearly nothing.

    steps: of the whole fit. ids_per_row: table rows that one training row names.

    first_step: steps that the optimizer's slots have behind them already; the schedule begins after them.
    """
    warm_up = int(steps * WARM_UP_SHARE)
    rate, embedding_rate = choose_rates(training, steps)
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=rate / 10 if warm_up else rate,
        decay_steps=max(1, steps - warm_up),
        alpha=FINAL_RATE_SHARE,
        warmup_target=rate if warm_up else None,
        warmup_steps=warm_up,
    )
    settings = {
        "dense": keras.optimizers.Adam(LaterSchedule(schedule, first_step) if first_step else schedule),
        "embedding_rate_ratio": embedding_rate / rate,
        "ids_per_row": max(1, ids_per_row),
        "row_weight_decay": training.embedding_weight_decay,
    }
    if training.embedding_optimizer == "lazy_adam":
        return LazyAdam(**settings)
    return RowWiseAdagrad(**settings, initial_accumulator=training.embedding_initial_accumulator)


@keras.saving.register_keras_serializable("ctr_retrain")
class LaterSchedule(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """A schedule that begins at first_step, since Adam's bias correction goes by the optimizer's steps as well."""

    def __init__(self, schedule: keras.optimizers.schedules.LearningRateSchedule, first_step: int) -> None:
        """Take the schedule, and the optimizer's step at which it begins."""
        super().__init__()
        self.schedule, self.first_step = schedule, first_step

    def __call__(self, step: Any) -> Any:
        """Return the schedule's rate, counted from first_step."""
        return self.schedule(step - self.first_step)

    def get_config(self) -> dict[str, Any]:
        """Return all that the constructor takes, for Keras."""
        return {"schedule": keras.saving.serialize_keras_object(self.schedule), "first_step": self.first_step}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> LaterSchedule:
        """Rebuild the schedule from its `get_config`."""
        return cls(keras.saving.deserialize_keras_object(config["schedule"]), config["first_step"])


@keras.saving.register_keras_serializable("ctr_retrain")
class RowWiseAdagrad(TableOptimizer):
    """Adagrad (Duchi, Hazan and Singer 2011, section 1.2) with one accumulator a row.

        a_r ← a_r + mean(g²)        direction = g / √a_r

    FBGEMM's "exact row-wise Adagrad", which TorchRec trains with; here a starts above zero instead of an ε.
    """

    def __init__(self, *args: Any, initial_accumulator: float = 0.1, **options: Any) -> None:
        """Take the accumulators' start beside TableOptimizer's settings: the larger, the gentler the first steps."""
        super().__init__(*args, **options)
        self.initial_accumulator = initial_accumulator

    def build_slots(self, tables: list[Any]) -> None:
        """Make one number a row: (rows,)."""
        start = keras.initializers.Constant(self.initial_accumulator)
        self._accumulators = [
            self.add_variable((table.shape[0],), start, name=f"{table.name}_accumulator") for table in tables
        ]

    def direction(self, table_number: int, rows: Any, gradient: Any) -> Any:
        """Return g / √a, (n, width), after adding the gradients' mean squares to a."""
        accumulator = self._accumulators[table_number]
        sums = tf.gather(accumulator.value, rows) + tf.reduce_mean(gradient**2, axis=1)
        self.assign(accumulator, tf.IndexedSlices(sums, rows))
        return gradient * tf.math.rsqrt(sums)[:, None]

    def get_config(self) -> dict[str, Any]:
        """Return all that the constructor takes, for Keras."""
        return {**super().get_config(), "initial_accumulator": self.initial_accumulator}


@keras.saving.register_keras_serializable("ctr_retrain")
class LazyAdam(TableOptimizer):
    """Adam (Kingma and Ba 2015, section 2's efficient form) of the rows that the batch names.

        m_r ← β₁ m_r + (1 − β₁) g    v_r ← β₂ v_r + (1 − β₂) g²    direction = √(1 − β₂ᵗ)/(1 − β₁ᵗ) · m_r / (√v_r + ε)

    Moments of other rows don't decay. t counts all steps, not those of the row, as in TensorFlow Addons' LazyAdam,
    PyTorch's SparseAdam and FBGEMM: a value first seen late takes a first step of up to (1 − β₁)/√(1 − β₂), 3.2 times
    the rate, where a count by row would make it 1.
    """

    def __init__(
        self, *args: Any, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7, **options: Any
    ) -> None:
        """Take Adam's constants beside TableOptimizer's settings."""
        super().__init__(*args, **options)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon

    def build_slots(self, tables: list[Any]) -> None:
        """Make two slots of the table's shape."""
        self._momentums = [self.add_variable_from_reference(table, "momentum") for table in tables]
        self._velocities = [self.add_variable_from_reference(table, "velocity") for table in tables]

    def direction(self, table_number: int, rows: Any, gradient: Any) -> Any:
        """Return the bias-corrected m / (√v + ε), (n, width), 0 where there is no gradient."""
        named = has_gradient(gradient)
        momentum = self._update_moment(self._momentums[table_number], self.beta_1, rows, gradient, named)
        velocity = self._update_moment(self._velocities[table_number], self.beta_2, rows, gradient**2, named)
        step = tf.cast(self.iterations + 1, gradient.dtype)
        correction = tf.sqrt(1 - self.beta_2**step) / (1 - self.beta_1**step)
        return tf.where(named, correction * momentum / (tf.sqrt(velocity) + self.epsilon), 0.0)

    def _update_moment(self, slot: Any, decay: float, rows: Any, values: Any, named: Any) -> Any:
        """Move the slot's rows towards the values, where these have a gradient, and return them, (n, width)."""
        current = tf.gather(slot.value, rows)
        updated = tf.where(named, current + (1 - decay) * (values - current), current)
        self.assign(slot, tf.IndexedSlices(updated, rows))
        return updated

    def get_config(self) -> dict[str, Any]:
        """Return all that the constructor takes, for Keras."""
        return {**super().get_config(), "beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
