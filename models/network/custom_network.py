"""Networks of a recipe's own, in a file or in a module: found, and told apart by their source."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import linecache
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ctr_retrain.models.errors import UsageError
from ctr_retrain.models.recipe.network_file import is_network_file

if TYPE_CHECKING:
    from collections.abc import Callable

    from ctr_retrain.models.recipe.training_section import Training

    # (embedded ids (batch, fields, dim + 1), numbers (batch, columns), training) → logit (batch, 1)
    OwnNetwork = Callable[[Any, Any, Training], Any]


def is_own(network: str) -> bool:
    """Return whether a recipe's network is a function of somebody else's file or module."""
    return ":" in network


def find_network(training: Training) -> OwnNetwork:
    """Return the function; raises UsageError where it can't be found, or where its file or module can't be run."""
    name = training.network
    place, _, attribute = name.rpartition(":")
    try:
        module = _module_of_file(training) if is_network_file(name) else importlib.import_module(place)
    except UsageError:
        raise
    except Exception as error:
        raise UsageError(_failed_import(name, place, error)) from error
    function = getattr(module, attribute, None)
    if not callable(function):
        received = f"a {type(function).__name__}" if hasattr(module, attribute) else "none of that name"
        msg = f"network {name!r}: expected a function {attribute} in {module.__file__}, received {received}."
        raise UsageError(msg)
    return function  # type: ignore[no-any-return]


def source_digest(training: Training) -> str:
    """Return SHA-256 of the network's file or module, 12 hex digits; of a module in a package, of the whole package.

    So a network whose source has changed makes a new run. Raises UsageError where there is no such module.
    """
    if is_network_file(training.network):
        return hashlib.sha256(_source_of(training).encode()).hexdigest()[:12]
    module_name = training.network.split(":", maxsplit=1)[0]
    try:
        spec = importlib.util.find_spec(module_name.split(".")[0])
    except ValueError:
        spec = None
    if spec is None:
        raise UsageError(_unknown_module(training.network, module_name, "none"))
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    files = [(file.relative_to(folder), file) for folder in folders for file in folder.rglob("*.py")]
    if spec.origin and not folders:
        files = [(Path(Path(spec.origin).name), Path(spec.origin))]
    digest = hashlib.sha256()
    for relative, file in sorted(files):
        digest.update(relative.as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]


def _module_of_file(training: Training) -> ModuleType:
    """Return the module that the file's text makes, run once in a process; other text is another module.

    The text comes from the recipe, not from the file: a model is built from what its recipe held when it was loaded.
    """
    source = _source_of(training)
    name = f"ctr_retrain_network_{source_digest(training)}"
    if name in sys.modules:
        return sys.modules[name]
    module = ModuleType(name)
    module.__file__ = training.network.rpartition(":")[0]
    shown = f"<{name} of {module.__file__}>"  # no path: what stands there by now may be another text
    linecache.cache[shown] = (len(source), None, source.splitlines(keepends=True), shown)  # lines for a traceback
    sys.modules[name] = module  # before it runs, as an import does: dataclasses look their module up
    try:
        exec(compile(source, shown, "exec"), module.__dict__)  # noqa: S102 - as importing it would
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _source_of(training: Training) -> str:
    if training.network_source is None:
        msg = (
            f"network {training.network!r}: expected a recipe that carries the file's text, received one without. "
            "Load the recipe from its own file with load_recipe, which reads the network's too."
        )
        raise UsageError(msg)
    return training.network_source


def _failed_import(name: str, place: str, error: Exception) -> str:
    msg = f"network {name!r}: expected that {place} can be imported, received {error!r}."
    if not is_network_file(name):
        missing = isinstance(error, ModuleNotFoundError)
        return _unknown_module(name, place, str(error)) if missing else f"{msg} Correct the module."
    if isinstance(error, ImportError):
        return f"{msg} A network's file stands alone: it may import installed packages, and no file beside it."
    return f"{msg} Correct the file."


def _unknown_module(name: str, module: str, received: str) -> str:
    return (
        f"network {name!r}: expected an importable module {module}, received: {received}. "
        "Install its package beside ctr-retrain, or name its folder in PYTHONPATH."
    )
