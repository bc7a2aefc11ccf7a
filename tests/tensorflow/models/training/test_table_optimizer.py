"""Rules of the optimizers: a stock optimizer for dense weights, rows alone for the tables."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ctr_retrain.models.features.embedding import EMBEDDING_TABLE
from ctr_retrain.models.training.optimizers import LazyAdam, RowWiseAdagrad

RATE, RATIO, START = 0.01, 25.0, 0.1
BOTH = [RowWiseAdagrad, LazyAdam]


def optimizer(kind=RowWiseAdagrad, dense=None, ids_per_row=2, **options):
    return kind(dense or keras.optimizers.Adam(RATE), RATIO, ids_per_row=ids_per_row, **options)


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
    """The tables' algorithms and Adam in float64 NumPy, over the whole table, from their papers' formulas."""

    def __init__(self, kind, table, dense):
        self.kind, self.table, self.dense = kind, table.astype(np.float64), dense.astype(np.float64)
        self.accumulator = np.full(len(table), START)
        self.moments = np.zeros((2, *table.shape))
        self.dense_moments = np.zeros((2, *dense.shape))
        self.step = 0

    def apply(self, values, rows, dense_gradient, batch_rows):
        self.step += 1
        summed = np.zeros_like(self.table)
        np.add.at(summed, rows, values * batch_rows)
        touched = summed.any(axis=1)
        if self.kind is RowWiseAdagrad:
            self.accumulator += (summed**2).mean(axis=1)
            self.table -= RATE * RATIO * summed / np.sqrt(self.accumulator)[:, None]
        else:
            self.table[touched] -= RATE * RATIO * self._adam(self.moments, summed, touched)
        self.dense -= RATE * self._adam(self.dense_moments, dense_gradient, slice(None))

    def _adam(self, moments, gradient, touched):
        momentum = 0.9 * moments[0, touched] + 0.1 * gradient[touched]
        velocity = 0.999 * moments[1, touched] + 0.001 * gradient[touched] ** 2
        moments[0, touched], moments[1, touched] = momentum, velocity
        correction = np.sqrt(1 - 0.999**self.step) / (1 - 0.9**self.step)
        return correction * momentum / (np.sqrt(velocity) + 1e-7)


@pytest.mark.parametrize("kind", BOTH)
def test_every_one_of_many_steps_agrees_with_a_dense_float64_reference(kind):
    rng = np.random.default_rng(5)
    table, dense = table_of(rng.normal(size=(20, 3))), keras.Variable(rng.normal(size=(4, 2)).astype(np.float32))
    reference, ours = Reference(kind, table.numpy(), dense.numpy()), optimizer(kind)
    for batch_rows in (8, 8, 1, 8, 33, 3) * 10:
        rows = rng.integers(0, 15, batch_rows * 2)  # rows 15 to 19 are never named; most others more than once
        weight = np.repeat(rng.choice([0.0, 0.5, 1.0], batch_rows), 2)[:, None]
        values = (weight * rng.normal(size=(batch_rows * 2, 3)) / batch_rows).astype(np.float32)
        dense_gradient = rng.normal(size=(4, 2)).astype(np.float32)
        ours.apply([sparse(values, rows, table), tf.constant(dense_gradient)], [table, dense])
        reference.apply(values.astype(np.float64), rows, dense_gradient.astype(np.float64), batch_rows)
        # float32's rounding adds up over the steps, most of it from Adam's powers of β, which Keras takes in float32
        assert np.abs(table.numpy() - reference.table).max() < (1e-5 if kind is RowWiseAdagrad else 5e-5)
        assert np.abs(dense.numpy() - reference.dense).max() < 5e-6


@pytest.mark.parametrize("kind", BOTH)
def test_rows_that_the_batch_does_not_name_stay_to_the_bit(kind):
    before = np.random.default_rng(1).normal(size=(6, 2)).astype(np.float32)
    table, ours = table_of(before), optimizer(kind)
    for _ in range(3):
        ours.apply([sparse([[1, 2], [3, 4]], [1, 4], table)], [table])
    assert np.flatnonzero((table.numpy() != before).any(axis=1)).tolist() == [1, 4]


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_rows_whose_gradient_is_zero_keep_their_values_and_their_slots_to_the_bit(kind, decay):
    table, ours = table_of([[1.0], [2.0]]), optimizer(kind, row_weight_decay=decay)
    ours.apply([sparse([[1], [2]], [0, 1], table)], [table])  # so that momentum could carry row 1 on
    values, slots = table.numpy(), [slot.numpy() for slot in ours.variables if slot.shape[:1] == (2,)]
    ours.apply([sparse([[1], [0]], [0, 1], table)], [table])
    assert slots
    assert table.numpy()[1] == values[1]
    assert table.numpy()[0] != values[0]
    now = [slot.numpy() for slot in ours.variables if slot.shape[:1] == (2,)]
    assert all((after[1] == before[1]).all() for after, before in zip(now, slots, strict=True))


@pytest.mark.parametrize("kind", BOTH)
def test_duplicates_are_summed_before_they_are_squared(kind):
    twice, once = table_of([[0.0]]), table_of([[0.0]])
    optimizer(kind).apply([sparse([[1], [2]], [0, 0], twice)], [twice])  # one row of two ids
    optimizer(kind).apply([sparse([[3], [0]], [0, 0], once)], [once])
    assert twice.numpy() == once.numpy()


@pytest.mark.parametrize("kind", BOTH)
def test_the_step_does_not_depend_on_how_many_rows_the_mean_loss_went_over(kind):
    small, large = table_of([[0.0], [0.0]]), table_of([[0.0], [0.0]])
    optimizer(kind).apply([sparse([[4e-7], [0]], [0, 1], small)], [small])  # a batch of 1, as small as Adam's ε
    optimizer(kind).apply([sparse([[1e-7], *[[0]] * 7], [0, *[1] * 7], large)], [large])  # of 4: a quarter each
    assert large.numpy()[0] == small.numpy()[0]


def test_lazy_adam_corrects_its_bias_by_all_steps_not_the_rows_own():
    table, ours = table_of([[0.0], [0.0]]), optimizer(LazyAdam)
    for _ in range(3000):
        ours.dense.iterations.assign_add(1)
    ours.apply([sparse([[1], [0]], [1, 0], table)], [table])
    t = 3001
    correction = np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
    assert table.numpy()[1, 0] == pytest.approx(-RATE * RATIO * correction * 0.1 / 0.001**0.5, rel=1e-4)


def test_row_weight_decay_pulls_the_batchs_rows_towards_zero_and_no_others():
    table = table_of([[10.0], [10.0]])
    ours = optimizer(ids_per_row=1, row_weight_decay=0.1)
    ours.apply([sparse([[3]], [0], table)], [table])
    assert table.numpy()[0, 0] == pytest.approx(10 - 0.25 * (3 / 9.1**0.5 + 0.1 * 10), abs=1e-5)
    assert table.numpy()[1, 0] == 10


def test_row_clipnorm_bounds_the_summed_gradient_of_each_row():
    table = table_of([[0.0, 0.0], [0.0, 0.0]])
    optimizer(row_clipnorm=5.0).apply([sparse([[3, 4], [3, 4], [0.3, 0.4], [0, 0]], [0, 0, 1, 1], table)], [table])
    clipped, small = np.array([3, 4.0]), np.array([0.6, 0.8])  # of (12, 16), norm 20, and of norm 1
    assert table.numpy()[0] == pytest.approx(-0.25 * clipped / (0.1 + (clipped**2).mean()) ** 0.5, abs=1e-6)
    assert table.numpy()[1] == pytest.approx(-0.25 * small / (0.1 + (small**2).mean()) ** 0.5, abs=1e-6)


@pytest.mark.parametrize(
    "settings",
    [{"weight_decay": 0.1}, {"clipnorm": 0.01}, {"global_clipnorm": 0.01}, {"clipvalue": 0.01}],
    ids=lambda settings: next(iter(settings)),
)
def test_settings_of_the_dense_optimizer_change_the_dense_weights_and_not_the_table(settings):
    def after(dense_optimizer):
        table, dense = table_of([[1.0], [1.0]]), keras.Variable(np.ones(2, np.float32))
        ours = optimizer(dense=dense_optimizer)
        for _ in range(2):
            ours.apply([sparse([[1], [0]], [0, 1], table), tf.constant([1.0, 0.2])], [table, dense])
        return table.numpy(), dense.numpy()

    plain, changed = after(keras.optimizers.SGD(RATE)), after(keras.optimizers.SGD(RATE, **settings))
    assert (plain[0] == changed[0]).all()
    assert (plain[1] != changed[1]).any()


def test_a_loss_scale_factor_leaves_every_step_as_it_was():
    def after(**settings):
        table, dense = table_of([[1.0], [1.0]]), keras.Variable(np.ones(2, np.float32))
        ours = optimizer(dense=keras.optimizers.Adam(RATE, **settings))
        scale = float(ours.scale_loss(tf.constant(1.0)))
        ours.apply([sparse([[scale], [0]], [0, 1], table), scale * tf.constant([1.0, 0.2])], [table, dense])
        return table.numpy(), dense.numpy()

    for plain, scaled in zip(after(), after(loss_scale_factor=1024.0), strict=True):
        assert scaled == pytest.approx(plain, abs=1e-6)


@pytest.mark.parametrize(
    ("settings", "advice"),
    [({"use_ema": True}, "Let the learning rate decay"), ({"gradient_accumulation_steps": 4}, "Use larger batches")],
)
def test_what_a_table_cannot_follow_is_refused_at_construction(settings, advice):
    with pytest.raises(ValueError, match=f"expected a dense optimizer without {next(iter(settings))}.*{advice}"):
        optimizer(dense=keras.optimizers.Adam(RATE, **settings))


@pytest.mark.parametrize("setting", ["weight_decay", "clipnorm", "global_clipnorm", "clipvalue", "use_ema"])
def test_settings_that_would_mean_the_whole_table_are_refused_and_say_where_they_belong(setting):
    with pytest.raises(ValueError, match=rf"expected no {setting}, received 0.1: .*`dense`"):
        optimizer(**{setting: 0.1})


@pytest.mark.parametrize("setting", ["regularizer", "constraint"])
def test_a_table_with_a_regularizer_or_a_constraint_is_refused(setting):
    table = table_of([[1.0]])
    setattr(table, setting, keras.regularizers.L2(0.1) if setting == "regularizer" else keras.constraints.NonNeg())
    with pytest.raises(ValueError, match=f"expected no {setting}.*whole table.*row_weight_decay"):
        optimizer().build([table])


def test_a_dense_gradient_of_a_table_is_refused():
    table = table_of([[1.0], [1.0]])
    with pytest.raises(ValueError, match=r"expected a sparse gradient.*row_weight_decay"):
        optimizer().apply([tf.constant([[1.0], [0.0]])], [table])


@pytest.mark.parametrize("kind", BOTH)
def test_a_schedule_moves_both_rates(kind):
    halving = keras.optimizers.schedules.ExponentialDecay(RATE, decay_steps=1, decay_rate=0.5)
    ours, table = optimizer(kind, keras.optimizers.SGD(halving), ids_per_row=1), table_of([[0.0], [0.0]])
    dense = keras.Variable(np.zeros(2, np.float32))
    ours.apply([sparse([[1]], [0], table), tf.constant([1.0, 0.0])], [table, dense])
    ours.apply([sparse([[1]], [1], table), tf.constant([0.0, 1.0])], [table, dense])
    assert dense.numpy()[1] / dense.numpy()[0] == pytest.approx(0.5)
    if kind is RowWiseAdagrad:  # whose step is not a matter of how many came before
        assert table.numpy()[1, 0] / table.numpy()[0, 0] == pytest.approx(0.5)


@pytest.mark.parametrize("kind", BOTH)
def test_it_comes_back_from_its_configuration(kind):
    schedule = keras.optimizers.schedules.CosineDecay(0.002, 100, alpha=0.01)
    own = {"initial_accumulator": 0.2} if kind is RowWiseAdagrad else {"beta_1": 0.7, "beta_2": 0.9, "epsilon": 1e-6}
    dense = keras.optimizers.AdamW(schedule, weight_decay=0.1, beta_1=0.8, clipnorm=2.0)
    original = optimizer(kind, dense, 39, row_clipnorm=3.0, row_weight_decay=0.01, **own)
    loaded = keras.optimizers.deserialize(keras.optimizers.serialize(original))
    assert type(loaded) is kind
    assert type(loaded.dense) is keras.optimizers.AdamW
    assert (loaded.ids_per_row, loaded.row_clipnorm, loaded.row_weight_decay) == (39, 3.0, 0.01)
    assert loaded.get_config() == original.get_config()
