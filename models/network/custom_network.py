"""Networks that a recipe names as "package.module:function": found, and told apart by their source."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctr_retrain.models.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ctr_retrain.models.recipe.training_section import Training

    # (embedded ids (batch, fields, dim + 1), numbers (batch, columns), training) → logit (batch, 1)
    OwnNetwork = Callable[[Any, Any, Training], Any]


def is_own(network: str) -> bool:
    """Whether a recipe's network is a function of somebody else's module."""
    return ":" in network


def find_network(name: str) -> OwnNetwork:
    """The function; raises UsageError where there is no such module, or nothing callable of that name in it."""
    module_name, attribute = name.split(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise UsageError(_unknown_module(name, module_name, str(error))) from error
    except Exception as error:
        msg = f"network {name!r}: expected that {module_name} can be imported, received {error!r}. Correct the module."
        raise UsageError(msg) from error
    function = getattr(module, attribute, None)
    if not callable(function):
        received = f"a {type(function).__name__}" if hasattr(module, attribute) else "none of that name"
        msg = f"network {name!r}: expected a function {attribute} in {module.__file__}, received {received}."
        raise UsageError(msg)
    return function  # type: ignore[no-any-return]


def source_digest(name: str) -> str:
    """SHA-256 of the module's source, 12 hex digits, and where it is in a package of all of that package's.

    So a network whose source has changed makes a new run. Raises UsageError where there is no such module.
    """
    module_name = name.split(":", maxsplit=1)[0]
    try:
        spec = importlib.util.find_spec(module_name.split(".")[0])
    except ValueError:
        spec = None
    if spec is None:
        raise UsageError(_unknown_module(name, module_name, "none"))
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    files = [(file.relative_to(folder), file) for folder in folders for file in folder.rglob("*.py")]
    if spec.origin and not folders:
        files = [(Path(Path(spec.origin).name), Path(spec.origin))]
    digest = hashlib.sha256()
    for relative, file in sorted(files):
        digest.update(relative.as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]


def _unknown_module(name: str, module: str, received: str) -> str:
    return (
        f"network {name!r}: expected an importable module {module}, received: {received}. "
        "Install its package beside ctr-retrain, or name its folder in PYTHONPATH."
    )
