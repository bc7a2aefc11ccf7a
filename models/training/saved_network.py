"""A trained network on disk, to go on with in another process on another day: its variables and its optimizer's.

A folder of plain .npy files and a list of them. The SavedModel that serves holds neither optimizer nor training graph.

Variables have names that stay: Keras numbers the layers that a process makes, so that the same network has a `dense_7`
here and a `dense` there; in these names such layers are numbered within their network.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ctr_retrain.models.errors import StorageError
from ctr_retrain.models.features.embedding import EMBEDDING_TABLE
from ctr_retrain.models.features.vocabulary import known_values, with_values
from ctr_retrain.models.network.build_network import BASE_LOG_ODDS, build_network, embedding_width
from ctr_retrain.models.training.training_state import capture, restore

if TYPE_CHECKING:
    from pathlib import Path

    import keras

    from ctr_retrain.models.feature_kinds.feature import Feature
    from ctr_retrain.models.features.standardize import NumericState
    from ctr_retrain.models.recipe.recipe import Recipe

LIST_FILE = "variables.json"  # names the .npy file of each variable
KNOWN = "known"  # its key for the known values; `choose_start` looks for it, since older models have none
Arrays = tuple[npt.NDArray[Any], ...]


@dataclass(frozen=True, eq=False)
class Trainable:
    """Values of the variables of a network and its optimizer, in their order."""

    network: Arrays  # the embedding table and what isn't trained included
    optimizer: Arrays
    network_names: tuple[str, ...] = ()  # `layer/number name` each
    optimizer_names: tuple[str, ...] = ()  # `weight: slot` each; a variable of no weight has its own name
    base_log_odds: float = 0.0  # the constant that is added to the logit of a network of one's own, else 0
    # The values that have rows in the embedding table, rising, by the feature that owns the rows.
    known: dict[str, npt.NDArray[np.int64]] = field(default_factory=dict)

    @property
    def weights(self) -> dict[str, npt.NDArray[Any]]:
        """Return the network's values by name."""
        return dict(zip(self.network_names, self.network, strict=True))

    @property
    def table(self) -> npt.NDArray[Any]:
        """Return the embedding table, (table rows, members · width)."""
        return next(array for name, array in self.weights.items() if name.endswith(EMBEDDING_TABLE))

    @property
    def slots(self) -> dict[str, npt.NDArray[Any]]:
        """Return the optimizer's values by name."""
        return dict(zip(self.optimizer_names, self.optimizer, strict=True))


def trainable_of(network: keras.Model, optimizer: Any, features: tuple[Feature, ...]) -> Trainable:
    """Copy the values of the variables of network and optimizer. features: those that the network was built for."""
    added = next((layer.offset for layer in network.layers if layer.name == BASE_LOG_ODDS), 0.0)
    names = (tuple(named_weights(network)), tuple(named_slots(optimizer, network)))
    return Trainable(capture(network), capture(optimizer), *names, float(added), known_values(features))


def named_layers(network: keras.Model) -> dict[str, Any]:
    """Return the network's layers that hold variables, in its order, by names that don't depend on the process."""
    found: dict[str, Any] = {}
    for layer in (layer for layer in network.layers if layer.variables):
        own = _snake_case(type(layer).__name__)
        # A name that Keras gave carries a number of this process; one that the network gave is kept.
        name = own if re.fullmatch(rf"{own}(_\d+)?", layer.name) else layer.name
        number, numbered = 1, name
        while numbered in found:
            numbered, number = f"{name}_{number}", number + 1
        found[numbered] = layer
    return found


def named_weights(network: keras.Model) -> dict[str, Any]:
    """Return all variables of the network by name, in its order."""
    names = {
        variable.path: f"{layer}/{number} {variable.name}"
        for layer, held in named_layers(network).items()
        for number, variable in enumerate(held.variables)
    }
    return {names[variable.path]: variable for variable in network.variables}


def named_slots(optimizer: Any, network: keras.Model) -> dict[str, Any]:
    """Return all variables of the optimizer that trains the network by name, in its order."""
    # Keras names a slot after its weight's path, ours after the table's name: find each slot's weight by these.
    owners: dict[str, str] = {}
    for name, weight in named_weights(network).items():
        owners[weight.path.replace("/", "_")] = name
        if weight.name == EMBEDDING_TABLE:
            owners[weight.name] = name
    found: dict[str, Any] = {}
    for slot in optimizer.variables:
        owner = max((path for path in owners if slot.name.startswith(f"{path}_")), key=len, default="")
        name = f"{owners[owner]}: {slot.name.removeprefix(f'{owner}_')}" if owner else slot.path
        found[name] = slot
    return found


def save_trainable(trainable: Trainable, folder: Path) -> None:
    """Write the variables into a new folder."""
    folder.mkdir(parents=True)
    content: dict[str, Any] = {"base_log_odds": trainable.base_log_odds}
    found = {"network": trainable.weights, "optimizer": trainable.slots, KNOWN: trainable.known}
    for owner, values in found.items():
        content[owner] = {name: f"{owner}-{number:04d}.npy" for number, name in enumerate(values)}
        for name, file in content[owner].items():
            np.save(folder / file, values[name])
    (folder / LIST_FILE).write_text(json.dumps(content, indent=1), encoding="utf-8")


def load_trainable(folder: Path) -> Trainable:
    """Open the variables that `save_trainable` wrote, as memory maps; raises StorageError where there are none."""
    try:
        content = json.loads((folder / LIST_FILE).read_text(encoding="utf-8"))
        network, optimizer, known = (
            {name: np.load(folder / _file_name(file), mmap_mode="r") for name, file in content[owner].items()}
            for owner in ("network", "optimizer", KNOWN)
        )
        arrays = tuple(network.values()), tuple(optimizer.values())
        return Trainable(*arrays, tuple(network), tuple(optimizer), content["base_log_odds"], known)
    except (OSError, KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        msg = f"{folder}: expected a network's variables as training left them, received: {error}. Train a model anew."
        raise StorageError(msg) from error


def _file_name(name: str) -> str:
    """Return the name of a file in the folder, as `save_trainable` gives it; raises ValueError for any other path."""
    if not re.fullmatch(r"[a-z]+-\d{4,}\.npy", name):
        msg = f"a file named {name!r}"
        raise ValueError(msg)
    return name


def rebuild_network(trainable: Trainable, recipe: Recipe, state: NumericState) -> keras.Model:
    """Rebuild the network as it was trained, in the recipe's precision; its features needn't be fitted.

    Raises StorageError where the variables don't fit the network that the recipe describes.
    """
    network = build_network(fitted_recipe(recipe, trainable), state, trainable.base_log_odds, recipe.training.seed)
    if not restore(trainable.network, network):
        msg = (
            f"trained variables: expected those of network {recipe.training.network!r} as the recipe describes it, "
            f"received {[array.shape for array in trainable.network]}. Train a model anew."
        )
        raise StorageError(msg)
    return network


def fitted_recipe(recipe: Recipe, trainable: Trainable) -> Recipe:
    """Return the recipe whose features know the values that the network has rows for, and with as many members."""
    training = recipe.training.model_copy(update={"ensemble": members_of(trainable, recipe)})
    return recipe.model_copy(update={"features": with_values(recipe.features, trainable.known), "training": training})


def members_of(trainable: Trainable, recipe: Recipe) -> int:
    """Return of how many networks a trained one of the recipe is the mean."""
    columns: int = trainable.table.shape[1]
    return columns // embedding_width(recipe.training)


def _snake_case(name: str) -> str:
    """Turn a class's name into the layer's, as Keras does."""
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)).lower()
