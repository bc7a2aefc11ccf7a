"""`doctor`: check that everything is there that a night's run needs. Each check says what to mend."""

from __future__ import annotations

import os
import shutil
import sys
import urllib.request
import uuid
from pathlib import Path

from ctr_retrain.flows.quiet_libraries import QUIET, SERVER_IGNORED
from ctr_retrain.flows.settings import Settings
from ctr_retrain.models.documents.command_documents import DoctorAnswer, MachineCheck
from ctr_retrain.models.errors import CtrRetrainError, UsageError
from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.tasks.execution.web_request import (
    REQUEST_ERRORS,
    failure_of,
    is_address,
    public_address,
    request_to,
)
from ctr_retrain.tasks.operate.registry import served_recipe
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.protocol import Store

MIN_FREE_GIB = 5  # free where objects, or the cache of a bucket, are written


def examine(settings: Settings, recipe: Recipe) -> DoctorAnswer:
    """Return every check, passed or not, with a message for a person."""
    checks = (
        _python(),
        _check("recipe", passed=True, message=f"{settings.recipe}: name {recipe.name}, digest {recipe.digest}"),
        _root(settings, recipe),
        _landing(settings),
        _disk(settings),
        _device(settings),
        _server(),
        _webhook(settings),
        _telemetry(),
    )
    return DoctorAnswer(checks=checks)


def _check(name: str, *, passed: bool, message: str) -> MachineCheck:
    return MachineCheck(name=name, passed=passed, message=message)


def _python() -> MachineCheck:
    version = sys.version.split()[0]
    return _check("python", passed=(3, 11) <= sys.version_info < (3, 14), message=f"{version}; expected 3.11 to 3.13")


def _root(settings: Settings, recipe: Recipe) -> MachineCheck:
    try:
        served = served_recipe(settings.store)
        if served not in {None, recipe.name}:
            message = f"{settings.store.root} serves {served!r}, not {recipe.name!r}; set another --root"
            return _check("root", passed=False, message=message)
        probe(settings.store)
    except CtrRetrainError as error:
        return _check("root", passed=False, message=str(error))
    return _check("root", passed=True, message=f"{settings.store.root} can be written and takes {recipe.name!r}")


def probe(store: Store) -> None:
    """Publish, read back and remove an object, and see that a swap which comes too late is refused.

    Raises StorageError where one of these fails.
    """
    store.check_swaps()  # first: a service that knows no conditions is to be named as such
    path = layout.probe_object(uuid.uuid4().hex)
    with store.writing(path, {}) as folder:
        (folder / "probe").write_text("written by doctor", encoding="utf-8")
    store.open(path)
    store.remove([path])


def _landing(settings: Settings) -> MachineCheck:
    try:
        days = settings.landing_zone.days("impressions")
    except CtrRetrainError as error:
        return _check("landing", passed=False, message=str(error))
    if not days:
        return _check(
            "landing", passed=False, message=f"{settings.landing_zone}: expected impressions/dt=…; set --landing"
        )
    return _check("landing", passed=True, message=f"{settings.landing_zone}: {days[0]} to {days[-1]}, {len(days)} days")


def _disk(settings: Settings) -> MachineCheck:
    free = shutil.disk_usage(_nearest(settings.local_folder)).free / 2**30
    message = f"{free:.1f} GiB free; expected {MIN_FREE_GIB} or more"
    return _check("disk", passed=free >= MIN_FREE_GIB, message=message)


def _device(settings: Settings) -> MachineCheck:
    from ctr_retrain.models.training.device import prepare_device  # noqa: PLC0415 - TensorFlow takes seconds to import

    try:
        return _check("device", passed=True, message=f"training will use {prepare_device(settings.device)}")
    except UsageError as error:
        return _check("device", passed=False, message=str(error))


def _server() -> MachineCheck:
    url = os.environ.get("PREFECT_API_URL")
    if SERVER_IGNORED:
        message = "PREFECT_API_URL: expected an address of http or https, received none. Mend or unset it."
        return _check("prefect", passed=False, message=message)
    if not url:
        return _check("prefect", passed=True, message="no PREFECT_API_URL: a server is started when one is needed")
    try:
        with urllib.request.urlopen(request_to(f"{url}/health"), timeout=5):  # noqa: S310 - the user's own server
            return _check("prefect", passed=True, message=f"{public_address(url)} answers")
    except REQUEST_ERRORS as error:
        shown = f"PREFECT_API_URL {public_address(url)}"
        message = f"{shown}: expected an answer, received: {failure_of(error)}. Start that server or unset it."
        return _check("prefect", passed=False, message=message)


def _webhook(settings: Settings) -> MachineCheck:
    url = settings.webhook_url.get_secret_value()
    if not url:
        return _check("webhook", passed=True, message="no CTR_RETRAIN_WEBHOOK_URL: alerts are events and log lines")
    message = "CTR_RETRAIN_WEBHOOK_URL: expected an address of http or https, received none. Mend or unset it."
    known = is_address(url)  # nothing is sent: whoever listens there would take it for an alert
    return _check("webhook", passed=known, message=f"alerts go to {public_address(url)}" if known else message)


def _telemetry() -> MachineCheck:
    loud = [name for name, value in QUIET.items() if os.environ.get(name) != value and "ANALYTICS" in name]
    message = "telemetry is off" if not loud else f"telemetry was turned on by {', '.join(loud)}"
    return _check("telemetry", passed=True, message=message)


def _nearest(path: Path) -> Path:
    """Return the path itself or the nearest folder above that exists, since a new root has no folder yet."""
    return path if path.exists() else _nearest(path.parent)
