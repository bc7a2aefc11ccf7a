"""Commands on a root as a whole: status, gc, verify, doctor; and the version of what works on it.

Heavy imports stand inside the commands, so that --help answers at once.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from ctr_retrain.flows.commands.arguments import ReasonOption, WaitOption, parse_day, require_words
from ctr_retrain.flows.commands.command_output import CommandOutput
from ctr_retrain.flows.commands.places import places_of, settings_and_recipe, settings_of, settle_prefect
from ctr_retrain.models.errors import StorageError
from ctr_retrain.tasks.lease.user_name import user_name

KindArgument = Annotated[str, typer.Argument(metavar="KIND", help="The incident's kind, as `alerts list` shows it.")]
SubjectArgument = Annotated[
    str | None, typer.Argument(metavar="SUBJECT", help="What it is about; default: all of that kind.")
]
NormalOption = Annotated[
    bool,
    typer.Option("--normal", help="It was meant and stays: from the next run on its days teach what is expected."),
]

alerts = typer.Typer(
    help="Show what people have to know, and say what they know.", no_args_is_help=True, rich_markup_mode=None
)


def status(context: typer.Context) -> CommandOutput:
    """Show what serves, how nights went, what is wrong."""
    from ctr_retrain.flows.commands.print_root import print_status  # noqa: PLC0415
    from ctr_retrain.flows.root_status import look  # noqa: PLC0415

    return CommandOutput.of(look(settings_of(context), datetime.now(UTC)), print_status)


def gc(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    wait: WaitOption = False,
) -> CommandOutput:
    """Remove what no ref and no kept run needs."""
    settings, _ = settings_and_recipe(context)
    # The flow holds the root by itself, since nobody does so for a scheduled one. A day's run is waited for before
    # Prefect is imported; cleaning up is not in such a hurry.
    settle_prefect(settings)
    from ctr_retrain.flows.clean_up import clean_up  # noqa: PLC0415
    from ctr_retrain.flows.commands.print_root import print_garbage  # noqa: PLC0415

    answer = clean_up(dry_run, settings.recipe, settings.root, settings.landing, wait=wait)
    return CommandOutput.of(answer, print_garbage)


def verify(context: typer.Context) -> CommandOutput:
    """Read everything under the root; name what is damaged."""
    from ctr_retrain.flows.commands.print_root import print_verified  # noqa: PLC0415
    from ctr_retrain.tasks.operate.verify_root import verify_root  # noqa: PLC0415

    answer = verify_root(settings_of(context).store)
    names = list(dict.fromkeys(damage.path for damage in answer.damaged))
    msg = (
        f"verify {answer.root}: expected {answer.objects} objects and all refs as they were written, received "
        f"{len(names)} damaged: {', '.join(names[:5])}. Restore them from a backup; days, labels and encoded days may "
        "be removed instead, and are made again."
    )
    return CommandOutput.of(answer, print_verified, StorageError(msg, document=answer) if names else None)


def doctor(context: typer.Context) -> CommandOutput:
    """Check machine, settings, root and what landed."""
    from ctr_retrain.flows.commands.print_root import print_checks  # noqa: PLC0415
    from ctr_retrain.flows.machine.doctor import examine, failure  # noqa: PLC0415

    # Settings and recipe are checks too: where they are wrong, all others are made that can be.
    answer = examine(**asdict(places_of(context)))
    return CommandOutput.of(answer, print_checks, failure(answer))


@alerts.command("list")
def list_alerts(context: typer.Context) -> CommandOutput:
    """List the incidents: open ones, the newest past ones, silences."""
    from ctr_retrain.flows.commands.print_root import print_incidents  # noqa: PLC0415
    from ctr_retrain.tasks.alerts.handle_incident import list_incidents  # noqa: PLC0415

    today = datetime.now(UTC).date()
    return CommandOutput.of(list_incidents(settings_of(context).store, today), print_incidents)


@alerts.command()
def test(context: typer.Context) -> CommandOutput:
    """Send a test to every receiver; say what each answered."""
    from ctr_retrain.flows.commands.print_root import print_tried  # noqa: PLC0415
    from ctr_retrain.tasks.alerts.try_receivers import try_receivers  # noqa: PLC0415

    settings, recipe = settings_and_recipe(context)
    # Prefect takes two seconds to import: only where its server is named.
    delivery = settings.delivery(recipe, events=bool(os.environ.get("PREFECT_API_URL")))
    answer = try_receivers(delivery, settings.store.root, datetime.now(UTC))
    failed = [one for one in answer.receivers if not one.taken]
    msg = (
        f"alerts test: expected all {len(answer.receivers)} receivers to take a message, received "
        f"{len(failed)} that did not: {'; '.join(f'{one.name}: {one.message}' for one in failed)}. "
        "Mend their addresses."
    )
    return CommandOutput.of(answer, print_tried, StorageError(msg, document=answer) if failed else None)


@alerts.command()
def watch(context: typer.Context) -> CommandOutput:
    """Look for silence and what else no run tells."""
    from ctr_retrain.flows.commands.print_root import print_watched  # noqa: PLC0415
    from ctr_retrain.tasks.nights.find_silence import look_around  # noqa: PLC0415

    settings, recipe = settings_and_recipe(context)
    answer = look_around(settings.store, settings.landing_zone, settings.delivery(recipe), datetime.now(UTC))
    return CommandOutput.of(answer, print_watched)


@alerts.command()
def ack(
    context: typer.Context,
    kind: KindArgument,
    reason: ReasonOption,
    subject: SubjectArgument = None,
    *,
    normal: NormalOption = False,
) -> CommandOutput:
    """Say that somebody is at work on it.

    By itself it teaches nothing: what is expected stays as it was before the fault.

    It never waits: a run under way publishes nothing more, and ends with exit status 5.
    """
    from ctr_retrain.flows.commands.print_root import print_handled  # noqa: PLC0415
    from ctr_retrain.flows.one_run import say  # noqa: PLC0415
    from ctr_retrain.tasks.alerts.handle_incident import acknowledge  # noqa: PLC0415
    from ctr_retrain.tasks.lease.on_call import by_hand  # noqa: PLC0415

    why = require_words(reason)
    # Whoever is at work on it decides what comes into service meanwhile: the run under way publishes nothing more.
    store = by_hand(settings_of(context).store, f"alerts ack {kind}", say)
    answer = acknowledge(store, kind, subject, why, user_name(), datetime.now(UTC), normal=normal)
    return CommandOutput.of(answer, print_handled)


@alerts.command()
def silence(
    context: typer.Context,
    kind: KindArgument,
    until: Annotated[
        str, typer.Option("--until", metavar="YYYY-MM-DD", help="First day of messages again; a past one ends it.")
    ],
    reason: ReasonOption,
    subject: SubjectArgument = None,
) -> CommandOutput:
    """Tell nobody of it before a date."""
    from ctr_retrain.flows.commands.print_root import print_handled  # noqa: PLC0415
    from ctr_retrain.tasks.alerts.handle_incident import silence as silence_cause  # noqa: PLC0415

    day, why = parse_day(until, "--until"), require_words(reason)
    answer = silence_cause(settings_of(context).store, kind, subject, day, why, user_name(), datetime.now(UTC))
    return CommandOutput.of(answer, print_handled)


def describe_version() -> CommandOutput:
    """Return the version of this software, and the code that runs record."""
    from ctr_retrain.flows.commands.terminal import print_fields  # noqa: PLC0415
    from ctr_retrain.models.documents.command_documents import VersionAnswer  # noqa: PLC0415
    from ctr_retrain.tasks.execution.code_digest import code_digest  # noqa: PLC0415

    code = code_digest()
    return CommandOutput.of(VersionAnswer(version=code.partition("+")[0], code=code), print_fields)
