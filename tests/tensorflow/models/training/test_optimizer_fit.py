"""The optimizers through compile and fit: weights, metrics, callbacks, saving, resuming."""

import csv
from functools import cache

import keras
import numpy as np
import pytest
import tensorflow as tf

from ctr_retrain.models.features.embedding import EMBEDDING_TABLE, FusedEmbedding
from ctr_retrain.models.training.optimizers import LazyAdam, RowWiseAdagrad

BOTH = [RowWiseAdagrad, LazyAdam]
ROWS, FIELDS, TABLE_ROWS = 640, 2, 40
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning"  # Keras reads TensorFlow's variables so when it saves
)


def compiled(kind=RowWiseAdagrad, rate=0.01, **settings):
    ids = keras.Input((FIELDS,), dtype="int32")
    embedded = keras.layers.Flatten()(FusedEmbedding(TABLE_ROWS, 3, 1)(ids))
    hidden = keras.layers.Dense(8, "relu", kernel_initializer=keras.initializers.GlorotUniform(2))(embedded)
    logit = keras.layers.Dense(1, kernel_initializer=keras.initializers.GlorotUniform(3))(hidden)
    model = keras.Model(ids, logit)
    model.compile(
        kind(keras.optimizers.Adam(rate, weight_decay=0.01), 10.0, FIELDS),
        keras.losses.BinaryCrossentropy(from_logits=True),
        weighted_metrics=[keras.metrics.BinaryAccuracy(name="accuracy", threshold=0.0)],
        jit_compile=False,
        **settings,
    )
    return model


def table_of(model):
    return next(variable for variable in model.trainable_variables if variable.name == EMBEDDING_TABLE)


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(4)
    ids = rng.integers(0, TABLE_ROWS, (ROWS, FIELDS)).astype(np.int32)
    label = (ids.sum(axis=1) % 2).astype(np.float32)[:, None]
    return ids, label


def fit(model, rows, epochs, **options):
    return model.fit(*rows, batch_size=64, epochs=epochs, verbose=0, shuffle=False, **options)


def rate_of(schedule):
    return keras.optimizers.schedules.CosineDecay(0.01, 60) if schedule else 0.01


@pytest.fixture(scope="module")
def straight(rows):
    """Models of four epochs that nothing interrupted, by optimizer and schedule."""

    @cache
    def made(kind, *, schedule=False):
        model = compiled(kind, rate_of(schedule))
        fit(model, rows, 4)
        return model

    return made


def same(model, other):
    variables, others = [m.weights + m.optimizer.variables for m in (model, other)]
    return all(np.array_equal(a.numpy(), b.numpy()) for a, b in zip(variables, others, strict=True))


@pytest.mark.parametrize("kind", BOTH)
def test_rows_of_sample_weight_0_leave_the_table_and_its_slots_untouched(kind):
    model = compiled(kind)
    before = table_of(model).numpy()
    ids, label = np.array([[1, 2], [3, 4]], np.int32), np.array([[1], [0]], np.float32)
    model.fit(ids, label, sample_weight=np.array([1, 0], np.float32), batch_size=2, epochs=3, verbose=0)
    assert np.flatnonzero((table_of(model).numpy() != before).any(axis=1)).tolist() == [1, 2]
    for slot in (slot for slot in model.optimizer.variables if slot.shape[:1] == (TABLE_ROWS,)):
        changed = slot.numpy().reshape(TABLE_ROWS, -1) != slot.numpy().reshape(TABLE_ROWS, -1)[0]
        assert set(np.flatnonzero(changed.any(axis=1))) <= {1, 2}


def test_weighted_metrics_count_the_weights(rows):
    weight = np.where(rows[1][:, 0] == 1, 0.0, 2.0).astype(np.float32)
    model = compiled(rate=0.05)
    history = fit(model, rows, 3, sample_weight=weight).history
    assert history["accuracy"][-1] == 1  # only zeros weigh anything


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("schedule", [False, True])
def test_saved_loaded_and_continued_is_uninterrupted_to_the_bit(kind, schedule, rows, straight, tmp_path):
    first = compiled(kind, rate_of(schedule))
    fit(first, rows, 2)
    first.save(tmp_path / "model.keras")
    resumed = keras.models.load_model(tmp_path / "model.keras")
    assert same(resumed, first)
    assert resumed.optimizer.get_config() == first.optimizer.get_config()
    fit(resumed, rows, 2)
    assert same(resumed, straight(kind, schedule=schedule))


