"""The command line. Heavy imports stand inside the commands, so that --help answers at once."""

from __future__ import annotations

import getpass
import json
import os
import sys
import traceback
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import click
import typer

from flows import printing, quiet
from models.errors import CtrRetrainError, UsageError

app = typer.Typer(
    name="ctr-retrain",
    help="Retrain a CTR model every day, and put it in front of users only if it is worth money.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


class _Options:
    """What the global options said; read by the commands of the same process."""

    recipe: Path | None = None
    root: str | None = None
    landing: str | None = None
    json: bool = False


Date = Annotated[
    str, typer.Option("--date", metavar="YYYY-MM-DD", help="The day; a run is for a day, never for today.")
]
Reason = Annotated[str, typer.Option(help="Why; kept in the history.")]


@app.callback()
def options(
    context: typer.Context,
    recipe: Annotated[Path | None, typer.Option(help="What to train and how to judge it: a TOML file.")] = None,
    root: Annotated[str | None, typer.Option(help="Where objects and refs are kept.")] = None,
    landing: Annotated[str | None, typer.Option(help="Where raw events land.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout and nothing else.")] = False,
) -> None:
    """Take the global options."""
    if context.invoked_subcommand != "serve":  # whose log is all that a night leaves behind
        os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")
    _Options.recipe, _Options.root, _Options.landing, _Options.json = recipe, root, landing, as_json


@app.command()
def demo(folder: Annotated[Path, typer.Option(help="Where it may write.")] = Path("var/demo")) -> None:
    """Simulate some weeks, run the last days, show the verdicts."""
    quiet.import_tensorflow()
    from flows.demo import run_demo  # noqa: PLC0415

    recipe = _Options.recipe or Path("infra/recipes/demo.toml")
    _answer({"runs": run_demo(recipe, folder)}, printing.demo)


@app.command(name="demo-open-bandit")
def demo_open_bandit(
    wheel: Annotated[Path, typer.Option(help="obp-0.4.1-….whl, as pip downloads it.")],
    folder: Annotated[Path, typer.Option(help="Where it may write.")] = Path("var/open_bandit"),
) -> None:
    """Land Open Bandit's real sample, run its days, show the verdicts."""
    quiet.import_tensorflow()
    from flows.demo import run_open_bandit  # noqa: PLC0415

    recipe = _Options.recipe or Path("infra/recipes/open_bandit.toml")
    _answer({"runs": run_open_bandit(recipe, folder, wheel)}, printing.demo)


@app.command(name="simulate")
def simulate_days(
    start: Annotated[str, typer.Option(metavar="YYYY-MM-DD")],
    days: Annotated[int, typer.Option(min=1)],
    out: Annotated[Path, typer.Option(help="Gets landing/ and, apart from it, truth/.")],
    rows_per_day: Annotated[int, typer.Option(min=100)] = 25_000,
    seed: int = 7,
) -> None:
    """Write simulated ad and push events."""
    from models.world import World  # noqa: PLC0415
    from tasks.simulate import simulate  # noqa: PLC0415

    simulate(World(seed=seed, rows_per_day=rows_per_day), _day(start, "--start"), days, out)
    _answer({"landing": str(out / "landing"), "truth": str(out / "truth"), "days": days}, printing.pairs)


@app.command()
def land(
    source: Annotated[Path, typer.Option("--from", help="A file that holds many days.")],
) -> None:
    """Split one file of impressions into landing folders by day."""
    from tasks.land import land_file  # noqa: PLC0415

    settings, recipe = _configured()
    landed = land_file(source, recipe, settings.landing_zone)
    _answer({"landing": str(settings.landing_zone), "rows": landed.rows, "malformed": landed.malformed}, printing.pairs)


@app.command()
def ingest(day: Date) -> None:
    """Read what landed on a day: keep, count duplicates, quarantine with a reason."""
    from dataclasses import asdict  # noqa: PLC0415

    from tasks.ingest import ingest_day  # noqa: PLC0415
    from tasks.registry import claim_root  # noqa: PLC0415

    settings, recipe = _configured()
    claim_root(settings.store, recipe.name)
    ingested = ingest_day.fn(settings.store, settings.landing_zone, recipe, _day(day), datetime.now(UTC))
    _answer({"date": day, **asdict(ingested), "day": day}, printing.ingested)


@app.command()
def validate(day: Date) -> None:
    """Judge an ingested day by the recipe's bounds; a day that fails is rejected."""
    from tasks.registry import claim_root  # noqa: PLC0415
    from tasks.validate import rejection_error, validate_day  # noqa: PLC0415

    settings, recipe = _configured()
    claim_root(settings.store, recipe.name)
    validated = validate_day.fn(settings.store, recipe, _day(day), datetime.now(UTC))
    document = {
        "date": day,
        **validated.to_json(),
        "data_docs": f"{settings.root}/{validated.path}/data_docs/index.html",
    }
    if not validated.accepted:
        raise rejection_error(validated, settings.landing_zone, document)
    _answer(document, printing.pairs)


@app.command()
def accept(day: Date, reason: Reason) -> None:
    """Accept a rejected day by hand."""
    from tasks.validate import accept_day  # noqa: PLC0415

    settings, _ = _configured()
    accepted = accept_day(settings.store, _day(day), reason, getpass.getuser(), datetime.now(UTC))
    _answer({"date": day, **accepted.to_json(), "reason": accepted.reason}, printing.pairs)


@app.command()
def daily(
    day: Date,
    force: Annotated[bool, typer.Option(help="Make the run anew, even from the same inputs.")] = False,
) -> None:
    """Run all stages for one day."""
    quiet.import_tensorflow()
    from flows.daily import daily as flow  # noqa: PLC0415

    settings, _ = _configured()
    _answer(flow(_day(day), settings.recipe, settings.root, settings.landing, force=force), printing.run)


@app.command()
def backfill(
    start: Annotated[str, typer.Option(metavar="YYYY-MM-DD")],
    end: Annotated[str, typer.Option(metavar="YYYY-MM-DD")],
    retrain: Annotated[Literal["last", "each", "none"], typer.Option(help="Which days train.")] = "last",
    shadow: Annotated[bool, typer.Option(help="Put nothing into service.")] = False,
) -> None:
    """Run past days in order; finished ones are skipped, and the champion never goes back in time."""
    quiet.import_tensorflow()
    from flows.backfill import backfill as flow  # noqa: PLC0415

    settings, _ = _configured()
    first, last = _day(start, "--start"), _day(end, "--end")
    document = flow(first, last, retrain, settings.recipe, settings.root, settings.landing, shadow=shadow)
    _answer(document, printing.backfill)
    if any(entry["outcome"] in ("rejected", "data rejected") for entry in document["days"]):
        raise typer.Exit(3)


@app.command()
def serve(
    cron: Annotated[str | None, typer.Option(help="When, such as '0 4 * * *'.")] = None,
    timezone: Annotated[str | None, typer.Option(help="The schedule's, such as Europe/Berlin.")] = None,
) -> None:
    """Run the daily flow on a schedule until stopped."""
    from flows.schedule import serve_daily  # noqa: PLC0415
    from flows.settings import load_settings  # noqa: PLC0415

    _configured()
    given = {"recipe": _Options.recipe, "root": _Options.root, "landing": _Options.landing}
    serve_daily(load_settings(**given, cron=cron, timezone=timezone))


@app.command()
def score(
    source: Annotated[Path, typer.Option("--input", help="Raw impressions: Parquet, CSV or JSON lines.")],
    target: Annotated[Path, typer.Option("--output", help="The same rows with `probability`: .csv or Parquet.")],
    model: Annotated[str, typer.Option(help="A version; default: the champion.")] = "",
) -> None:
    """Score a file with a model in service."""
    quiet.import_tensorflow()
    from tasks.deploy import served_model  # noqa: PLC0415
    from tasks.score import score_file  # noqa: PLC0415

    settings, _ = _configured()
    version, bundle = served_model(settings.store, model)
    rows = score_file(bundle, source, target)
    _answer({"model": version, "rows": rows, "output": str(target)}, printing.pairs)


@app.command()
def models() -> None:
    """List all models with their verdicts."""
    from tasks.registry import list_models  # noqa: PLC0415

    _answer({"models": list_models(_configured()[0].store)}, printing.models)


@app.command()
def status() -> None:
    """Show champion, newest day, rejected days and newest runs."""
    from tasks.registry import describe_status  # noqa: PLC0415

    _answer(describe_status(_configured()[0].store), printing.status)


@app.command()
def explain(run_or_date: str) -> None:
    """Say why a run ended as it did."""
    from tasks.registry import find_run  # noqa: PLC0415

    _answer(find_run(_configured()[0].store, run_or_date), printing.run)


@app.command()
def promote(version: str, reason: Reason) -> None:
    """Put a model into service by hand, against the gate's verdict or after a rollback."""
    quiet.import_tensorflow()
    from tasks.deploy import deploy_challenger  # noqa: PLC0415

    settings, _ = _configured()
    deploy_challenger.fn(settings.store, version, "override", f"{getpass.getuser()}: {reason}", datetime.now(UTC))
    _answer({"champion": version, "reason": reason}, printing.pairs)


@app.command()
def rollback(reason: Reason) -> None:
    """Bring the champion's predecessor back; the champion stays barred."""
    from tasks.champion import roll_back  # noqa: PLC0415

    store = _configured()[0].store
    barred, again = roll_back(store, f"{getpass.getuser()}: {reason}", datetime.now(UTC))
    _answer({"champion": again.version, "barred": barred.version, "reason": reason}, printing.pairs)


@app.command()
def doctor() -> None:
    """Check this machine, the settings and the root; say what to mend."""
    quiet.import_tensorflow()
    from flows.doctor import examine  # noqa: PLC0415

    settings, recipe = _configured()
    findings = examine(settings, recipe)
    _answer({"checks": findings}, printing.doctor)
    if not all(finding["passed"] for finding in findings):
        raise typer.Exit(4)


def main() -> None:
    """Run the command line; errors become a message on stderr, a document with --json, and an exit status."""
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except CtrRetrainError as error:
        sys.stderr.write(f"\n{type(error).__name__}: {error}\n")
        details = dict(error.details)
        _fail(error, error.exit_code, details.pop("document", {}), details)
    except click.ClickException as error:
        error.show()
        _fail(error, error.exit_code)
    except (click.Abort, KeyboardInterrupt) as error:
        sys.stderr.write("\nstopped\n")
        _fail(error, 130)
    except Exception as error:  # noqa: BLE001 - a bug: shown whole, and still one JSON document
        traceback.print_exc()
        _fail(error, 1)


def _fail(error: BaseException, exit_code: int, document: Any = None, details: Any = None) -> NoReturn:
    if "--json" in sys.argv:
        message = error.format_message() if isinstance(error, click.ClickException) else str(error)
        failure = {"type": type(error).__name__, "message": message, "exit_code": exit_code, **(details or {})}
        _write_json({**(document or {}), "error": failure})
    sys.exit(exit_code)


def _configured() -> tuple[Any, Any]:
    """Settings and recipe."""
    from flows.settings import load_settings  # noqa: PLC0415
    from models.recipe import load_recipe  # noqa: PLC0415

    settings = load_settings(recipe=_Options.recipe, root=_Options.root, landing=_Options.landing)
    return settings, load_recipe(settings.recipe)


def _day(text: str, option: str = "--date") -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        msg = f"{option}: expected a day such as 2026-03-01, received {text!r}"
        raise UsageError(msg) from error


def _answer(document: dict[str, Any], show: Any) -> None:
    """Print the document as JSON, or for a person."""
    if _Options.json:
        _write_json(document)
    else:
        show(document)


def _write_json(document: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(document, indent=1, default=str) + "\n")


if __name__ == "__main__":
    main()
