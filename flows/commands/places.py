"""Places that a command works on: a root, a landing zone or a recipe that isn't there is said before anything is done.

A slip in a path would otherwise look like an empty result: no champion, no models, nothing to remove.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ctr_retrain.models.errors import UsageError

if TYPE_CHECKING:
    import typer

    from ctr_retrain.flows.settings import Settings
    from ctr_retrain.models.recipe.recipe import Recipe

# Commands that find nothing to do where there is no root; others make one, or need none.
READ_ROOT = frozenset(
    ("accept", "alerts", "explain", "gc", "models", "promote", "rollback", "score", "status", "validate", "verify")
)
MAKE_ROOT = frozenset(("backfill", "compare", "daily", "ingest", "serve"))
# Likewise of a landing zone. `serve` may be started before the first events land.
READ_LANDING = frozenset(("backfill", "compare", "daily", "ingest"))
MAKE_LANDING = frozenset(("land", "serve"))


@dataclass(frozen=True)
class Places:
    """The global options, which each command finds in its context; None where the environment or a default counts."""

    recipe: Path | None  # what to train and how to judge it
    root: str | None  # of objects and refs
    landing: str | None  # of raw events


def places_of(context: typer.Context) -> Places:
    """Return the global options of the command line."""
    places: Places = context.obj
    return places


def settings_of(context: typer.Context, **more: str | None) -> Settings:
    """Load the settings, of which the command line's own options count most.

    Raises UsageError, also where a place isn't there that the command can't do without. One that it will make, or that
    somebody named for nothing, is told on stderr.
    """
    from ctr_retrain.flows.settings import load_settings  # noqa: PLC0415
    from ctr_retrain.models.recipe.shipped_recipes import require_recipe  # noqa: PLC0415

    settings = load_settings(**asdict(places_of(context)), **more)
    require_recipe(settings.recipe)
    command = _command_of(context)
    _check_root(command, settings)
    _check_landing(command, settings)
    return settings


def settings_and_recipe(context: typer.Context, **more: str | None) -> tuple[Settings, Recipe]:
    """Load the settings and the recipe that they name; raises UsageError."""
    from ctr_retrain.models.recipe.recipe import load_recipe  # noqa: PLC0415

    settings = settings_of(context, **more)
    return settings, load_recipe(settings.recipe)


def settle_prefect(settings: Settings) -> None:
    """See, before a run begins, that the Prefect server answers that is to record it, where one is named.

    One that goes away later keeps the command from its end for some seconds at most. Raises StorageError where it
    doesn't answer and the settings don't let runs go on without it.
    """
    from ctr_retrain.tasks.orchestration.prefect_server import named_server, settle_server  # noqa: PLC0415

    settle_server(optional=settings.prefect_server == "optional")
    if named_server():
        from ctr_retrain.tasks.orchestration.prefect_exit import bound_last_sending  # noqa: PLC0415 - Prefect itself

        bound_last_sending()


def _command_of(context: typer.Context) -> str:
    """Return the command's name; of one that stands below another, such as `alerts list`, the other's."""
    above = context.parent
    return (above.info_name if above and above.parent else context.info_name) or ""


def _check_root(command: str, settings: Settings) -> None:
    """Raise UsageError, or say, that there is no root."""
    named = "root" in settings.model_fields_set  # by an option or the environment
    if command not in READ_ROOT | MAKE_ROOT and (not named or settings.root.startswith("s3://")):
        return
    from ctr_retrain.tasks.operate.registry import is_root  # noqa: PLC0415 - half a second

    if not is_root(settings.store):
        missing = f"root {settings.store.root}: expected what earlier runs left, received nothing"
        _refuse_or_say(command, missing, "`ingest` or `daily` makes a new root. Check --root.", READ_ROOT)


def _check_landing(command: str, settings: Settings) -> None:
    """Raise UsageError, or say, that there is no landing zone; in a bucket `ingest` says that nothing landed."""
    named = "landing" in settings.model_fields_set
    if settings.landing.startswith("s3://") or (command not in READ_LANDING | MAKE_LANDING and not named):
        return
    zone = str(settings.landing_zone)
    if not Path(zone).is_dir():
        missing = f"landing zone {zone}: expected a folder, received none"
        _refuse_or_say(command, missing, "Set --landing, or `land` a file, which makes it.", READ_LANDING)


def _refuse_or_say(command: str, missing: str, advice: str, refusing: frozenset[str]) -> None:
    """Raise UsageError for a command that can do nothing without a place; for others a line on stderr says it."""
    from ctr_retrain.models.outside_text import shown  # noqa: PLC0415

    if command in refusing:
        msg = f"{missing}. {advice}"
        raise UsageError(msg)
    sys.stderr.write(shown(f"note: {missing}. {advice}") + "\n")
