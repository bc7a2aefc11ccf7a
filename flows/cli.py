"""The command line: the global options, and all commands in the order of --help.

A command is a function in `flows/commands/`, whose heavy imports stand inside it, so that --help answers at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer

import ctr_retrain.flows.quiet_libraries  # noqa: F401 - libraries read the environment when imported
from ctr_retrain.flows.commands import day_commands, model_commands, root_commands, run_commands
from ctr_retrain.flows.commands.command_output import CommandOutput, EarlyOutput, run
from ctr_retrain.flows.commands.places import Places

COMMANDS: dict[str, Callable[..., CommandOutput | None]] = {
    "demo": run_commands.demo,
    "demo-open-bandit": run_commands.demo_open_bandit,
    "simulate": day_commands.simulate,
    "init": day_commands.init,
    "land": day_commands.land,
    "ingest": day_commands.ingest,
    "validate": day_commands.validate,
    "accept": day_commands.accept,
    "daily": run_commands.daily,
    "backfill": run_commands.backfill,
    "compare": run_commands.compare,
    "serve": run_commands.serve,
    "score": model_commands.score,
    "models": model_commands.models,
    "status": root_commands.status,
    "explain": run_commands.explain,
    "promote": model_commands.promote,
    "rollback": model_commands.rollback,
    "gc": root_commands.gc,
    "verify": root_commands.verify,
    "doctor": root_commands.doctor,
}

# What Prefect is told where a command runs a flow: its log is the server's, ours is shown from warnings on as without a
# server, and a server that is gone costs no night.
PREFECT_ASIDE = {
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "WARNING",
    "PREFECT_INTERNAL_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_API_REQUEST_TIMEOUT": "10",
    "PREFECT_CLIENT_MAX_RETRIES": "1",
}

app = typer.Typer(
    name="ctr-retrain",
    help="Retrain a CTR model every day, and put it in front of users only if it is worth money.",
    no_args_is_help=True,
    add_completion=False,
    epilog="--recipe, --root, --landing and --json may stand before the command or behind it.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for _name, _command in COMMANDS.items():
    app.command(name=_name)(_command)
app.add_typer(root_commands.alerts, name="alerts")


def _show_version(wanted: bool) -> None:
    if wanted:
        raise EarlyOutput(root_commands.describe_version())


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
        for name, value in PREFECT_ASIDE.items():
            os.environ.setdefault(name, value)
    context.obj = Places(recipe, root, landing)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its status."""
    run(app, sys.argv[1:] if arguments is None else arguments)


if __name__ == "__main__":
    main()
