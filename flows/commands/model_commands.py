"""Commands on trained models: models, score, promote, rollback.

Heavy imports stand inside the commands, so that --help answers at once.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from ctr_retrain.flows.commands.arguments import ReasonOption, require_words
from ctr_retrain.flows.commands.command_output import CommandOutput
from ctr_retrain.flows.commands.places import settings_of
from ctr_retrain.tasks.execution.import_tensorflow import import_tensorflow
from ctr_retrain.tasks.lease.user_name import user_name


def score(
    context: typer.Context,
    source: Annotated[Path, typer.Option("--input", help="Raw impressions: Parquet, CSV or JSON lines.")],
    target: Annotated[Path, typer.Option("--output", help="The same rows with `probability`: .csv or Parquet.")],
    model: Annotated[str, typer.Option(help="A version; default: the champion.")] = "",
    # By default nothing but a column of which no value can be read: some are broken in every export, and a night's
    # scores must not end with the first of them. What was counted is in the answer.
    max_unreadable: Annotated[
        float,
        typer.Option(min=0, max=1, metavar="SHARE", help="Refuse a column with more values that can't be read."),
    ] = 1,
) -> CommandOutput:
    """Score a file with a model in service."""
    from ctr_retrain.flows.commands.print_root import print_scored  # noqa: PLC0415
    from ctr_retrain.models.documents.bundle_documents import ScoreAnswer  # noqa: PLC0415
    from ctr_retrain.tasks.deploy.publish_model import served_model  # noqa: PLC0415
    from ctr_retrain.tasks.deploy.score_file import require_scorable, score_file  # noqa: PLC0415

    # All that can be wrong with what was typed is told before TensorFlow is imported, which takes seconds.
    require_scorable(source, target)
    version, bundle = served_model(settings_of(context).store, model)
    import_tensorflow()
    scored = score_file(bundle, source, target, max_unreadable=max_unreadable)
    answer = ScoreAnswer(
        model=version,
        rows=scored.rows,
        output=str(target),
        absent_columns=scored.absent_columns,
        unreadable=scored.unreadable,
    )
    return CommandOutput.of(answer, print_scored)


def models(context: typer.Context) -> CommandOutput:
    """List all models with their verdicts."""
    from ctr_retrain.flows.commands.print_root import print_models  # noqa: PLC0415
    from ctr_retrain.models.documents.bundle_documents import ModelsAnswer  # noqa: PLC0415
    from ctr_retrain.tasks.operate.registry import list_models  # noqa: PLC0415

    return CommandOutput.of(ModelsAnswer(models=list_models(settings_of(context).store)), print_models)


def promote(
    context: typer.Context, version: Annotated[str, typer.Argument(metavar="VERSION")], reason: ReasonOption
) -> CommandOutput:
    """Put a model into service by hand, whatever its verdict.

    It never waits: a run under way publishes nothing more, and ends with exit status 5.
    """
    # The history keeps who did it too: what is done by hand is asked about later.
    signed = f"{user_name()}: {require_words(reason)}"
    from ctr_retrain.flows.commands.terminal import print_fields  # noqa: PLC0415
    from ctr_retrain.flows.one_run import say  # noqa: PLC0415
    from ctr_retrain.models.documents.command_documents import PromoteAnswer  # noqa: PLC0415
    from ctr_retrain.tasks.deploy.publish_model import deploy_challenger, require_servable  # noqa: PLC0415
    from ctr_retrain.tasks.lease.on_call import by_hand  # noqa: PLC0415

    store = by_hand(settings_of(context).store, f"promote {version}", say)
    require_servable(store, version)
    deploy_challenger(store, version, "override", signed, datetime.now(UTC))
    return CommandOutput.of(PromoteAnswer(champion=version, reason=reason), print_fields)


def rollback(context: typer.Context, reason: ReasonOption) -> CommandOutput:
    """Bring the champion's predecessor back.

    It never waits: a run under way publishes nothing more, and ends with exit status 5.
    """
    from ctr_retrain.flows.commands.terminal import print_fields  # noqa: PLC0415
    from ctr_retrain.flows.one_run import say  # noqa: PLC0415
    from ctr_retrain.models.documents.command_documents import RollbackAnswer  # noqa: PLC0415
    from ctr_retrain.tasks.deploy.publish_model import require_servable  # noqa: PLC0415
    from ctr_retrain.tasks.lease.on_call import by_hand  # noqa: PLC0415
    from ctr_retrain.tasks.store.champion import roll_back  # noqa: PLC0415

    signed = f"{user_name()}: {require_words(reason)}"
    store = by_hand(settings_of(context).store, "rollback", say)
    barred, again = roll_back(store, signed, datetime.now(UTC), require_servable)
    answer = RollbackAnswer(champion=again.version, barred=barred.version, reason=reason)
    return CommandOutput.of(answer, print_fields)
