"""Checks of this machine: Python, packages, the device, disk and memory against the recipe, time zones, folders."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, available_timezones

from ctr_retrain.flows.root_status import MIN_FREE_GIB, disk_space
from ctr_retrain.models.errors import CtrRetrainError, StorageError, UsageError
from ctr_retrain.tasks.execution.duck import MEMORY_LIMIT_MB
from ctr_retrain.tasks.lease.live_process import log_place
from ctr_retrain.tasks.store.layout import IMPRESSIONS, OUTCOMES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ctr_retrain.flows.settings import Settings
    from ctr_retrain.models.recipe.recipe import Recipe
    from ctr_retrain.tasks.landing.landing_zone import LandingZone

SMI_SECONDS = 3  # that the driver may take to list its GPUs; one that is stuck takes for ever
COPIES = 3  # of what landed on a day: the clean rows, labels with encoded rows, and what a run makes of them
TENSORFLOW_GIB = 1.5  # own memory of the process that trains a small network, beside its table
TABLE_COPIES = 3  # of the embedding table: values, the optimizer's sums, and the best state so far
BYTES_PER_NUMBER = 4
MEMINFO = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")


def check_python() -> str:
    """Say which Python runs; raises StorageError for one that isn't supported."""
    version = sys.version.split()[0]
    if not (3, 11) <= sys.version_info < (3, 14):
        msg = f"{version}; expected 3.11 to 3.13"
        raise StorageError(msg)
    return f"{version}; expected 3.11 to 3.13"


