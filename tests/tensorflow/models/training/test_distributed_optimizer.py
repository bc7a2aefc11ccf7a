"""Under MirroredStrategy two devices at half the batch each do what one does at the whole batch.

The devices are virtual CPUs, in a process of their own: TensorFlow takes their number only before it starts.
"""

import json
import subprocess
import sys

import pytest

from tests.support.repository import REPOSITORY
from tests.support.small_world import clean_environment

PROGRAM = """
import json, sys
import keras, numpy as np, tensorflow as tf
from ctr_retrain.models.features.embedding import FusedEmbedding
from ctr_retrain.models.training.optimizers import LazyAdam, RowWiseAdagrad

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
rng = np.random.default_rng(4)
ids = rng.integers(0, 30, (512, 2)).astype(np.int32)  # both halves of a batch name the same rows
label = (ids.sum(axis=1) % 2).astype(np.float32)[:, None]
weight = rng.choice([0.0, 0.5, 2.0], 512).astype(np.float32)

def weights_after(strategy, kind):
    with strategy.scope():
        inputs = keras.Input((2,), dtype="int32")
        embedded = keras.layers.Flatten()(FusedEmbedding(40, 3, 1)(inputs))
        hidden = keras.layers.Dense(8, "relu", kernel_initializer=keras.initializers.GlorotUniform(2))(embedded)
        logit = keras.layers.Dense(1, kernel_initializer=keras.initializers.GlorotUniform(3))(hidden)
        model = keras.Model(inputs, logit)
        optimizer = kind(keras.optimizers.Adam(0.01), 10.0, 2)
        model.compile(optimizer, keras.losses.BinaryCrossentropy(from_logits=True), jit_compile=False)
    before = model.get_weights()
    model.fit(tf.data.Dataset.from_tensor_slices((ids, label, weight)).batch(64), epochs=3, verbose=0)
    return before, model.get_weights() + [np.asarray(variable.numpy()) for variable in optimizer.variables]

answer = {}
for kind in (RowWiseAdagrad, LazyAdam):
    before, one = weights_after(tf.distribute.OneDeviceStrategy("CPU:0"), kind)
    two_devices = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    _, two = weights_after(two_devices, kind)
    answer[kind.__name__] = {
        "replicas": two_devices.num_replicas_in_sync,
        "moved": max(float(np.abs(a - b).max()) for a, b in zip(before, one)),
        "apart": max(float(np.abs(a - b).max()) for a, b in zip(one, two, strict=True)),
    }
print(json.dumps(answer))
"""


@pytest.fixture(scope="module")
def differences():
    finished = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=REPOSITORY,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    return json.loads(finished.stdout.splitlines()[-1])


@pytest.mark.parametrize("kind", ["RowWiseAdagrad", "LazyAdam"])
def test_two_devices_at_half_the_batch_reach_the_weights_of_one(differences, kind):
    assert differences[kind]["replicas"] == 2
    assert differences[kind]["moved"] > 0.1
    assert differences[kind]["apart"] < 1e-4
