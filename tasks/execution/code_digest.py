"""The software's own identity: changed code makes new runs, and workers elsewhere must run the same."""

from __future__ import annotations

import hashlib
import logging
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from ctr_retrain.models.network.custom_network import find_network, is_own, source_digest

if TYPE_CHECKING:  # so that --version needn't wait for pydantic
    from ctr_retrain.models.recipe.recipe import Recipe

log = logging.getLogger(__name__)


@cache
def code_digest() -> str:
    """Version and digest of this software's own source, so that changed code makes a new run."""
    root = Path(__file__).resolve().parents[2]
    digest = hashlib.sha256()
    for file in sorted(path for folder in ("models", "tasks", "flows") for path in (root / folder).rglob("*.py")):
        digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    return f"{version('ctr-retrain')}+{digest.hexdigest()[:12]}"


def code_of(recipe: Recipe) -> str:
    """`code_digest`, and beside it the name and source of a network that the recipe brings along.

    Raises UsageError where there is no such network.
    """
    training = recipe.training
    if not is_own(training.network):
        return code_digest()
    source = source_digest(training)
    _say_once(training.network, source)
    find_network(training)
    return f"{code_digest()} {training.network}@{source}"


@cache  # a run asks several times
def _say_once(network: str, source: str) -> None:
    """Say that a recipe brings code of its own, before it runs for the first time."""
    log.warning("network %s is code of your own (SHA-256 %s…): it runs with all that you may do", network, source)
