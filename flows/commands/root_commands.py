"""Commands on a root as a whole: status, gc, verify, doctor; and the version of what works on it.

Heavy imports stand inside the commands, so that --help answers at once.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from ctr_retrain.flows.commands.command_output import CommandOutput
from ctr_retrain.flows.commands.places import places_of, settings_and_recipe, settings_of
from ctr_retrain.models.errors import StorageError


def status(context: typer.Context) -> CommandOutput:
    """Show champion, newest day, rejected days, runs."""
    from ctr_retrain.flows.commands.print_root import print_status  # noqa: PLC0415
    from ctr_retrain.tasks.operate.registry import describe_status  # noqa: PLC0415

    return CommandOutput.of(describe_status(settings_of(context).store), print_status)


def gc(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
) -> CommandOutput:
    """Remove what no ref and no kept run needs."""
    settings, recipe = settings_and_recipe(context)
    from ctr_retrain.flows.commands.print_root import print_garbage  # noqa: PLC0415
    from ctr_retrain.models.documents.command_documents import GarbageAnswer  # noqa: PLC0415
    from ctr_retrain.tasks.operate.collect_garbage import collect_garbage  # noqa: PLC0415
    from ctr_retrain.tasks.operate.registry import claim_root  # noqa: PLC0415
    from ctr_retrain.tasks.train.checkpoints import sweep_checkpoints  # noqa: PLC0415 - TensorFlow

    claim_root(settings.store, recipe.name)
    report = collect_garbage(settings.store, recipe, dry_run=dry_run)
    # Checkpoints lie on this machine, beside the root, where the store doesn't see them.
    age = recipe.retention.min_age_hours * 3600
    swept = sweep_checkpoints(settings.compute.checkpoints, age, dry_run=dry_run)
    answer = GarbageAnswer(**dict(report), checkpoints=tuple(path.name for path in swept))
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
    from ctr_retrain.flows.doctor import examine, failure  # noqa: PLC0415

    # Settings and recipe are checks too: where they are wrong, all others are made that can be.
    answer = examine(**asdict(places_of(context)))
    return CommandOutput.of(answer, print_checks, failure(answer))


def describe_version() -> CommandOutput:
    """Return the version of this software, and the code that runs record."""
    from ctr_retrain.flows.commands.terminal import print_fields  # noqa: PLC0415
    from ctr_retrain.models.documents.command_documents import VersionAnswer  # noqa: PLC0415
    from ctr_retrain.tasks.execution.code_digest import code_digest  # noqa: PLC0415

    code = code_digest()
    return CommandOutput.of(VersionAnswer(version=code.partition("+")[0], code=code), print_fields)
