"""Commands on a day's data: simulate, init, land, ingest, validate, accept.

Heavy imports stand inside the commands, so that --help answers at once.
"""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from ctr_retrain.flows.commands.arguments import (
    DayOption,
    ReasonOption,
    WaitOption,
    parse_day,
    require_file,
    require_words,
)
from ctr_retrain.flows.commands.command_output import CommandOutput
from ctr_retrain.flows.commands.places import settings_and_recipe, settings_of, settle_prefect
from ctr_retrain.tasks.lease.user_name import user_name


def simulate(
    context: typer.Context,
    start: Annotated[str, typer.Option(metavar="YYYY-MM-DD")],
    days: Annotated[int, typer.Option(min=1)],
    out: Annotated[Path, typer.Option(help="Gets landing/ and, apart from it, truth/.")],
    rows_per_day: Annotated[int, typer.Option(min=100)] = 25_000,
    seed: int = 7,
) -> CommandOutput:
    """Write simulated ad and push events."""
    from ctr_retrain.flows.commands.terminal import print_fields  # noqa: PLC0415
    from ctr_retrain.models.simulation.world import World  # noqa: PLC0415
    from ctr_retrain.tasks.demo import simulate_days  # noqa: PLC0415

    first = parse_day(start, "--start")
    settings_of(context)  # says which of them isn't there
    world = World(seed=seed, rows_per_day=rows_per_day)
    answer = simulate_days.simulate(world, first, days, out)
    return CommandOutput.of(answer, print_fields)


def init(
    context: typer.Context,
    source: Annotated[Path, typer.Option("--from", help="A file of impressions: CSV, JSON lines or Parquet.")],
    cost_send: Annotated[float, typer.Option(help="What showing or sending one impression costs.")],
    value_click: Annotated[float, typer.Option(help="What a click, or whatever makes a positive, is worth.")],
    outcomes: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What happened, where it stands in a file of its own.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The recipe to write; by default the file's name with .toml.")
    ] = None,
    currency: Annotated[str, typer.Option(metavar="NAME", help="What both prices are in, such as EUR.")] = "",
    check: Annotated[bool, typer.Option("--check", help="Land the first days aside and run one.")] = False,
) -> CommandOutput:
    """Write a first recipe for your own file."""
    from ctr_retrain.flows.commands.print_days import print_first_recipe  # noqa: PLC0415
    from ctr_retrain.models.first_recipe.recipe_text import Prices  # noqa: PLC0415
    from ctr_retrain.tasks.first_recipe.write_first_recipe import first_recipe  # noqa: PLC0415

    settings = settings_of(context)
    if check:
        settle_prefect(settings)
    # Not in the landing zone or the root: `init` is what a newcomer types first, and neither is there yet.
    target = out or Path(f"{source.name.partition('.')[0]}.toml")
    answer = first_recipe(source, Prices.of(cost_send, value_click, currency), target, outcomes)
    if check:
        from ctr_retrain.flows.first_run import run_first_day  # noqa: PLC0415

        answer = run_first_day(answer, source, outcomes)
    return CommandOutput.of(answer, print_first_recipe)


def land(
    context: typer.Context,
    source: Annotated[Path, typer.Option("--from", help="A file that holds many days.")],
    outcomes: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Outcomes of many days, where they are in a file of their own.")
    ] = None,
) -> CommandOutput:
    """Split a file of many days into landing folders."""
    from ctr_retrain.flows.commands.print_days import print_landed  # noqa: PLC0415
    from ctr_retrain.tasks.landing.split_by_day import land_streams  # noqa: PLC0415

    require_file(source, "--from")
    if outcomes is not None:
        require_file(outcomes, "--outcomes")
    settings, recipe = settings_and_recipe(context)
    return CommandOutput.of(land_streams(source, outcomes, recipe, settings.landing_zone), print_landed)