@pytest.mark.parametrize("kind", BOTH)
def test_tensorflow_checkpoints_keep_tables_slots_and_steps(kind, rows, straight, tmp_path):
    first, resumed = compiled(kind), compiled(kind)
    fit(first, rows, 2)
    path = tf.train.Checkpoint(model=first, optimizer=first.optimizer).write(str(tmp_path / "checkpoint"))
    resumed.optimizer.build(resumed.trainable_variables)
    tf.train.Checkpoint(model=resumed, optimizer=resumed.optimizer).read(path).expect_partial()
    fit(resumed, rows, 2)
    assert same(resumed, straight(kind))


class Killed(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt


@pytest.mark.parametrize("kind", BOTH)
def test_backup_and_restore_goes_on_where_it_was_interrupted(kind, rows, straight, tmp_path):
    killed, resumed = compiled(kind), compiled(kind)
    with pytest.raises(KeyboardInterrupt):
        fit(killed, rows, 4, callbacks=[keras.callbacks.BackupAndRestore(tmp_path / "backup"), Killed()])
    history = fit(resumed, rows, 4, callbacks=[keras.callbacks.BackupAndRestore(tmp_path / "backup")])
    assert history.epoch == [2, 3]
    assert same(resumed, straight(kind))


def test_model_checkpoint_keeps_a_model_that_can_be_continued(rows, tmp_path):
    model = compiled()
    file = tmp_path / "best.keras"
    fit(model, rows, 2, callbacks=[keras.callbacks.ModelCheckpoint(file, monitor="loss", save_best_only=True)])
    assert same(keras.models.load_model(file), model)


def test_reduce_lr_on_plateau_lowers_both_rates_and_csv_logger_writes_it(rows, tmp_path):
    model = compiled(rate=0.01)
    plateau = keras.callbacks.ReduceLROnPlateau("loss", factor=0.1, patience=1, min_delta=10.0, min_lr=1e-6)
    fit(model, rows, 4, callbacks=[plateau, keras.callbacks.CSVLogger(str(tmp_path / "log.csv"))])
    log = csv.DictReader((tmp_path / "log.csv").read_text().splitlines())
    rates = [float(row["learning_rate"]) for row in log]
    assert rates == pytest.approx([0.01, 0.01, 0.001, 0.0001])
    before = table_of(model).numpy()
    model.optimizer.learning_rate = 0.0
    fit(model, rows, 1)
    assert np.array_equal(table_of(model).numpy(), before)


def test_early_stopping_stops_and_restores_the_best_weights(rows):
    model = compiled()
    stopping = keras.callbacks.EarlyStopping("loss", patience=2, min_delta=10.0, restore_best_weights=True)
    history = fit(model, rows, 10, callbacks=[stopping])
    other = compiled()
    fit(other, rows, 1)
    assert history.epoch == [0, 1, 2]
    assert np.array_equal(table_of(model).numpy(), table_of(other).numpy())


def test_several_steps_in_one_execution_are_the_same_steps(rows):
    one, several = compiled(), compiled(steps_per_execution=5)
    fit(one, rows, 2)
    fit(several, rows, 2)
    assert same(one, several)


@pytest.mark.parametrize("kind", BOTH)
def test_a_training_step_never_reads_the_table_or_its_slots_as_a_whole(kind, rows):
    model = compiled(kind)
    fit(model, rows, 1)
    large = [v.value.handle for v in [*model.variables, *model.optimizer.variables] if v.shape[:1] == (TABLE_ROWS,)]
    graph = (
        tf.function(model.train_step)
        .get_concrete_function((tf.constant(rows[0]), tf.constant(rows[1]), tf.ones(ROWS)))
        .graph
    )
    inner = [inner for outer, inner in graph.captures if any(outer is handle for handle in large)]
    readers = {op.type for op in graph.get_operations() if any(t is one for t in op.inputs for one in inner)}
    assert len(inner) == len(large) == (2 if kind is RowWiseAdagrad else 3)
    assert readers == {"ResourceGather", "ResourceScatterUpdate"}
