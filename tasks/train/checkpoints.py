"""Checkpoints of a fit under way, on this machine's disk: a run that is killed goes on where it was.

CHECKPOINTS/KEY/NUMBER/   one state: variables as .npy, and state.json, which is written last and holds their checksums

KEY is a digest of all that the fit depends on, so a state never meets other rows, another recipe or other code. The
folder is outside of a run's staging folder, which the next run sweeps. It goes when its fit is over, when it is older
than KEPT_DAYS and another fit begins, or with `gc`.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import shutil
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ctr_retrain.models.documents.document import Part
from ctr_retrain.models.errors import TrainingDivergedError
from ctr_retrain.tasks.store.staging import is_held, sync

if TYPE_CHECKING:
    from ctr_retrain.models.training.training_state import TrainingState

SECONDS_BETWEEN = 60.0  # at least, from one checkpoint to the next
TIMES_ITS_COST = 20  # at most a twentieth of the time goes into checkpoints
KEPT_DAYS = 3.0
STATE_FILE = "state.json"  # a folder without it was not written to its end

log = logging.getLogger(__name__)


class _SavedState(Part):
    """The content of STATE_FILE: a state but for its arrays, and their checksums by the name of their file."""

    epoch: int
    batch: int
    history: tuple[tuple[int, float], ...]
    stopping_losses: tuple[float, ...]
    checksums: Mapping[str, int]


class FolderCheckpoints:
    """The states of one fit below a folder that this process has to itself; the newest whole one counts."""

    def __init__(self, folder: Path, seconds_between: float = SECONDS_BETWEEN) -> None:
        """Keep states below `folder`, which exists; the first one is due when `seconds_between` have passed."""
        self._folder = folder
        self._seconds_between, self._times_its_cost = seconds_between, TIMES_ITS_COST
        self._cost, self._last = 0.0, time.monotonic()

    def due(self) -> bool:
        """Return whether enough time has passed since the last checkpoint, also measured by what that one cost."""
        return time.monotonic() - self._last >= max(self._seconds_between, self._times_its_cost * self._cost)

    def save(self, state: TrainingState) -> None:
        """Write the state aside, give it its name, remove its predecessors; only warn where the disk is full."""
        # A fit can go on without its checkpoints, so a full disk is no reason to stop it.
        started = time.monotonic()
        before = self._states()
        aside = self._folder / "aside"
        try:
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir()
            _write(aside, state)
            sync(aside)
            # Renamed when all of it is on the disk: a process killed before leaves its predecessor as the newest.
            aside.rename(self._folder / f"{int(before[-1].name) + 1 if before else 1:06d}")
            sync(self._folder)
            for older in before:
                shutil.rmtree(older)
        except OSError as error:
            log.warning("no checkpoint in %s: expected room to write, received: %s", self._folder, error)
            shutil.rmtree(aside, ignore_errors=True)
        self._last = time.monotonic()
        self._cost = self._last - started

    def load(self) -> TrainingState | None:
        """Return the newest state that is whole; None where there is none, and the fit begins at its beginning."""
        for folder in reversed(self._states()):
            try:
                return _read(folder)
            except (OSError, ValueError, KeyError) as error:
                log.warning("checkpoint %s: expected a whole one, received: %s. It is passed over.", folder, error)
        return None

    def _states(self) -> list[Path]:
        """Return the folders of the states, oldest first."""
        return sorted(path for path in self._folder.iterdir() if path.name.isdigit())


@contextmanager
def checkpoints_of(parent: Path, key: str) -> Iterator[FolderCheckpoints | None]:
    """Open the checkpoints of the fit `key`, and remove them once it is over; None while another process has them.

    parent: the folder that holds those of all fits. Where a fit is killed or fails they stay, unless it diverged.
    """
    sweep_checkpoints(parent, KEPT_DAYS * 24 * 3600)
    folder = parent / key
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        yield None
        return
    try:
        folder.mkdir(exist_ok=True)  # a sweep may have come between
        os.utime(folder)
        yield FolderCheckpoints(folder)
        shutil.rmtree(folder, ignore_errors=True)
    except TrainingDivergedError:  # it would diverge again from there
        shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        os.close(descriptor)


def sweep_checkpoints(parent: Path, older_than_seconds: float, *, dry_run: bool = False) -> list[Path]:
    """Remove the checkpoints of fits that no process makes any more and that are older; return their folders."""
    swept = []
    for folder in sorted(parent.glob("*")):
        newest = max((path.stat().st_mtime for path in (folder, *folder.glob("*")) if path.exists()), default=0.0)
        if time.time() - newest >= older_than_seconds and not is_held(folder):
            swept.append(folder)
            if not dry_run:
                shutil.rmtree(folder, ignore_errors=True)
    return swept


def _write(folder: Path, state: TrainingState) -> None:
    """Write a state into a folder: its arrays first, then STATE_FILE with their checksums."""
    checksums = {}
    for name, arrays in (("variables", state.variables), ("best", state.best)):
        for number, array in enumerate(arrays):
            path = folder / f"{name}-{number:04d}.npy"
            np.save(path, array)
            sync(path)
            checksums[path.name] = _checksum(array)
    saved = _SavedState(
        epoch=state.epoch,
        batch=state.batch,
        history=state.history,
        stopping_losses=state.stopping_losses,
        checksums=checksums,
    )
    (folder / STATE_FILE).write_text(json.dumps(saved.to_json()), encoding="utf-8")
    sync(folder / STATE_FILE)


def _read(folder: Path) -> TrainingState:
    """Read the state in a folder; raise ValueError, KeyError or OSError where it isn't whole."""
    from ctr_retrain.models.training.training_state import TrainingState  # noqa: PLC0415 - TensorFlow: not for `gc`

    saved = _SavedState.from_json(json.loads((folder / STATE_FILE).read_text(encoding="utf-8")))
    arrays: dict[str, list[npt.NDArray[Any]]] = {"variables": [], "best": []}
    for name, checksum in saved.checksums.items():
        array = np.load(folder / name)
        if _checksum(array) != checksum:
            msg = f"other bytes than were written in {name}"
            raise ValueError(msg)
        arrays[name.split("-")[0]].append(array)
    return TrainingState(
        epoch=saved.epoch,
        batch=saved.batch,
        history=saved.history,
        stopping_losses=saved.stopping_losses,
        variables=tuple(arrays["variables"]),
        best=tuple(arrays["best"]),
    )


def _checksum(array: npt.NDArray[Any]) -> int:
    """Return the CRC-32 of an array's values."""
    return zlib.crc32(np.ascontiguousarray(array).data)
