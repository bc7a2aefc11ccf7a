"""DeepCTR's DeepFM as its users train it: one epoch, Adam, in-memory arrays. Run by its own environment's Python.

Arguments: the set's folder, training rows, the seed. Its penalty on embeddings is off, since its gradient is of the
whole table at each step.
"""

import json
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
from deepctr.feature_column import DenseFeat, SparseFeat
from deepctr.models import DeepFM
from measure import Memory, Speed, answer

BATCH = 4096


def main(folder, rows, seed):
    """Train, and write test predictions to `predicted.npy`."""
    info = json.loads((folder / "info.json").read_text(encoding="utf-8"))
    tf.keras.utils.set_random_seed(seed)
    order = np.load(folder / f"order_{seed}.npy")[:rows]
    columns = [SparseFeat(f"c{k}", size, embedding_dim=16) for k, size in enumerate(info["sizes"])]
    columns += [DenseFeat(f"n{k}", 1) for k in range(info["numbers"])]
    model = DeepFM(
        columns,
        columns,
        dnn_hidden_units=(256, 128, 64),
        l2_reg_linear=0,
        l2_reg_embedding=0,
        seed=seed,
    )
    model.compile("adam", "binary_crossentropy")
    inputs, label = _inputs(folder, "train", info, order), np.load(folder / "train_label.npy")[order].astype(np.float32)
    speed = Speed()

    class TrainingCallback(tf.keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            speed.step(min((batch + 1) * BATCH, rows))

    with Memory() as memory:
        model.fit(inputs, label, batch_size=BATCH, shuffle=False, verbose=0, callbacks=[TrainingCallback()])
    predicted = model.predict(_inputs(folder, "test", info, slice(None)), batch_size=16_384, verbose=0)
    np.save(folder / "predicted.npy", predicted[:, 0].astype(np.float64))
    answer(speed, memory)


def _inputs(folder, part, info, chosen):
    ids, numeric = (np.load(folder / f"{part}_{name}.npy", mmap_mode="r")[chosen] for name in ("ids", "numeric"))
    columns = {f"c{k}": np.ascontiguousarray(ids[:, k]) for k in range(len(info["sizes"]))}
    return columns | {f"n{k}": np.ascontiguousarray(numeric[:, k]) for k in range(info["numbers"])}


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
