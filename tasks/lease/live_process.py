"""Marks of processes, by which a later one finds out if they still live."""

from __future__ import annotations

import hashlib
import os
import platform
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from ctr_retrain.models.documents.ref_documents import LeaseHolder
from ctr_retrain.models.incidents.night_ref import ProcessMark
from ctr_retrain.tasks.lease.user_name import user_name

ENDED = "ZX"  # states of a process that has ended and that its parent has not asked after


def this_process() -> ProcessMark:
    """Return the mark of this process."""
    return ProcessMark(host=platform.node(), process=os.getpid(), started=_ticks(os.getpid()))


def lives(mark: ProcessMark) -> bool | None:
    """Return True if the process lives, False if not, None where nobody can say: it is another machine's."""
    if mark.host != platform.node():
        return None
    return _ticks(mark.process) == mark.started


def log_place() -> str:
    """Return where this process's log goes, which is its stderr: a file, or the journal's command; empty: neither."""
    if os.environ.get("JOURNAL_STREAM"):  # set by systemd for what it starts
        return f"journalctl _PID={os.getpid()}"
    try:
        place = str(Path("/proc/self/fd/2").readlink())
    except OSError:
        return ""
    # A terminal is a device; a pipe has no path at all, and a file that was removed leads nowhere.
    leads = place.startswith("/") and not place.startswith("/dev/") and not place.endswith(" (deleted)")
    return place if leads else ""


def this_holder(command: str) -> LeaseHolder:
    """Return the mark of this process as the holder of a lease from now on."""
    return LeaseHolder(
        **dict(this_process()),
        id=uuid.uuid4().hex,
        machine=_machine(),
        who=user_name(),
        command=command,
        since=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def has_ended(holder: LeaseHolder) -> bool:
    """Return True if the holder's process is known to have ended: it was one of this machine, and is there no more."""
    return bool(holder.machine) and holder.machine == _machine() and _ticks(holder.process) != holder.started


def _machine() -> str:
    """Return the machine, since it was started, and the container; empty where the system doesn't say.

    Its name alone says too little: two containers may be called alike, and number their processes each on its own.
    """
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return hashlib.sha256(f"{boot} {Path('/proc/self/ns/pid').readlink()}".encode()).hexdigest()[:16]
    return ""


def _ticks(process: int) -> str:
    """Return the time at which a process began, in the kernel's ticks; empty where there is none, or it has ended."""
    try:
        # Behind the name, which may hold blanks and brackets, stand the state and 18 more fields before it.
        fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in ENDED else fields[19]
