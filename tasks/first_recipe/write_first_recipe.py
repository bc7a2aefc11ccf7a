"""Write a first recipe for somebody's file: look at a sample, decide, measure, look for leaks, write it down."""

from __future__ import annotations

import shlex
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ctr_retrain.models.documents.command_documents import InitAnswer
from ctr_retrain.models.errors import DataRejectedError, UsageError
from ctr_retrain.models.first_recipe.column_roles import find_roles
from ctr_retrain.models.first_recipe.day_numbers import choose_numbers
from ctr_retrain.models.first_recipe.feature_choice import choose_features, decimal_mark
from ctr_retrain.models.first_recipe.known_names import slug
from ctr_retrain.models.first_recipe.recipe_text import MADE_UP_START, FirstRecipe, Prices, write_recipe
from ctr_retrain.models.number_format import percent
from ctr_retrain.models.recipe.landing_section import UNIX_EPOCH, Landing
from ctr_retrain.models.recipe.recipe import load_recipe
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.first_recipe.measure_sample import (
    label_rows,
    sample_leaks,
    seen_days,
    seen_delays,
    unreadable_times,
)
from ctr_retrain.tasks.first_recipe.read_sample import Sample, Streams, read_streams

if TYPE_CHECKING:
    from ctr_retrain.models.first_recipe.column_roles import Roles
    from ctr_retrain.tasks.landing.file_parts import LandedFile


def first_recipe(source: Path, prices: Prices, target: Path, outcomes: Path | None = None) -> InitAnswer:
    """Write a recipe for a file to `target`, and return what it rests on; outcomes: a file of them, where it has none.

    Raises UsageError where there is no such file or `target` is taken, DataRejectedError where a file can't be read
    or has no time, or where there is no label.
    """
    _check_places(source, outcomes, target)
    with tempfile.TemporaryDirectory() as folder, duck.connect(Path(folder), threads=1) as connection:
        scratch = Path(folder)
        streams = read_streams(connection, source, outcomes, scratch)
        sample = streams.impressions
        try:
            roles = find_roles(sample.looks, streams.outcome_rows)
        except DataRejectedError as error:
            msg = f"init {source}: {error}"
            raise DataRejectedError(msg) from error
        rows = streams.outcome_rows
        landing = Landing(
            time=roles.time.written,
            origin=MADE_UP_START if roles.from_start else UNIX_EPOCH,
            outcome_time=rows.time.written if rows else "",
        )
        label_rows(connection, sample.file, roles, landing, streams.outcomes)
        made = _decide(connection, source, streams, roles, prices)
        made = _without_leaks(connection, sample.file, made, scratch)
    text = write_recipe(made)
    target.write_text(text, encoding="utf-8")
    load_recipe(target)  # nobody should have to mend what we wrote
    return _answer(made, sample, source, outcomes, target)


def _check_places(source: Path, outcomes: Path | None, target: Path) -> None:
    """Raise UsageError where there is nothing to look at, or something that would be written over."""
    if not source.is_file():
        msg = f"init: expected a file, received none at {source}. Set --from to an export of impressions."
        raise UsageError(msg)
    if outcomes is not None and not outcomes.is_file():
        msg = f"init: expected a file, received none at {outcomes}. Set --outcomes to an export of outcomes."
        raise UsageError(msg)
    if target.exists():
        msg = f"init: expected no file at {target} yet, received one. Set --out to another name, or remove it."
        raise UsageError(msg)
    if not target.parent.is_dir():
        msg = f"init: expected a folder for {target}, received none. Make it, or set --out."
        raise UsageError(msg)


def _decide(
    connection: duck.Connection,
    source: Path,
    streams: Streams,
    roles: Roles,
    prices: Prices,
) -> FirstRecipe:
    """Return the recipe that the labelled rows suggest; raises DataRejectedError where no time could be read."""
    sample = streams.impressions
    days, delays = seen_days(connection, sample.share), seen_delays(connection)
    if not days:
        msg = f"init {source}: expected times like {roles.time.written!r} in {roles.ts!r}, received none that is."
        raise DataRejectedError(msg)
    rows, positives = sum(day.rows for day in days), sum(day.positives for day in days)
    unsure = list(roles.unsure)
    if lost := unreadable_times(sample.file, days, sample.share):
        unsure.append(f"time: {percent(lost)} of the rows have none that can be read; they will be quarantined")
    if malformed := len(sample.whole.malformed):
        unsure.append(f"{malformed:,} lines hold no row that can be read")
    name = slug(source.name.partition(".")[0], "first")
    return FirstRecipe(
        name=name,
        source=source.name,
        roles=roles,
        positive_kind=roles.outcomes[0].kind,
        features=choose_features(sample.looks, roles),
        leaks={},
        numbers=choose_numbers(days, delays),
        delays=delays,
        seen_rate=positives / rows,
        prices=prices,
        unsure=unsure,
        delimiter=streams.delimiter,
        decimal=decimal_mark(sample.looks),
    )


def _without_leaks(connection: duck.Connection, sample: LandedFile, made: FirstRecipe, scratch: Path) -> FirstRecipe:
    """Return the recipe without features that only an outcome could tell."""
    draft = scratch / "draft.toml"
    draft.write_text(write_recipe(made), encoding="utf-8")
    return replace(made, leaks=sample_leaks(connection, sample, load_recipe(draft), made.roles))


def _answer(made: FirstRecipe, sample: Sample, source: Path, outcomes: Path | None, target: Path) -> InitAnswer:
    """Return what the recipe rests on, what is unsure, and what to type next."""
    numbers, command = made.numbers, f"ctr-retrain --recipe {shlex.quote(str(target))}"
    also = f" --outcomes {shlex.quote(str(outcomes))}" if outcomes else ""
    found = {outcome.kind: outcome.column for outcome in made.roles.outcomes}
    if rows := made.roles.outcome_rows:
        found = {rows.kinds[0]: " and ".join(rows.event_id)}
    return InitAnswer(
        recipe=str(target),
        rows=sample.rows,
        time=f"{made.roles.ts} ({made.roles.time.written})",
        event_id=" and ".join(made.roles.event_ids) or "file_row",
        user_id=made.roles.user_id or None,
        campaign_id=made.roles.campaign_id or None,
        channels=made.roles.channel_names,
        outcomes=found,
        seen_rate=made.seen_rate,
        break_even_rate=made.prices.break_even,
        first_verdict_day=numbers.first_full_day,
        missing_days=numbers.missing_days,
        unsure=tuple(made.unsure),
        leaks=made.leaks,
        left_out={feature.column: feature.left_out for feature in made.features if feature.left_out},
        next_commands=(
            f"{command} land --from {shlex.quote(str(source))}{also}",
            f"{command} doctor",
            f"{command} daily --date {numbers.first_full_day}",
        ),
    )
