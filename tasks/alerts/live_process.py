"""Marks of processes, by which a later one finds out if they still live."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from ctr_retrain.models.incidents.night_ref import ProcessMark


def this_process() -> ProcessMark:
    """Return the mark of this process."""
    return ProcessMark(host=platform.node(), process=os.getpid(), started=_ticks(os.getpid()))


def lives(mark: ProcessMark) -> bool | None:
    """Return True if the process lives, False if not, None where nobody can say: it is another machine's."""
    if mark.host != platform.node():
        return None
    return _ticks(mark.process) == mark.started


def _ticks(process: int) -> str:
    """Return the time at which a process began, in the kernel's ticks; empty where there is none."""
    try:
        # Behind the name, which may hold blanks and brackets, stand the state and 18 more fields before it.
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except OSError:
        return ""
