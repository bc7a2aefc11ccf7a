"""What going on with a trained network takes, in another process on another day: its variables and its optimizer's.

A folder of plain .npy files and a list of them. The SavedModel that serves holds neither optimizer nor training graph.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from models.checkpoint import capture, restore
from models.errors import StorageError
from models.network import build_network

if TYPE_CHECKING:
    from pathlib import Path

    import keras

    from models.recipe import Recipe
    from models.standardize import NumericState

LIST_FILE = "variables.json"
Arrays = tuple[npt.NDArray[Any], ...]


@dataclass(frozen=True, eq=False)
class Trainable:
    """Values of variables in their order: of the network, its table and what isn't trained included; of its optimizer.

    last_seen: (table rows,) the ordinal of the newest training day that named each row, 0 for none; None where nobody
    counted.
    """

    network: Arrays
    optimizer: Arrays
    last_seen: npt.NDArray[np.int32] | None = None


def trainable_of(network: keras.Model, optimizer: Any, last_seen: npt.NDArray[np.int32] | None = None) -> Trainable:
    """A copy of where network and optimizer stand."""
    return Trainable(capture(network), capture(optimizer), last_seen)


def save_trainable(trainable: Trainable, folder: Path) -> None:
    """Write the state into a new folder."""
    folder.mkdir(parents=True)
    names: dict[str, list[str]] = {}
    found = {"network": trainable.network, "optimizer": trainable.optimizer}
    if trainable.last_seen is not None:
        found["last_seen"] = (trainable.last_seen,)
    for owner, arrays in found.items():
        names[owner] = [f"{owner}-{number:04d}.npy" for number in range(len(arrays))]
        for name, array in zip(names[owner], arrays, strict=True):
            np.save(folder / name, array)
    (folder / LIST_FILE).write_text(json.dumps(names, indent=1), encoding="utf-8")


def load_trainable(folder: Path) -> Trainable:
    """What `save_trainable` wrote, as memory maps; raises StorageError where the folder holds none."""
    try:
        names = json.loads((folder / LIST_FILE).read_text(encoding="utf-8"))
        arrays = {
            owner: tuple(np.load(folder / name, mmap_mode="r") for name in found) for owner, found in names.items()
        }
        last_seen = arrays["last_seen"][0] if "last_seen" in arrays else None
        return Trainable(arrays["network"], arrays["optimizer"], last_seen)
    except (OSError, KeyError, ValueError) as error:
        msg = f"{folder}: expected a network's variables as training left them, received: {error}. Train a model anew."
        raise StorageError(msg) from error


def rebuild_network(trainable: Trainable, recipe: Recipe, state: NumericState) -> keras.Model:
    """The network as it was trained, in the recipe's precision; raises StorageError where the recipe is of another."""
    network = build_network(recipe, state, 0.0, recipe.training.seed)
    if not restore(trainable.network, network):
        msg = (
            f"trained variables: expected those of network {recipe.training.network!r} as the recipe describes it, "
            f"received {[array.shape for array in trainable.network]}. Train a model anew."
        )
        raise StorageError(msg)
    return network
