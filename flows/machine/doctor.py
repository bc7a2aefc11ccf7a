"""`doctor`: check that everything is there that a night's run needs. Each says what to mend, and each is made."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from concurrent.futures import Future
from functools import cache
from pathlib import Path

from ctr_retrain.flows.machine import machine_checks as machine
from ctr_retrain.flows.machine import service_checks as services
from ctr_retrain.flows.quiet_libraries import QUIET
from ctr_retrain.flows.settings import Settings, load_settings
from ctr_retrain.models.documents.command_documents import DoctorAnswer, MachineCheck
from ctr_retrain.models.errors import CtrRetrainError, DataRejectedError, StorageError, UsageError
from ctr_retrain.models.recipe.recipe import Recipe, load_recipe
from ctr_retrain.tasks.execution.thread_pool import ThreadPool
from ctr_retrain.tasks.landing.landing_zone import LandingZone
from ctr_retrain.tasks.operate.try_recipe import try_recipe
from ctr_retrain.tasks.schedule.next_run import next_run
from ctr_retrain.tasks.store.protocol import Store

Check = Callable[[], str]  # says what was found; raises CtrRetrainError, which says what to mend
Checks = list[tuple[str, Check, set[str]]]  # name, check, and the names of those without which it can't be made


def examine(**given: str | Path | None) -> DoctorAnswer:
    """Return every check, passed or not, with a message for a person; given: settings of the command line."""
    checks = list_checks(given)
    made: dict[str, Future[MachineCheck]] = {}

    def make(name: str, check: Check, needs: set[str]) -> MachineCheck:
        failed = sorted(need for need in needs if not made[need].result().passed)
        return _not_made(name, failed) if failed else _made(name, check)

    # Side by side, since services that don't answer are waited for; each has its thread, so that none waits for one.
    with ThreadPool(len(checks)) as pool:
        for name, check, needs in checks:
            made[name] = pool.submit(make, name, check, needs)
    return DoctorAnswer(checks=tuple(one.result() for one in made.values()))


def list_checks(given: dict[str, str | Path | None]) -> Checks:
    """List the checks in the order in which they are shown; each stands behind those that it needs."""

    @cache
    def settings() -> Settings:
        return load_settings(**given)

    @cache
    def recipe() -> Recipe:
        return load_recipe(settings().recipe)

    @cache
    def places() -> tuple[Store, LandingZone]:
        return settings().hurried()

    set_up, read = {"settings"}, {"settings", "recipe"}
    return [
        ("python", machine.check_python, set()),
        ("packages", machine.check_packages, set()),
        ("settings", lambda: f"root {settings().root}, landing zone {settings().landing}", set()),
        ("recipe", lambda: f"{settings().recipe}: name {recipe().name}, digest {recipe().digest}", set_up),
        ("root", lambda: services.check_root(places()[0], recipe()), read),
        ("landing", lambda: services.check_landing(places()[1]), set_up),
        ("events", lambda: _events(places()[1], recipe()), read | {"landing"}),
        ("disk", lambda: machine.check_disk(settings(), recipe(), places()[1]), read),
        ("memory", lambda: machine.check_memory(recipe()), read),
        ("folders", lambda: machine.check_folders(settings()), set_up),
        ("device", lambda: machine.check_device(settings()), set_up),
        ("prefect", services.check_server, set()),
        ("clock", lambda: services.check_clock(places()[0]), {"settings", "root"}),
        ("timezones", lambda: machine.check_zones(settings()), set_up),
        ("schedule", lambda: _schedule(settings()), set_up),
        ("webhook", lambda: services.check_receivers(settings()), set_up),
        ("telemetry", _telemetry, set()),
    ]


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


def _events(landing: LandingZone, recipe: Recipe) -> str:
    """Try the recipe on the newest files that landed."""
    with tempfile.TemporaryDirectory() as scratch:
        streams = try_recipe(landing, recipe, Path(scratch))
    if problems := [problem for stream in streams for problem in stream.problems]:
        raise DataRejectedError("; ".join(problems) + ".")
    return ", ".join(
        f"{stream.usable:,} of {stream.rows:,} {stream.name} of {stream.day} can be used" for stream in streams
    )


def _schedule(settings: Settings) -> str:
    return f"`serve` runs next at {next_run(settings.cron, settings.timezone):%Y-%m-%d %H:%M %Z}"


def _telemetry() -> str:
    loud = [name for name, value in QUIET.items() if os.environ.get(name) != value and "ANALYTICS" in name]
    return "telemetry is off" if not loud else f"telemetry was turned on by {', '.join(loud)}"
