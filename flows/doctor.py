"""`doctor`: check that everything is there that a night's run needs. Each says what to mend, and each is made."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import urllib.request
import uuid
from collections.abc import Callable
from functools import cache
from pathlib import Path

from ctr_retrain.flows.quiet_libraries import QUIET, SERVER_IGNORED
from ctr_retrain.flows.schedule import next_run
from ctr_retrain.flows.settings import Settings, load_settings
from ctr_retrain.models.documents.command_documents import DoctorAnswer, MachineCheck
from ctr_retrain.models.errors import CtrRetrainError, DataRejectedError, StorageError, UsageError
from ctr_retrain.models.recipe.recipe import Recipe, load_recipe
from ctr_retrain.tasks.alerts.receivers import ALERT_TARGETS, WEBHOOK, answer_of
from ctr_retrain.tasks.execution.import_tensorflow import import_tensorflow
from ctr_retrain.tasks.execution.web_request import (
    REQUEST_ERRORS,
    failure_of,
    public_address,
    request_to,
)
from ctr_retrain.tasks.operate.registry import served_recipe
from ctr_retrain.tasks.operate.try_recipe import try_recipe
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.protocol import Store

MIN_FREE_GIB = 5  # free where objects, or the cache of a bucket, are written

Check = Callable[[], str]  # says what was found; raises CtrRetrainError, which says what to mend


def examine(**given: str | Path | None) -> DoctorAnswer:
    """Return every check, passed or not, with a message for a person; given: settings of the command line."""

    @cache
    def settings() -> Settings:
        return load_settings(**given)

    @cache
    def recipe() -> Recipe:
        return load_recipe(settings().recipe)

    # Name, check, and those without which it can't be made.
    checks: list[tuple[str, Check, set[str]]] = [
        ("python", _python, set()),
        ("settings", lambda: f"root {settings().root}, landing zone {settings().landing}", set()),
        ("recipe", lambda: _recipe(settings(), recipe()), {"settings"}),
        ("root", lambda: _root(settings(), recipe()), {"settings", "recipe"}),
        ("landing", lambda: _landing(settings()), {"settings"}),
        ("events", lambda: _events(settings(), recipe()), {"settings", "recipe", "landing"}),
        ("disk", lambda: _disk(settings()), {"settings"}),
        ("device", lambda: _device(settings()), {"settings"}),
        ("prefect", _server, set()),
        ("schedule", lambda: f"`serve` runs next at {next_run(settings()):%Y-%m-%d %H:%M %Z}", {"settings"}),
        ("webhook", lambda: _webhook(settings()), {"settings"}),
        ("telemetry", _telemetry, set()),
    ]
    made: dict[str, MachineCheck] = {}
    for name, check, needs in checks:
        failed = sorted(need for need in needs if not made[need].passed)
        made[name] = _not_made(name, failed) if failed else _made(name, check)
    return DoctorAnswer(checks=tuple(made.values()))


def failure(answer: DoctorAnswer) -> CtrRetrainError | None:
    """Return the error of checks that failed, by what is to be mended: configuration, landed data, or the machine."""
    failed = [check.name for check in answer.checks if not check.passed]
    if not failed:
        return None
    msg = f"doctor: expected {len(answer.checks)} checks to pass, received failures of {', '.join(failed)}."
    if {"settings", "recipe"} & set(failed):
        return UsageError(msg, document=answer)
    return DataRejectedError(msg, document=answer) if failed == ["events"] else StorageError(msg, document=answer)


def _made(name: str, check: Check) -> MachineCheck:
    """Make a check; whatever goes wrong in it is its failure, and the others are made all the same."""
    try:
        return MachineCheck(name=name, passed=True, message=check())
    except CtrRetrainError as error:
        return MachineCheck(name=name, passed=False, message=str(error))
    except Exception as error:  # noqa: BLE001 - nobody foresaw it, and it is what is to be mended
        message = f"expected the check to be made, received {type(error).__name__}: {error}"
        return MachineCheck(name=name, passed=False, message=message)


def _not_made(name: str, failed: list[str]) -> MachineCheck:
    return MachineCheck(name=name, passed=False, message=f"not checked before {' and '.join(failed)} pass")


def _python() -> str:
    version = sys.version.split()[0]
    if not (3, 11) <= sys.version_info < (3, 14):
        msg = f"{version}; expected 3.11 to 3.13"
        raise StorageError(msg)
    return f"{version}; expected 3.11 to 3.13"


def _recipe(settings: Settings, recipe: Recipe) -> str:
    return f"{settings.recipe}: name {recipe.name}, digest {recipe.digest}"


def _root(settings: Settings, recipe: Recipe) -> str:
    store = settings.store
    served = served_recipe(store)
    if served not in {None, recipe.name}:
        msg = f"{store.root} serves {served!r}, not {recipe.name!r}; set another --root"
        raise UsageError(msg)
    probe(store)
    return f"{store.root} can be written and {'is new to' if served is None else 'serves'} {recipe.name!r}"


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


def _landing(settings: Settings) -> str:
    days = settings.landing_zone.days("impressions")
    if not days:
        msg = f"{settings.landing_zone}: expected impressions/dt=…; set --landing, or `land` a file"
        raise DataRejectedError(msg)
    return f"{settings.landing_zone}: {days[0]} to {days[-1]}, {len(days)} days"


def _events(settings: Settings, recipe: Recipe) -> str:
    """Try the recipe on the newest files that landed."""
    with tempfile.TemporaryDirectory() as scratch:
        streams = try_recipe(settings.landing_zone, recipe, Path(scratch))
    if problems := [problem for stream in streams for problem in stream.problems]:
        raise DataRejectedError("; ".join(problems) + ".")
    return ", ".join(
        f"{stream.usable:,} of {stream.rows:,} {stream.name} of {stream.day} can be used" for stream in streams
    )


def _disk(settings: Settings) -> str:
    free = shutil.disk_usage(_nearest(settings.local_folder)).free / 2**30
    message = f"{free:.1f} GiB free; expected {MIN_FREE_GIB} or more"
    if free < MIN_FREE_GIB:
        raise StorageError(message)
    return message


def _device(settings: Settings) -> str:
    import_tensorflow()
    from ctr_retrain.models.training.device import prepare_device  # noqa: PLC0415 - TensorFlow takes seconds to import

    return f"training will use {prepare_device(settings.device)}"


def _server() -> str:
    url = os.environ.get("PREFECT_API_URL")
    if SERVER_IGNORED:
        msg = "PREFECT_API_URL: expected an address of http or https, received none. Mend or unset it."
        raise UsageError(msg)
    if not url:
        return "no PREFECT_API_URL: runs are recorded in the root alone, and `serve` starts a server of its own"
    try:
        with urllib.request.urlopen(request_to(f"{url}/health"), timeout=5):  # noqa: S310 - the user's own server
            return f"{public_address(url)} answers"
    except REQUEST_ERRORS as error:
        shown = f"PREFECT_API_URL {public_address(url)}"
        msg = f"{shown}: expected an answer, received: {failure_of(error)}. Start that server or unset it."
        raise StorageError(msg) from error


def _webhook(settings: Settings) -> str:
    if not settings.receivers:
        return f"no {WEBHOOK} and no {ALERT_TARGETS}: alerts are events and log lines"
    found = []
    for receiver in settings.receivers:  # nothing is sent: whoever listens there would take it for an alert
        try:
            found.append(answer_of(receiver))
        except ValueError as error:
            msg = f"{receiver.place}: expected {error}, received none. Mend or unset it."
            raise UsageError(msg) from None
    return f"alerts go to {', '.join(found)}; `ctr-retrain alerts test` sends one to each"


def _telemetry() -> str:
    loud = [name for name, value in QUIET.items() if os.environ.get(name) != value and "ANALYTICS" in name]
    return "telemetry is off" if not loud else f"telemetry was turned on by {', '.join(loud)}"


def _nearest(path: Path) -> Path:
    """Return the path itself or the nearest folder above that exists, since a new root has no folder yet."""
    return path if path.exists() else _nearest(path.parent)