def ingest(context: typer.Context, day: DayOption, wait: WaitOption = False) -> CommandOutput:
    """Read what landed on a day; quarantine what is broken."""
    from ctr_retrain.flows.commands.print_days import print_ingested  # noqa: PLC0415
    from ctr_retrain.flows.one_run import one_run  # noqa: PLC0415
    from ctr_retrain.models.documents.day_documents import IngestAnswer  # noqa: PLC0415
    from ctr_retrain.tasks.evaluate.find_leaks import landed_day_leaks  # noqa: PLC0415
    from ctr_retrain.tasks.ingest.ingest_day import ingest_day  # noqa: PLC0415
    from ctr_retrain.tasks.operate.registry import claim_root  # noqa: PLC0415

    wanted, (settings, recipe) = parse_day(day), settings_and_recipe(context)
    with one_run(settings, f"ingest --date {wanted}", wait=wait) as held:
        claim_root(held.store, recipe.name)
        ingested = ingest_day(held.store, settings.landing_zone, recipe, wanted, datetime.now(UTC))
    found = {field.name: getattr(ingested, field.name) for field in fields(ingested)}
    known_afterwards = landed_day_leaks(settings.store, recipe, ingested)
    answer = IngestAnswer(date=found.pop("day"), **found, known_afterwards=known_afterwards)
    return CommandOutput.of(answer, print_ingested)


def validate(context: typer.Context, day: DayOption, wait: WaitOption = False) -> CommandOutput:
    """Judge an ingested day by the recipe's bounds."""
    from ctr_retrain.flows.commands.print_days import print_validated  # noqa: PLC0415
    from ctr_retrain.flows.one_run import one_run  # noqa: PLC0415
    from ctr_retrain.models.documents.day_documents import ValidationAnswer  # noqa: PLC0415
    from ctr_retrain.tasks.operate.registry import claim_root  # noqa: PLC0415
    from ctr_retrain.tasks.store.layout import DATA_DOCS  # noqa: PLC0415
    from ctr_retrain.tasks.validate.validate_day import rejection_error, validate_day  # noqa: PLC0415

    wanted, (settings, recipe) = parse_day(day), settings_and_recipe(context)
    with one_run(settings, f"validate --date {wanted}", wait=wait) as held:
        claim_root(held.store, recipe.name)
        validated = validate_day(held.store, recipe, wanted, datetime.now(UTC))
    data_docs = settings.store.address(validated.path, DATA_DOCS)
    answer = ValidationAnswer(**dict(validated.validation), date=wanted, data_docs=data_docs)
    # A day that was accepted by hand stays so, whatever it fails: only what may not enter training is an error.
    if not validated.accepted:
        raise rejection_error(validated, settings.landing_zone, answer)
    return CommandOutput.of(answer, print_validated)


def accept(context: typer.Context, day: DayOption, reason: ReasonOption) -> CommandOutput:
    """Accept a rejected day by hand.

    It never waits: a run under way publishes nothing more, and ends with exit status 5.
    """
    from ctr_retrain.flows.commands.print_days import print_validated  # noqa: PLC0415
    from ctr_retrain.flows.one_run import say  # noqa: PLC0415
    from ctr_retrain.models.documents.day_documents import ValidationAnswer  # noqa: PLC0415
    from ctr_retrain.tasks.lease.on_call import by_hand  # noqa: PLC0415
    from ctr_retrain.tasks.validate.validate_day import accept_day  # noqa: PLC0415

    # No recipe: what is accepted are findings that lie in the root, by whatever bounds they came about.
    wanted, why = parse_day(day), require_words(reason)
    store = by_hand(settings_of(context).store, f"accept --date {wanted}", say)
    accepted = accept_day(store, wanted, why, user_name(), datetime.now(UTC))
    answer = ValidationAnswer(**dict(accepted.validation), date=wanted, reason=accepted.reason)
    return CommandOutput.of(answer, print_validated)
