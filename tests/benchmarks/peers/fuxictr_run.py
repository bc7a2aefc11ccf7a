"""FuxiCTR's layers as its DeepFM joins them, trained by its own training step. Run by its own environment's Python.

Arguments: the set's folder, training rows, the seed.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FactorizationMachine, FeatureEmbedding, MLP_Block
from fuxictr.pytorch.models import BaseModel
from fuxictr.pytorch.torch_utils import seed_everything
from measure import Memory, Speed, answer

BATCH = 4096


class DeepFM(BaseModel):
    """A factorization machine beside a perceptron over the same embeddings (Guo et al. 2017)."""

    def __init__(self, features, folder):
        super().__init__(features, verbose=0, metrics=["AUC"], model_root=folder)
        self.embedding = FeatureEmbedding(features, 16)
        self.fm = FactorizationMachine(features)
        self.mlp = MLP_Block(input_dim=16 * features.num_fields, hidden_units=[256, 128, 64], output_dim=1)
        self.compile("adam", "binary_crossentropy", 1e-3)
        self.reset_parameters()
        self._max_gradient_norm = 10.0

    def forward(self, inputs):
        """Its contract: a dictionary with y_pred."""
        columns = self.get_inputs(inputs)
        embedded = self.embedding(columns)
        logit = self.fm(columns, embedded) + self.mlp(embedded.flatten(start_dim=1))
        return {"y_pred": self.output_activation(logit)}


def main(folder, rows, seed):
    """Train, and write test predictions to `predicted.npy`."""
    info = json.loads((folder / "info.json").read_text(encoding="utf-8"))
    seed_everything(seed)
    order = np.load(folder / f"order_{seed}.npy")[:rows]
    ids, numeric = (np.load(folder / f"train_{name}.npy", mmap_mode="r")[order] for name in ("ids", "numeric"))
    label = np.load(folder / "train_label.npy")[order]
    with tempfile.TemporaryDirectory() as scratch:
        model, speed = DeepFM(_features(info), scratch), Speed()
        model.train()
        with Memory() as memory:
            for first in range(0, rows, BATCH):
                part = slice(first, first + BATCH)
                model.train_step(_batch(ids[part], numeric[part], label[part]))
                speed.step(min(first + BATCH, rows))
        np.save(folder / "predicted.npy", _predict(model, folder))
    answer(speed, memory)


def _features(info):
    features = FeatureMap("criteo_like", ".")
    for k, size in enumerate(info["sizes"]):
        features.features[f"c{k}"] = {"source": "", "type": "categorical", "vocab_size": size}
    for k in range(info["numbers"]):
        features.features[f"n{k}"] = {"source": "", "type": "numeric"}
    features.labels = ["label"]
    features.num_fields = features.get_num_fields()
    features.set_column_index()
    return features


def _batch(ids, numeric, label):
    columns = {f"c{k}": torch.from_numpy(np.ascontiguousarray(ids[:, k])).long() for k in range(ids.shape[1])}
    columns |= {f"n{k}": torch.from_numpy(np.ascontiguousarray(numeric[:, k])) for k in range(numeric.shape[1])}
    return columns | {"label": torch.from_numpy(label)}


def _predict(model, folder):
    ids, numeric = (np.load(folder / f"test_{name}.npy") for name in ("ids", "numeric"))
    model.eval()
    found = []
    with torch.no_grad():
        for first in range(0, len(ids), 16_384):
            part = slice(first, first + 16_384)
            batch = _batch(ids[part], numeric[part], np.zeros(len(ids[part])))
            found.append(model.forward(batch)["y_pred"].numpy()[:, 0])
    return np.concatenate(found).astype(np.float64)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
