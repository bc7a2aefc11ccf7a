"""A network's file beside the recipe: the recipe names it and, once loaded, carries its text.

So the model process, another machine and the copy of a recipe that a model keeps need no path; a recipe and its file
can be moved together; and a changed file is a changed recipe.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# No absolute path: it would make the same recipe another one on another machine.
FILE_AND_FUNCTION = re.compile(r"[^/:\\][^:\\]*\.py:[A-Za-z_]\w*", re.ASCII)


def is_network_file(network: str) -> bool:
    """Return whether `network` names a function in a file, such as `my_networks.py:build`, and not in a module."""
    return FILE_AND_FUNCTION.fullmatch(network) is not None


def read_network_source(network: str, folder: Path) -> str | None:
    """Return the text of the network's file, whose path begins in the recipe's folder; None where it is in no file.

    Raises ValueError, with the recipe's key first, for a file that can't be read.
    """
    if not is_network_file(network):
        return None
    file = folder / network.rpartition(":")[0]
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        msg = (
            f"training.network: expected a Python file at {file.absolute()}, for the path in {network!r} begins in the "
            f"recipe's folder, received: {reason}"
        )
        raise ValueError(msg) from error
