"""Rules of the optimizer: Adam for dense weights, row-wise Adagrad for the table."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.optimizer import EMBEDDING_TABLE, RowWiseAdagradAdam

RATE, RATIO, START = 0.01, 25.0, 0.1


def optimizer(**options):
    return RowWiseAdagradAdam(RATE, RATIO, ids_per_row=2, initial_accumulator=START, **options)


def table_of(values):
    return keras.Variable(np.array(values, np.float32), name=EMBEDDING_TABLE, autocast=False)


def sparse(values, rows, table):
    return tf.IndexedSlices(tf.constant(values, tf.float32), tf.constant(rows, tf.int32), tf.constant(table.shape))


def test_a_tables_row_moves_by_its_summed_gradient_over_the_root_of_its_accumulator():
    table = table_of([[1, 1], [2, 2], [3, 3]])
    # A batch of 2 rows with 2 ids each: row 0 is named twice, with (1, 0) and (2, 4), row 2 with (1, 1) and (0, 0).
    gradient = sparse([[1, 0], [2, 4], [1, 1], [0, 0]], [0, 0, 2, 2], table)
    optimizer().apply([gradient], [table])
    # summed and times 2 rows: (6, 8) and (2, 2); accumulators 0.1 + 50 and 0.1 + 4; rate 0.01 · 25
    expected = [
        [1 - 0.25 * 6 / 50.1**0.5, 1 - 0.25 * 8 / 50.1**0.5],
        [2, 2],
        [3 - 0.25 * 2 / 4.1**0.5] * 2,
    ]
    assert table.numpy() == pytest.approx(np.array(expected), abs=1e-6)


class Reference:
    """Both algorithms in float64 NumPy, from their papers' formulas."""

    def __init__(self, table, dense):
        self.table, self.dense = table.astype(np.float64), dense.astype(np.float64)
        self.accumulator = np.full(len(table), START)
        self.momentum, self.velocity, self.step = 0.0, 0.0, 0

    def apply(self, values, rows, dense_gradient, batch_rows):
        self.step += 1
        summed = np.zeros_like(self.table)
        np.add.at(summed, rows, values * batch_rows)
        self.accumulator += (summed**2).mean(axis=1)
        self.table -= RATE * RATIO * summed / np.sqrt(self.accumulator)[:, None]
        self.momentum = 0.9 * self.momentum + 0.1 * dense_gradient
        self.velocity = 0.999 * self.velocity + 0.001 * dense_gradient**2
        rate = RATE * np.sqrt(1 - 0.999**self.step) / (1 - 0.9**self.step)
        self.dense -= rate * self.momentum / (np.sqrt(self.velocity) + 1e-7)


def test_many_steps_agree_with_a_float64_reference():
    rng = np.random.default_rng(5)
    table, dense = table_of(rng.normal(size=(20, 3))), keras.Variable(rng.normal(size=(4, 2)).astype(np.float32))
    reference, ours = Reference(table.numpy(), dense.numpy()), optimizer()
    for batch_rows in (8, 8, 8, 3) * 5:
        rows = rng.integers(0, 15, batch_rows * 2)  # rows 15 to 19 are never named
        values = rng.normal(size=(batch_rows * 2, 3)).astype(np.float32) / batch_rows
        dense_gradient = rng.normal(size=(4, 2)).astype(np.float32)
        ours.apply([sparse(values, rows, table), tf.constant(dense_gradient)], [table, dense])
        reference.apply(values.astype(np.float64), rows, dense_gradient.astype(np.float64), batch_rows)
    assert np.abs(table.numpy() - reference.table).max() < 1e-6
    assert np.abs(dense.numpy() - reference.dense).max() < 1e-6


def test_rows_that_the_batch_does_not_name_stay_to_the_bit():
    before = np.random.default_rng(1).normal(size=(6, 2)).astype(np.float32)
    table, ours = table_of(before), optimizer()
    for _ in range(3):
        ours.apply([sparse([[1, 2], [3, 4]], [1, 4], table)], [table])
    assert np.flatnonzero((table.numpy() != before).any(axis=1)).tolist() == [1, 4]


def test_duplicates_are_summed_before_they_are_squared():
    twice, once = table_of([[0.0]]), table_of([[0.0]])
    optimizer().apply([sparse([[1], [2]], [0, 0], twice)], [twice])  # one row of two ids
    optimizer().apply([sparse([[3], [0]], [0, 0], once)], [once])
    assert twice.numpy() == once.numpy()
    assert twice.numpy()[0, 0] == pytest.approx(-0.25 * 3 / 9.1**0.5, abs=1e-6)


def test_the_step_does_not_depend_on_how_many_rows_the_mean_loss_went_over():
    small, large = table_of([[0.0], [0.0]]), table_of([[0.0], [0.0]])
    optimizer().apply([sparse([[4], [0]], [0, 1], small)], [small])  # a batch of 1
    optimizer().apply([sparse([[1], *[[0]] * 7], [0, *[1] * 7], large)], [large])  # of 4: its mean is a quarter
    assert large.numpy()[0] == small.numpy()[0]


def weighted_model():
    ids = keras.Input((2,), dtype="int32")
    table = keras.Variable(np.zeros((10, 1), np.float32), name=EMBEDDING_TABLE, autocast=False)

    class Lookup(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.table = table

        def call(self, ids):
            return tf.nn.embedding_lookup(self.table.value, ids)

        def compute_output_shape(self, shape):
            return (*shape, 1)

    return keras.Model(ids, keras.ops.sum(Lookup()(ids), axis=1)), table


def test_rows_of_sample_weight_0_leave_the_table_untouched():
    model, table = weighted_model()
    model.compile(optimizer(), keras.losses.BinaryCrossentropy(from_logits=True), jit_compile=False)
    ids, label = np.array([[1, 2], [3, 4]], np.int32), np.array([[1], [0]], np.float32)
    model.fit(ids, label, sample_weight=np.array([1, 0], np.float32), batch_size=2, verbose=0)
    assert np.flatnonzero(table.numpy()[:, 0]).tolist() == [1, 2]


def test_a_schedule_moves_both_rates():
    halving = keras.optimizers.schedules.ExponentialDecay(RATE, decay_steps=1, decay_rate=0.5)
    ours, table = RowWiseAdagradAdam(halving, RATIO, ids_per_row=1), table_of([[0.0], [0.0]])
    ours.apply([sparse([[1]], [0], table)], [table])
    ours.apply([sparse([[1]], [1], table)], [table])
    assert table.numpy()[1, 0] / table.numpy()[0, 0] == pytest.approx(0.5)


def test_it_comes_back_from_its_configuration():
    schedule = keras.optimizers.schedules.CosineDecay(0.002, 100, alpha=0.01)
    original = RowWiseAdagradAdam(schedule, 30.0, 39, initial_accumulator=0.2, beta_1=0.8)
    loaded = keras.optimizers.deserialize(keras.optimizers.serialize(original))
    assert isinstance(loaded, RowWiseAdagradAdam)
    assert (loaded.embedding_rate_ratio, loaded.ids_per_row, loaded.initial_accumulator) == (30.0, 39, 0.2)
    assert loaded.beta_1 == 0.8
    assert keras.optimizers.serialize(loaded) == keras.optimizers.serialize(original)
