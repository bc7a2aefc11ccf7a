"""Commands that make runs: demo, daily, backfill, compare, serve; and explain, which shows one.

Heavy imports stand inside the commands, so that --help answers at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ctr_retrain.flows.commands.arguments import DayOption, WaitOption, parse_day, require_file
from ctr_retrain.flows.commands.command_output import CommandOutput
from ctr_retrain.flows.commands.places import places_of, settings_and_recipe, settings_of, settle_prefect
from ctr_retrain.models.errors import DataRejectedError, UsageError


def demo(
    context: typer.Context, folder: Annotated[Path, typer.Option(help="Where it may write.")] = Path("var/demo")
) -> CommandOutput:
    """Simulate some weeks and run the last days."""
    settle_prefect(settings_of(context))
    from ctr_retrain.flows.commands.print_runs import print_demo  # noqa: PLC0415
    from ctr_retrain.flows.demo import run_demo  # noqa: PLC0415

    return CommandOutput.of(run_demo(places_of(context).recipe or Path("demo"), folder), print_demo)


def demo_open_bandit(
    context: typer.Context,
    wheel: Annotated[Path, typer.Option(help="obp-0.4.1-….whl, as pip downloads it.")],
    folder: Annotated[Path, typer.Option(help="Where it may write.")] = Path("var/open_bandit"),
) -> CommandOutput:
    """Land Open Bandit's real sample and run its days."""
    require_file(wheel, "--wheel")
    settle_prefect(settings_of(context))
    from ctr_retrain.flows.commands.print_runs import print_demo  # noqa: PLC0415
    from ctr_retrain.flows.demo import run_open_bandit  # noqa: PLC0415

    return CommandOutput.of(
        run_open_bandit(places_of(context).recipe or Path("open_bandit"), folder, wheel), print_demo
    )


def daily(
    context: typer.Context,
    day: DayOption,
    force: Annotated[bool, typer.Option(help="Make the run anew, even from the same inputs.")] = False,
    wait: WaitOption = False,
) -> CommandOutput:
    """Run all stages for one day."""
    # All that was typed is checked before the flow is imported, which takes seconds: a slip is told at once.
    wanted, (settings, _) = parse_day(day), settings_and_recipe(context)
    settle_prefect(settings)
    from ctr_retrain.flows.one_run import one_run  # noqa: PLC0415

    with one_run(settings, f"daily --date {wanted}", wait=wait):  # before Prefect too: who has to wait is told at once
        from ctr_retrain.flows.commands.print_runs import print_run  # noqa: PLC0415
        from ctr_retrain.flows.daily import daily as flow  # noqa: PLC0415

        answer = flow(wanted, settings.recipe, settings.root, settings.landing, force=force)
    return CommandOutput.of(answer, print_run)


def backfill(
    context: typer.Context,
    start: Annotated[str, typer.Option(metavar="YYYY-MM-DD")],
    end: Annotated[str, typer.Option(metavar="YYYY-MM-DD")],
    retrain: Annotated[Literal["last", "each", "none"], typer.Option(help="Which days train.")] = "last",
    shadow: Annotated[bool, typer.Option(help="Put nothing into service.")] = False,
    wait: WaitOption = False,
) -> CommandOutput:
    """Run past days in order; finished ones are skipped."""
    first, last = parse_day(start, "--start"), parse_day(end, "--end")
    if last < first:
        msg = f"backfill: expected --end not before --start, received {first} to {last}"
        raise UsageError(msg)
    settings, _ = settings_and_recipe(context)
    settle_prefect(settings)
    from ctr_retrain.flows.one_run import one_run  # noqa: PLC0415

    with one_run(settings, f"backfill --start {first} --end {last} --retrain {retrain}", wait=wait):
        from ctr_retrain.flows.backfill import backfill as flow  # noqa: PLC0415
        from ctr_retrain.flows.commands.print_runs import print_backfill  # noqa: PLC0415

        answer = flow(first, last, retrain, settings.recipe, settings.root, settings.landing, shadow=shadow)
    bad = [str(done.date) for done in answer.days if done.outcome in ("rejected", "data rejected")]
    msg = (
        f"backfill: expected {len(answer.days)} days of usable data, received {len(bad)} that is not: "
        f"{', '.join(bad)}. See `ctr-retrain status`; the other days are done."
    )
    return CommandOutput.of(answer, print_backfill, DataRejectedError(msg, document=answer) if bad else None)


def compare(  # noqa: PLR0913, PLR0917 - a command's options
    context: typer.Context,
    day: DayOption,
    days: Annotated[int, typer.Option(min=1, help="Past days to judge by, up to --date.")] = 1,
    seeds: Annotated[int, typer.Option(min=1, help="Models of each strategy and day.")] = 3,
    strategies: Annotated[str, typer.Option(help="Some of them, separated by commas; default: all.")] = "",
    half_lives: Annotated[str, typer.Option(help="Days to try, such as 3,7,14.")] = "",
    class_powers: Annotated[str, typer.Option(help="Powers of the class weight to try, such as 0.5,1.")] = "",
    ages: Annotated[str, typer.Option(help="Of the freshness curve's windows, in days; 0: none.")] = "1,2,4,7",
    # `Criterion` of models/documents, written out: to import documents takes half a second, and --help reads this.
    criterion: Annotated[
        Literal["cost_per_1000", "log_loss"], typer.Option(help="What a recommendation goes by.")
    ] = "cost_per_1000",
    force: Annotated[bool, typer.Option(help="Compare anew, even from the same inputs.")] = False,
    wait: WaitOption = False,
) -> CommandOutput:
    """Compare ways to weigh and sample on past days."""
    wanted = parse_day(day)
    from ctr_retrain.flows.commands.compare_request import read_compare_request  # noqa: PLC0415
    from ctr_retrain.flows.commands.print_comparison import print_comparison  # noqa: PLC0415

    lists = {"strategies": strategies, "half_lives": half_lives, "class_powers": class_powers, "ages": ages}
    request = read_compare_request(wanted, lists, days=days, seeds=seeds, criterion=criterion)
    settings, _ = settings_and_recipe(context)
    settle_prefect(settings)
    from ctr_retrain.flows.compare import compare as flow  # noqa: PLC0415 - once all that was typed is right

    answer = flow(request, settings.recipe, settings.root, settings.landing, force=force, wait=wait)
    return CommandOutput.of(answer, print_comparison)


def serve(
    context: typer.Context,
    cron: Annotated[str | None, typer.Option(help="When, such as '0 4 * * *'.")] = None,
    timezone: Annotated[str | None, typer.Option(help="The schedule's, such as Europe/Berlin.")] = None,
) -> None:
    """Run the daily flow on a schedule until stopped."""
    from ctr_retrain.flows.schedule import serve_daily  # noqa: PLC0415

    # A recipe that is wrong is refused now, not when the first night is due.
    settings, _ = settings_and_recipe(context, cron=cron, timezone=timezone)
    serve_daily(settings)


def explain(
    context: typer.Context, run_or_date: Annotated[str, typer.Argument(metavar="RUN_OR_DATE")]
) -> CommandOutput:
    """Say why a run ended as it did."""
    from ctr_retrain.flows.commands.print_runs import print_run  # noqa: PLC0415
    from ctr_retrain.tasks.operate.registry import find_run  # noqa: PLC0415

    return CommandOutput.of(find_run(settings_of(context).store, run_or_date), print_run)
