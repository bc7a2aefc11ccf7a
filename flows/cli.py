"""The command line. Heavy imports stand inside the commands, so that --help answers at once."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer

import ctr_retrain.flows.quiet_libraries  # noqa: F401 - libraries read the environment when imported
from ctr_retrain.flows import printing
from ctr_retrain.flows.command_output import CommandOutput, EarlyOutput, run
from ctr_retrain.models.documents.comparison_documents import Criterion
from ctr_retrain.models.documents.day_documents import IngestAnswer, ValidationAnswer
from ctr_retrain.models.errors import DataRejectedError, StorageError, UsageError
from ctr_retrain.tasks.execution.import_tensorflow import import_tensorflow

if TYPE_CHECKING:
    from ctr_retrain.flows.settings import Settings
    from ctr_retrain.models.recipe.recipe import Recipe

app = typer.Typer(
    name="ctr-retrain",
    help="Retrain a CTR model every day, and put it in front of users only if it is worth money.",
    no_args_is_help=True,
    add_completion=False,
    epilog="--recipe, --root, --landing and --json may stand before the command or behind it.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@dataclass(frozen=True)
class _Places:
    """The global options, which each command finds in its context; None where the environment or a default counts."""

    recipe: Path | None  # what to train and how to judge it
    root: str | None  # of objects and refs
    landing: str | None  # of raw events


YEARS = range(1900, 3000)  # so that the calendar has every day that a run counts back or ahead to
Date = Annotated[
    str, typer.Option("--date", metavar="YYYY-MM-DD", help="The day; a run is for a day, never for today.")
]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why; kept in the history.")]


def _show_version(wanted: bool) -> None:
    if wanted:
        from ctr_retrain.tasks.execution.code_digest import code_digest  # noqa: PLC0415

        code = code_digest()
        document = {"version": code.partition("+")[0], "code": code}
        raise EarlyOutput(CommandOutput(document, printing.pairs))


@app.callback()
def options(
    context: typer.Context,
    recipe: Annotated[
        Path | None,
        typer.Option(help="What to train and how to judge it: a TOML file, or the name of a shipped recipe."),
    ] = None,
    root: Annotated[str | None, typer.Option(help="Where objects and refs are kept.")] = None,
    landing: Annotated[str | None, typer.Option(help="Where raw events land.")] = None,
    _json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout and nothing else.")] = False,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="The version, and the code that runs record."
        ),
    ] = False,
) -> None:
    """Take the global options."""
    if context.invoked_subcommand != "serve":  # whose log is all that a night leaves behind
        os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")
    context.obj = _Places(recipe, root, landing)


@app.command()
def demo(
    context: typer.Context, folder: Annotated[Path, typer.Option(help="Where it may write.")] = Path("var/demo")
) -> CommandOutput:
    """Simulate some weeks and run the last days."""
    from ctr_retrain.flows.demo import run_demo  # noqa: PLC0415

    recipe = _places(context).recipe or Path("demo")
    return CommandOutput({"runs": run_demo(recipe, folder)}, printing.demo)


@app.command(name="demo-open-bandit")
def demo_open_bandit(
    context: typer.Context,
    wheel: Annotated[Path, typer.Option(help="obp-0.4.1-….whl, as pip downloads it.")],
    folder: Annotated[Path, typer.Option(help="Where it may write.")] = Path("var/open_bandit"),
) -> CommandOutput:
    """Land Open Bandit's real sample and run its days."""
    from ctr_retrain.flows.demo import run_open_bandit  # noqa: PLC0415

    recipe = _places(context).recipe or Path("open_bandit")
    return CommandOutput({"runs": run_open_bandit(recipe, folder, wheel)}, printing.demo)


@app.command(name="simulate")
def simulate_days(
    start: Annotated[str, typer.Option(metavar="YYYY-MM-DD")],
    days: Annotated[int, typer.Option(min=1)],
    out: Annotated[Path, typer.Option(help="Gets landing/ and, apart from it, truth/.")],
    rows_per_day: Annotated[int, typer.Option(min=100)] = 25_000,
    seed: int = 7,
) -> CommandOutput:
    """Write simulated ad and push events."""
    from ctr_retrain.models.simulation.world import World  # noqa: PLC0415
    from ctr_retrain.tasks.demo.simulate_days import simulate  # noqa: PLC0415

    simulate(World(seed=seed, rows_per_day=rows_per_day), _day(start, "--start"), days, out)
    return CommandOutput({"landing": str(out / "landing"), "truth": str(out / "truth"), "days": days}, printing.pairs)


