"""The systems of the training benchmark that run in this project's own environment, each in a process of its own.

`python -m tests.benchmarks.training_systems SYSTEM FOLDER ROWS SEED` trains one epoch over the set's rows in the order
of that seed, writes the test rows' predictions, and prints speed and memory.
"""

import json
import sys
from datetime import date
from pathlib import Path

import numpy as np

from tests.benchmarks.criteo_like import NUMBERS
from tests.benchmarks.peers.measure import Memory, Speed, answer

BATCH = 4096
UNITS = (256, 128, 64)
DIM = 16
DAY = date(2026, 3, 1)


class Rows:
    """A part of the set: its arrays are open maps, ids are rows of one fused table."""

    def __init__(self, folder, part):
        info = json.loads((folder / "info.json").read_text(encoding="utf-8"))
        self.sizes = info["sizes"]
        self.ids, self.numeric = (np.load(folder / f"{part}_{name}.npy", mmap_mode="r") for name in ("ids", "numeric"))
        self.label = np.load(folder / f"{part}_label.npy")
        self.offsets = np.concatenate([[0], np.cumsum(self.sizes)]).astype(np.int32)

    def __len__(self):
        return len(self.label)


def ctr_retrain(folder, count, seed, speed):
    """This project's DeepFM through its own batches and training."""
    from ctr_retrain.models.training.training_loop import logits_function, train

    rows, test = Rows(folder, "train"), Rows(folder, "test")
    recipe, factors, network = deepfm(rows.sizes, rows.label[:count], seed)
    done = 0

    def progress(now, _):
        nonlocal done
        speed.step(now, -(-(now - done) // BATCH))
        done = now

    train(network, our_batches(folder, rows, factors, count, seed), recipe.training, progress)
    return lambda: _sigmoid(logits_function(network)(test.ids + rows.offsets[:-1], np.array(test.numeric)))


def feeding(folder, count, seed, speed):
    """The same batches, and nothing done with them: each is copied out of the maps, weighed and given to TensorFlow."""
    rows = Rows(folder, "train")
    _, factors, _ = deepfm(rows.sizes, rows.label[:count], seed)
    done = 0
    for _, label, _ in our_batches(folder, rows, factors, count, seed).dataset:
        done += len(label)
        speed.step(done)


def deepfm(sizes, label, seed):
    """This project's recipe, factors and untrained network for a set whose fields have these sizes."""
    import keras

    from ctr_retrain.models.feature_kinds.categorical import Categorical
    from ctr_retrain.models.feature_kinds.numeric import Numeric
    from ctr_retrain.models.features.standardize import NumericState
    from ctr_retrain.models.network.build_network import build_network
    from ctr_retrain.models.recipe.channel_section import Channel, Cost
    from ctr_retrain.models.recipe.gate_section import Gate
    from ctr_retrain.models.recipe.recipe import Recipe
    from ctr_retrain.models.recipe.training_section import Training
    from ctr_retrain.models.recipe.weights_section import Weights
    from ctr_retrain.models.weights.row_weights import ClassMass, compute_factors
    from tests.support.known_values import of_rows

    features = [of_rows(Categorical(name=f"c{k}"), size) for k, size in enumerate(sizes)]
    features += [Numeric(name=f"n{k}", encoding="standardized") for k in range(NUMBERS)]
    cost = Cost(true_positive=-1, false_positive=0.02)
    recipe = Recipe(
        name="benchmark",
        channels={"ad": Channel(positive_ratio=(0, 1), cost=cost)},
        features=features,
        training=Training(network="deepfm", hidden_units=UNITS, embedding_dim=DIM, batch_rows=BATCH, seed=seed),
        gate=Gate(max_cost_delta_per_1000=1, max_channel_cost_delta_per_1000=1),
    )
    mass = ClassMass(np.zeros(2, int), np.array([0, 1]), np.ones(2), np.bincount(label, minlength=2))
    factors = compute_factors((DAY,), DAY, mass, Weights(half_life_days=7, class_weight="none"))
    keras.utils.set_random_seed(seed)
    state = NumericState((False,) * NUMBERS, (0.0,) * NUMBERS, (1.0,) * NUMBERS)
    return recipe, factors, build_network(recipe, state, factors.base_log_odds, seed)


def our_batches(folder, rows, factors, count, seed):
    """The set's first rows as this project streams them."""
    from ctr_retrain.models.training.batches import TrainingRows, make_batches

    maps = (np.lib.format.open_memmap(folder / f"fused_{name}.npy", "r") for name in ("ids", "numeric"))
    ids, numeric = (array[:count] for array in maps)
    day_index = np.zeros(count, np.int16)
    return make_batches(TrainingRows(ids, numeric, rows.label[:count], day_index), factors, BATCH, seed)


def naive_keras(folder, count, seed, speed):
    """DeepFM as one writes it with stock layers: two Embedding layers a feature, Adam for everything."""
    import keras

    rows, test = Rows(folder, "train"), Rows(folder, "test")
    keras.utils.set_random_seed(seed)
    inputs = [keras.Input((), dtype="int32", name=f"c{k}") for k in range(len(rows.sizes))]
    numbers = keras.Input((NUMBERS,), name="numeric")
    vectors = [keras.layers.Embedding(size, DIM)(ids) for ids, size in zip(inputs, rows.sizes, strict=True)]
    linear = [keras.layers.Embedding(size, 1)(ids) for ids, size in zip(inputs, rows.sizes, strict=True)]
    stacked = keras.ops.stack(vectors, axis=1)
    pairs = keras.ops.square(keras.ops.sum(stacked, axis=1)) - keras.ops.sum(keras.ops.square(stacked), axis=1)
    hidden = keras.layers.Concatenate()([*vectors, numbers])
    for units in UNITS:
        hidden = keras.layers.Dense(units, activation="relu")(hidden)
    second = 0.5 * keras.ops.sum(pairs, axis=1, keepdims=True)
    logit = keras.layers.Add()([*linear, second, keras.layers.Dense(1)(hidden), keras.layers.Dense(1)(numbers)])
    model = keras.Model([*inputs, numbers], logit)
    model.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True))
    order = np.load(folder / f"order_{seed}.npy")[:count]

    def columns(part, chosen):
        ids = part.ids[chosen]
        return [*(np.ascontiguousarray(ids[:, k]) for k in range(len(rows.sizes))), part.numeric[chosen]]

    class TrainingCallback(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            speed.step(min((batch + 1) * BATCH, count))

    label = rows.label[order].astype(np.float32)
    model.fit(columns(rows, order), label, batch_size=BATCH, shuffle=False, verbose=0, callbacks=[TrainingCallback()])
    return lambda: _sigmoid(model.predict(columns(test, slice(None)), batch_size=16_384, verbose=0)[:, 0])


def sklearn_sgd(folder, count, seed, speed):
    """A linear model by stochastic gradient descent, on a sparse matrix that is made beforehand."""
    from scipy.sparse import csr_matrix, hstack
    from sklearn.linear_model import SGDClassifier

    rows, test = Rows(folder, "train"), Rows(folder, "test")

    def matrix(part, chosen):
        ids = part.ids[chosen] + rows.offsets[:-1]
        ones = np.ones(ids.size, np.float32)
        starts = np.arange(0, ids.size + 1, ids.shape[1])
        sparse = csr_matrix((ones, ids.ravel(), starts), shape=(len(ids), rows.offsets[-1]))
        return hstack([sparse, csr_matrix(part.numeric[chosen])], format="csr")

    order = np.load(folder / f"order_{seed}.npy")[:count]
    inputs, label = matrix(rows, order), rows.label[order]
    model = SGDClassifier(loss="log_loss", alpha=1e-7, learning_rate="constant", eta0=0.01, random_state=seed)
    step = BATCH * 8
    for first in range(0, count, step):
        part = slice(first, first + step)
        model.partial_fit(inputs[part], label[part], classes=[0, 1])
        speed.step(min(first + step, count), 8)
    return lambda: model.predict_proba(matrix(test, slice(None)))[:, 1]


def op_limit(folder, count, seed, speed):
    """No model: the perceptron's matrix products forward and backward, one gather and one scatter, and no more."""
    import tensorflow as tf

    rows = Rows(folder, "train")
    width = len(rows.sizes) * (DIM + 1) + 2 * NUMBERS
    shapes = list(zip((width, *UNITS), (*UNITS, 1), strict=True))
    weights = [tf.Variable(tf.random.stateless_normal(shape, (seed, 1)) * 0.05) for shape in shapes]
    table = tf.Variable(tf.zeros((rows.offsets[-1], DIM + 1)))
    ids = tf.constant(np.lib.format.open_memmap(folder / "fused_ids.npy", "r")[: BATCH * 64])
    rest = tf.zeros((BATCH, 2 * NUMBERS))

    @tf.function
    def step(batch):
        some = ids[batch * BATCH : (batch + 1) * BATCH]
        gathered = tf.reshape(tf.nn.embedding_lookup(table, some), (BATCH, width - 2 * NUMBERS))
        layers = [tf.concat([gathered, rest], axis=1)]
        for weight in weights:
            layers.append(tf.matmul(layers[-1], weight))
        slope = layers[-1]
        for below, weight in zip(reversed(layers[:-1]), reversed(weights), strict=True):
            weight.assign_sub(1e-9 * tf.matmul(below, slope, transpose_a=True))
            slope = tf.matmul(slope, weight, transpose_b=True)
        change = tf.reshape(slope[:, : width - 2 * NUMBERS], (-1, DIM + 1))
        table.scatter_sub(tf.IndexedSlices(1e-9 * change, tf.reshape(some, [-1])))

    for number in range(min(count // BATCH, 200)):
        step(tf.constant(number % 64))
        speed.step((number + 1) * BATCH)


def _sigmoid(logit):
    return 1 / (1 + np.exp(-logit.astype(np.float64)))


SYSTEMS = {
    "ctr-retrain": ctr_retrain,
    "keras": naive_keras,
    "scikit-learn": sklearn_sgd,
    "op-limit": op_limit,
}
OTHERS = {"feeding": feeding}


def main(system, folder, rows, seed):
    """One run."""
    speed = Speed()
    with Memory() as memory:
        predict = (SYSTEMS | OTHERS)[system](folder, rows, seed, speed)
    if predict:
        np.save(folder / "predicted.npy", predict())
    answer(speed, memory)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