def check_packages() -> str:
    """Say that the packages that this software needs are there in versions that it was tried with; imports none."""
    from packaging.requirements import Requirement  # noqa: PLC0415

    # By what pip noted of them: importing TensorFlow alone takes more than all checks may.
    wanted = [Requirement(text) for text in importlib.metadata.requires("ctr-retrain") or ()]
    wanted = [one for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
    found = {one.name: _version(one.name) for one in wanted}
    wrong = [
        f"{one.name}: expected {one.specifier or 'any version'}, received {found[one.name] or 'none'}"
        for one in wanted
        if found[one.name] is None or not one.specifier.contains(str(found[one.name]), prereleases=True)
    ]
    if wrong:
        msg = f"{'; '.join(wrong)}. Install them: pip install --require-hashes -r requirements.lock"
        raise StorageError(msg)
    told = ", ".join(f"{name} {found[name]}" for name in ("prefect", "tensorflow", "keras", "duckdb", "pyarrow"))
    return f"all {len(found)} are there, among them {told}"


def check_device(settings: Settings) -> str:
    """Say on what training will compute, by asking the driver and not TensorFlow, whose import takes seconds."""
    gpus = list_gpus() if settings.device != "cpu" else []
    if not gpus:
        if settings.device == "gpu":
            msg = (
                "CTR_RETRAIN_DEVICE: expected a GPU, since it is 'gpu', received none that nvidia-smi lists. "
                "Install the driver and requirements-gpu.lock, or set it to 'auto' or 'cpu'."
            )
            raise UsageError(msg)
        return f"training will use the cpu, {len(os.sched_getaffinity(0))} cores"
    names = ", ".join(gpus)
    if not any(name.startswith("nvidia-cudnn") for name in _installed()):
        beside = "; TensorFlow finds it with the packages of requirements-gpu.lock, which are not installed here"
        return f"nvidia-smi lists {names}{beside}"
    return f"training will use {names}"


def list_gpus() -> list[str]:
    """List the NVIDIA GPUs of this machine, by name and memory; none where there is no driver, or it doesn't answer."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    asked = [program, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        answer = subprocess.run(  # noqa: S603 - the driver's own program
            asked, capture_output=True, check=False, text=True, timeout=SMI_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    lines = answer.stdout.splitlines() if answer.returncode == 0 else ()
    return [" with ".join(part.strip() for part in line.split(",")) for line in lines if line.strip()]


def check_disk(settings: Settings, recipe: Recipe, landing: LandingZone) -> str:
    """Compare the room on the disk that fills up with what the recipe's window takes, by the newest day that landed."""
    space, days = disk_space(settings.local_folder), len(_window(recipe))
    need = max(MIN_FREE_GIB, COPIES * days * _bytes_of_a_day(landing) / 2**30)
    message = (
        f"{space.free_gib:.1f} GiB free at {space.folder}; expected {need:.1f} or more: {COPIES} times what landed on "
        f"the newest day, for a window of {days} days"
    )
    if space.free_gib < need:
        msg = f"{message}. Free space, run `ctr-retrain gc`, or set another --root."
        raise StorageError(msg)
    return message


def check_memory(recipe: Recipe) -> str:
    """Compare the memory that this process may still take with what ingest and training of the recipe need."""
    free, rows = free_memory_gib(), sum(feature.table_rows for feature in recipe.features)
    table = rows * (recipe.training.embedding_dim + 1) * BYTES_PER_NUMBER * TABLE_COPIES / 2**30
    need = max(MEMORY_LIMIT_MB / 1024, TENSORFLOW_GIB + table)
    message = (
        f"{free:.1f} GiB free; expected {need:.1f} or more, for TensorFlow and {rows:,} fixed table rows. "
        "Rows of the window are mapped from the disk and count little"
    )
    if free < need:
        msg = f"{message}. Give this machine or its container more memory, or features fewer buckets."
        raise StorageError(msg)
    return message


def free_memory_gib(meminfo: Path = MEMINFO, cgroup: Path = CGROUP) -> float:
    """Return the memory that this machine has left, or the container, if that is less; in GiB."""
    # Not what is free alone: the page cache, which holds mapped rows, is given back when somebody needs memory.
    lines = dict(line.split(":", 1) for line in meminfo.read_text(encoding="utf-8").splitlines())
    free = int(lines["MemAvailable"].split()[0]) * 1024
    try:
        limit = (cgroup / "memory.max").read_text(encoding="utf-8").strip()
        used = int((cgroup / "memory.current").read_text(encoding="utf-8"))
    except (OSError, ValueError):  # no container, or one of another kind
        return free / 2**30
    return (min(free, int(limit) - used) if limit.isdigit() else free) / 2**30


def check_zones(settings: Settings) -> str:
    """Say by which zones days, schedule and this machine's logs count; raises StorageError where zones are unknown."""
    if not available_timezones():
        msg = "expected the time zone database, received none. Install the package tzdata."
        raise StorageError(msg)
    own = os.environ.get("TZ", "").removeprefix(":")
    if own and not own.startswith("/") and not _is_zone(own):
        msg = f"TZ: expected a time zone such as Europe/Berlin, received {own!r}, which counts as UTC. Mend it."
        raise StorageError(msg)
    here = datetime.now(UTC).astimezone()
    there = here.astimezone(ZoneInfo(settings.timezone))
    clocks = f"{there:%H:%M} in the schedule's zone {settings.timezone}, {here:%H:%M %Z} on this machine"
    return f"event days are UTC; it is {clocks}"


def check_folders(settings: Settings) -> str:
    """Write into each folder that a night writes to beside the root; raises StorageError naming those that refuse."""
    home = Path(os.environ.get("PREFECT_HOME") or "~/.prefect").expanduser()
    folders = {
        "temporary files (TMPDIR)": Path(tempfile.gettempdir()),
        "alerts that wait (CTR_RETRAIN_SPOOL)": settings.spool_folder,
        "logs (CTR_RETRAIN_LOG_FOLDER)": settings.log_folder.expanduser().absolute(),
        "checkpoints": settings.compute.checkpoints,
        "Prefect (PREFECT_HOME)": home,
    }
    if "s3://" in settings.root + settings.landing:
        folders["cache (CTR_RETRAIN_CACHE)"] = settings.cache_folder
    wrong = list(_refusing(folders.items()))
    if wrong:
        msg = f"expected folders that can be written, received {'; '.join(wrong)}. Set others, or mend their rights."
        raise StorageError(msg)
    told = ", ".join(f"{path} for {what}" for what, path in folders.items())
    return f"can be written: {told}; this log goes to {log_place() or 'stderr'}"


def _refusing(folders: Iterable[tuple[str, Path]]) -> Iterable[str]:
    """Yield the folders into which nothing can be written, each with the reason; of one to be made the nearest."""
    for what, path in folders:
        there = path
        while not there.exists() and there != there.parent:
            there = there.parent
        # By a trial: rights, quotas and read-only mounts all show there, and nowhere else together.
        try:
            with tempfile.TemporaryFile(dir=there):
                pass
        except OSError as error:
            yield f"{path} for {what}: {error.strerror or error}"


def _window(recipe: Recipe) -> tuple[date, ...]:
    """Return the days that a run reads; which run makes no difference to their number."""
    from ctr_retrain.models.data.days import plan_days  # noqa: PLC0415

    return tuple(plan_days(date(2026, 1, 1), recipe).all_days)


def _bytes_of_a_day(landing: LandingZone) -> int:
    """Return the bytes of the newest day that landed; 0 where none did, or nobody can say."""
    try:
        days = landing.days(IMPRESSIONS)
        newest = date.fromisoformat(days[-1]) if days else None
        return sum(landing.landed_bytes(stream, newest) for stream in (IMPRESSIONS, OUTCOMES)) if newest else 0
    except (CtrRetrainError, OSError, ValueError):  # the landing zone has a check of its own
        return 0


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        # Such as CET-1CEST, which the C library reads and Python's database hasn't.
        return any(sign.isdigit() for sign in name)
    return True


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _installed() -> list[str]:
    return [name.lower() for dist in importlib.metadata.distributions() if (name := dist.metadata["Name"])]