@app.command()
def land(
    context: typer.Context,
    source: Annotated[Path, typer.Option("--from", help="A file that holds many days.")],
) -> CommandOutput:
    """Split a file of many days into landing folders."""
    from ctr_retrain.tasks.landing.split_by_day import land_file  # noqa: PLC0415

    settings, recipe = _configured(context)
    landed = land_file(source, recipe, settings.landing_zone)
    counts = {"rows": landed.rows, "outcomes": landed.outcomes, "malformed": landed.malformed}
    document = {"landing": str(settings.landing_zone), **counts}
    return CommandOutput(document, printing.landed)


@app.command()
def ingest(context: typer.Context, day: Date) -> CommandOutput:
    """Read what landed on a day; quarantine what is broken."""
    from ctr_retrain.tasks.ingest.ingest_day import ingest_day  # noqa: PLC0415
    from ctr_retrain.tasks.operate.registry import claim_root  # noqa: PLC0415

    wanted, (settings, recipe) = _day(day), _configured(context)
    claim_root(settings.store, recipe.name)
    ingested = ingest_day(settings.store, settings.landing_zone, recipe, wanted, datetime.now(UTC))
    found = {field.name: getattr(ingested, field.name) for field in fields(ingested)}
    return CommandOutput(IngestAnswer(date=found.pop("day"), **found).to_json(), printing.ingested)


@app.command()
def validate(context: typer.Context, day: Date) -> CommandOutput:
    """Judge an ingested day by the recipe's bounds."""
    from ctr_retrain.tasks.operate.registry import claim_root  # noqa: PLC0415
    from ctr_retrain.tasks.validate.validate_day import rejection_error, validate_day  # noqa: PLC0415

    wanted, (settings, recipe) = _day(day), _configured(context)
    claim_root(settings.store, recipe.name)
    validated = validate_day(settings.store, recipe, wanted, datetime.now(UTC))
    data_docs = settings.store.address(validated.path, "data_docs/index.html")
    document = ValidationAnswer(**dict(validated.validation), date=wanted, data_docs=data_docs).to_json()
    if not validated.accepted:
        raise rejection_error(validated, settings.landing_zone, document)
    return CommandOutput(document, printing.validated)


@app.command()
def accept(context: typer.Context, day: Date, reason: Reason) -> CommandOutput:
    """Accept a rejected day by hand."""
    from ctr_retrain.tasks.validate.validate_day import accept_day  # noqa: PLC0415

    wanted, why = _day(day), _given(reason)
    accepted = accept_day(_settings(context).store, wanted, why, _user(), datetime.now(UTC))
    document = ValidationAnswer(**dict(accepted.validation), date=wanted, reason=accepted.reason).to_json()
    return CommandOutput(document, printing.validated)


@app.command()
def daily(
    context: typer.Context,
    day: Date,
    force: Annotated[bool, typer.Option(help="Make the run anew, even from the same inputs.")] = False,
) -> CommandOutput:
    """Run all stages for one day."""
    # Day, settings and recipe are checked before Prefect is imported, which takes two seconds: a slip is told at once.
    wanted, (settings, _) = _day(day), _configured(context)
    from ctr_retrain.flows.daily import daily as flow  # noqa: PLC0415

    document = flow(wanted, settings.recipe, settings.root, settings.landing, force=force)
    return CommandOutput(document, printing.run)


