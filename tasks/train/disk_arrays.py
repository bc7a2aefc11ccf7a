"""Arrays on the disk as memory maps, for rows that are too many for memory or are written part by part."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt


def make_map(path: Path, dtype: Any, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Return a new .npy file as a writable map, its room on the disk taken: a full disk is an OSError here and now."""
    # Writing to a sparse file on a full disk would be a bus error, which kills the process.
    mapped: npt.NDArray[Any] = np.lib.format.open_memmap(path, "w+", dtype, shape)
    with path.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return mapped
