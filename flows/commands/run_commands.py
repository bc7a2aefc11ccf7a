"""Commands that make runs: demo, daily, backfill, compare, serve; and explain, which shows one.

Heavy imports stand inside the commands, so that --help answers at once.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ctr_retrain.flows.commands.arguments import DayOption, WaitOption, parse_day, require_file
from ctr_retrain.flows.commands.command_output import CommandOutput
from ctr_retrain.flows.commands.places import places_of, settings_and_recipe, settings_of, settle_prefect
from ctr_retrain.models.errors import UsageError

if TYPE_CHECKING:
    from ctr_retrain.models.documents.command_documents import BackfillPlan


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


def backfill(  # noqa: PLR0913, PLR0917 - a command's options
    context: typer.Context,
    start: Annotated[str | None, typer.Option(metavar="YYYY-MM-DD")] = None,
    end: Annotated[str | None, typer.Option(metavar="YYYY-MM-DD")] = None,
    retrain: Annotated[Literal["last", "each", "none"], typer.Option(help="Which days train.")] = "last",
    shadow: Annotated[bool, typer.Option(help="Put nothing into service; compare policies.")] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Only say which days would run, why, and how long.")] = False,
    from_plan: Annotated[Path | None, typer.Option(help="Run a plan that --plan --json wrote.")] = None,
    only: Annotated[
        Literal["missing", "failed", "restated"] | None, typer.Option(help="Only days with this reason.")
    ] = None,
    newest_first: Annotated[
        bool, typer.Option("--newest-first", help="Make the newest days' data ready first.")
    ] = False,
    days_at_once: Annotated[
        int | None, typer.Option(min=1, help="Days side by side, instead of CTR_RETRAIN_DAYS_AT_ONCE.")
    ] = None,
    wait: WaitOption = False,
) -> CommandOutput:
    """Run past days in order; finished ones are skipped."""
    if from_plan:
        if start or end or plan:
            msg = (
                "backfill: expected --from-plan without --start, --end and --plan, received both. The plan names days."
            )
            raise UsageError(msg)
        read = read_plan(from_plan)
        first, last, retrain, shadow = read.start, read.end, read.retrain, read.shadow
        planned = tuple(one.date for one in read.days if one.reason != "finished")
    else:
        first, last = _range(start, end)
        planned = None
    settings, recipe = settings_and_recipe(context, days_at_once=str(days_at_once) if days_at_once else None)
    if plan:
        from ctr_retrain.flows.backfill import make_plan  # noqa: PLC0415
        from ctr_retrain.flows.commands.print_runs import print_plan  # noqa: PLC0415
        from ctr_retrain.models.data.days import day_range  # noqa: PLC0415

        made = make_plan(settings, recipe, day_range(first, last), retrain, shadow=shadow, only=only)
        return CommandOutput.of(made, print_plan)
    settle_prefect(settings)
    from ctr_retrain.flows.one_run import one_run  # noqa: PLC0415

    with one_run(settings, f"backfill --start {first} --end {last} --retrain {retrain}", wait=wait):
        from ctr_retrain.flows.backfill import backfill as flow  # noqa: PLC0415
        from ctr_retrain.flows.commands.print_runs import print_backfill  # noqa: PLC0415
        from ctr_retrain.tasks.backfill.failed_days import backfill_failure  # noqa: PLC0415

        answer = flow(
            first,
            last,
            retrain,
            settings.recipe,
            settings.root,
            settings.landing,
            shadow=shadow,
            only=only,
            planned=planned,
            newest_first=newest_first,
            days_at_once=days_at_once,
        )
    return CommandOutput.of(answer, print_backfill, backfill_failure(answer))


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
    from ctr_retrain.flows.schedules.serve_nights import serve_daily  # noqa: PLC0415

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


def read_plan(path: Path) -> BackfillPlan:
    """Read a plan that --plan --json wrote; raises UsageError where it is none."""
    from pydantic import ValidationError  # noqa: PLC0415 - half a second, as the documents

    from ctr_retrain.models.documents.command_documents import BackfillPlan  # noqa: PLC0415
    from ctr_retrain.models.documents.document import first_mistake, parse_json  # noqa: PLC0415

    require_file(path, "--from-plan")
    content = parse_json(path.read_bytes())
    try:
        if isinstance(content, dict):
            return BackfillPlan.from_json(content)
        mistake = "a JSON document"
    except ValidationError as error:
        mistake = first_mistake(error)
    msg = f"--from-plan {path}: expected {mistake}. Write it by `backfill --plan --json > {path.name}`."
    raise UsageError(msg)


def _range(start: str | None, end: str | None) -> tuple[date, date]:
    """Read the first and the last day; raises UsageError."""
    if start is None or end is None:
        received = "--start alone" if start else "--end alone" if end else "neither"
        msg = f"backfill: expected --start and --end, or --from-plan FILE, received {received}"
        raise UsageError(msg)
    first, last = parse_day(start, "--start"), parse_day(end, "--end")
    if last < first:
        msg = f"backfill: expected --end not before --start, received {first} to {last}"
        raise UsageError(msg)
    return first, last