@app.command()
def backfill(
    context: typer.Context,
    start: Annotated[str, typer.Option(metavar="YYYY-MM-DD")],
    end: Annotated[str, typer.Option(metavar="YYYY-MM-DD")],
    retrain: Annotated[Literal["last", "each", "none"], typer.Option(help="Which days train.")] = "last",
    shadow: Annotated[bool, typer.Option(help="Put nothing into service.")] = False,
) -> CommandOutput:
    """Run past days in order; finished ones are skipped."""
    first, last, (settings, _) = _day(start, "--start"), _day(end, "--end"), _configured(context)
    from ctr_retrain.flows.backfill import backfill as flow  # noqa: PLC0415

    document = flow(first, last, retrain, settings.recipe, settings.root, settings.landing, shadow=shadow)
    bad = [entry["date"] for entry in document["days"] if entry["outcome"] in ("rejected", "data rejected")]
    msg = (
        f"backfill: expected {len(document['days'])} days of usable data, received {len(bad)} that is not: "
        f"{', '.join(bad)}. See `ctr-retrain status`; the other days are done."
    )
    return CommandOutput(document, printing.backfill, DataRejectedError(msg, document=document) if bad else None)


@app.command()
def compare(  # noqa: PLR0913, PLR0917 - a command's options
    context: typer.Context,
    day: Date,
    days: Annotated[int, typer.Option(min=1, help="Past days to judge by, up to --date.")] = 1,
    seeds: Annotated[int, typer.Option(min=1, help="Models of each strategy and day.")] = 3,
    strategies: Annotated[str, typer.Option(help="Some of them, separated by commas; default: all.")] = "",
    half_lives: Annotated[str, typer.Option(help="Days to try, such as 3,7,14.")] = "",
    class_powers: Annotated[str, typer.Option(help="Powers of the class weight to try, such as 0.5,1.")] = "",
    ages: Annotated[str, typer.Option(help="Of the freshness curve's windows, in days; 0: none.")] = "1,2,4,7",
    criterion: Annotated[Criterion, typer.Option(help="What a recommendation goes by.")] = "cost_per_1000",
    force: Annotated[bool, typer.Option(help="Compare anew, even from the same inputs.")] = False,
) -> CommandOutput:
    """Compare ways to weigh and sample on past days."""
    wanted, (settings, _) = _day(day), _configured(context)
    from ctr_retrain.flows.compare import compare as flow  # noqa: PLC0415
    from ctr_retrain.flows.compare_request import read_compare_request  # noqa: PLC0415

    lists = {"strategies": strategies, "half_lives": half_lives, "class_powers": class_powers, "ages": ages}
    request = read_compare_request(wanted, lists, days=days, seeds=seeds, criterion=criterion)
    document = flow(request, settings.recipe, settings.root, settings.landing, force=force)
    return CommandOutput(document, printing.compared)


@app.command()
def serve(
    context: typer.Context,
    cron: Annotated[str | None, typer.Option(help="When, such as '0 4 * * *'.")] = None,
    timezone: Annotated[str | None, typer.Option(help="The schedule's, such as Europe/Berlin.")] = None,
) -> None:
    """Run the daily flow on a schedule until stopped."""
    from ctr_retrain.flows.schedule import serve_daily  # noqa: PLC0415

    _configured(context)  # a recipe that is wrong is refused now, not when the first night is due
    serve_daily(_settings(context, cron=cron, timezone=timezone))


@app.command()
def score(
    context: typer.Context,
    source: Annotated[Path, typer.Option("--input", help="Raw impressions: Parquet, CSV or JSON lines.")],
    target: Annotated[Path, typer.Option("--output", help="The same rows with `probability`: .csv or Parquet.")],
    model: Annotated[str, typer.Option(help="A version; default: the champion.")] = "",
) -> CommandOutput:
    """Score a file with a model in service."""
    import_tensorflow()
    from ctr_retrain.tasks.deploy.publish_model import served_model  # noqa: PLC0415
    from ctr_retrain.tasks.deploy.score_file import score_file  # noqa: PLC0415

    version, bundle = served_model(_settings(context).store, model)
    rows = score_file(bundle, source, target)
    return CommandOutput({"model": version, "rows": rows, "output": str(target)}, printing.pairs)


@app.command()
def models(context: typer.Context) -> CommandOutput:
    """List all models with their verdicts."""
    from ctr_retrain.tasks.operate.registry import list_models  # noqa: PLC0415

    return CommandOutput({"models": list_models(_settings(context).store)}, printing.models)


@app.command()
def status(context: typer.Context) -> CommandOutput:
    """Show champion, newest day, rejected days, runs."""
    from ctr_retrain.tasks.operate.registry import describe_status  # noqa: PLC0415

    return CommandOutput(describe_status(_settings(context).store), printing.status)


@app.command()
def explain(
    context: typer.Context, run_or_date: Annotated[str, typer.Argument(metavar="RUN_OR_DATE")]
) -> CommandOutput:
    """Say why a run ended as it did."""
    from ctr_retrain.tasks.operate.registry import find_run  # noqa: PLC0415

    return CommandOutput(find_run(_settings(context).store, run_or_date), printing.run)


@app.command()
def promote(
    context: typer.Context, version: Annotated[str, typer.Argument(metavar="VERSION")], reason: Reason
) -> CommandOutput:
    """Put a model into service by hand, whatever its verdict."""
    signed = f"{_user()}: {_given(reason)}"
    from ctr_retrain.tasks.deploy.publish_model import deploy_challenger  # noqa: PLC0415

    deploy_challenger(_settings(context).store, version, "override", signed, datetime.now(UTC))
    return CommandOutput({"champion": version, "reason": reason}, printing.pairs)


@app.command()
def rollback(context: typer.Context, reason: Reason) -> CommandOutput:
    """Bring the champion's predecessor back."""
    from ctr_retrain.tasks.store.champion import roll_back  # noqa: PLC0415

    barred, again = roll_back(_settings(context).store, f"{_user()}: {_given(reason)}", datetime.now(UTC))
    return CommandOutput({"champion": again.version, "barred": barred.version, "reason": reason}, printing.pairs)


@app.command()
def gc(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
) -> CommandOutput:
    """Remove what no ref and no kept run needs."""
    from ctr_retrain.tasks.operate.collect_garbage import collect_garbage  # noqa: PLC0415
    from ctr_retrain.tasks.operate.registry import claim_root  # noqa: PLC0415
    from ctr_retrain.tasks.train.checkpoints import sweep_checkpoints  # noqa: PLC0415

    settings, recipe = _configured(context)
    claim_root(settings.store, recipe.name)
    document = collect_garbage(settings.store, recipe, dry_run=dry_run)
    age = recipe.retention.min_age_hours * 3600
    swept = sweep_checkpoints(settings.compute.checkpoints, age, dry_run=dry_run)
    return CommandOutput({**document, "checkpoints": [path.name for path in swept]}, printing.collected)


@app.command()
def doctor(context: typer.Context) -> CommandOutput:
    """Check machine, settings and root; say what to mend."""
    settings, recipe = _configured(context)
    import_tensorflow()
    from ctr_retrain.flows.doctor import examine  # noqa: PLC0415

    document = {"checks": examine(settings, recipe)}
    failed = [check["name"] for check in document["checks"] if not check["passed"]]
    msg = f"doctor: expected {len(document['checks'])} checks to pass, received failures of {', '.join(failed)}."
    return CommandOutput(document, printing.doctor, StorageError(msg, document=document) if failed else None)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its status."""
    run(app, sys.argv[1:] if arguments is None else arguments)


def _places(context: typer.Context) -> _Places:
    places: _Places = context.obj
    return places


def _settings(context: typer.Context, **more: str | None) -> Settings:
    from ctr_retrain.flows.settings import load_settings  # noqa: PLC0415

    return load_settings(**asdict(_places(context)), **more)


def _configured(context: typer.Context) -> tuple[Settings, Recipe]:
    from ctr_retrain.models.recipe.recipe import load_recipe  # noqa: PLC0415

    settings = _settings(context)
    return settings, load_recipe(settings.recipe)


def _day(text: str, option: str = "--date") -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = date.min
    if day.year not in YEARS:
        msg = f"{option}: expected a day such as 2026-03-01, received {text!r}"
        raise UsageError(msg)
    return day


def _given(reason: str) -> str:
    """Return the reason, which must say something: it is all that the history keeps of why."""
    if not reason.strip():
        msg = f"--reason: expected some words for the history, received {reason!r}"
        raise UsageError(msg)
    return reason


def _user() -> str:
    """Name the user who runs this; in a container a user often has a number and no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


if __name__ == "__main__":
    main()
