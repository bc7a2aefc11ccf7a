"""Write a first recipe for somebody's file: look at a sample, decide, measure, look for leaks, write it down."""

from __future__ import annotations

import shlex
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ctr_retrain.models.documents.command_documents import InitAnswer
from ctr_retrain.models.errors import DataRejectedError, UsageError
from ctr_retrain.models.first_recipe.column_roles import find_roles
from ctr_retrain.models.first_recipe.day_numbers import choose_numbers
from ctr_retrain.models.first_recipe.feature_choice import choose_features
from ctr_retrain.models.first_recipe.known_names import slug
from ctr_retrain.models.first_recipe.recipe_text import MADE_UP_START, FirstRecipe, Prices, write_recipe
from ctr_retrain.models.number_format import percent
from ctr_retrain.models.recipe.landing_section import UNIX_EPOCH, Landing
from ctr_retrain.models.recipe.recipe import load_recipe
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.first_recipe.measure_sample import (
    label_rows,
    look_at_columns,
    sample_leaks,
    seen_days,
    seen_delays,
    unreadable_times,
)
from ctr_retrain.tasks.first_recipe.text_format import check_csv_format
from ctr_retrain.tasks.landing.file_parts import LandedFile, UnreadableFile
from ctr_retrain.tasks.landing.read_landing import read_file
from ctr_retrain.tasks.landing.text_to_parquet import ROW

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctr_retrain.models.first_recipe.column_look import ColumnLook
    from ctr_retrain.models.first_recipe.column_roles import Roles

SAMPLED_ROWS = 50_000  # looked at: enough for three digits of a ratio, and a second of work
SAMPLE = "sample"  # table of these rows


def first_recipe(source: Path, prices: Prices, target: Path) -> InitAnswer:
    """Write a recipe for a file to `target`, and return what it rests on.

    Raises UsageError where there is no such file or `target` is taken, DataRejectedError where the file can't be read
    or has no time or no label.
    """
    _check_places(source, target)
    with tempfile.TemporaryDirectory() as folder, duck.connect(Path(folder), threads=1) as connection:
        scratch = Path(folder)
        sample = _sample(connection, source, scratch)
        looks = look_at_columns(connection, sample.file)
        try:
            roles = find_roles(looks)
        except DataRejectedError as error:
            msg = f"init {source}: {error}"
            raise DataRejectedError(msg) from error
        landing = Landing(time=roles.time.written, origin=MADE_UP_START if roles.from_start else UNIX_EPOCH)
        label_rows(connection, sample.file, roles, landing)
        made = _decide(connection, source, sample, looks, roles, prices)
        made = _without_leaks(connection, sample.file, made, scratch)
    text = write_recipe(made)
    target.write_text(text, encoding="utf-8")
    load_recipe(target)  # nobody should have to mend what we wrote
    return _answer(made, sample, source, target)


@dataclass(frozen=True)
class _Sample:
    """Rows of a file, as a table of a query."""

    file: LandedFile
    rows: int  # of the whole file
    malformed: int  # lines that hold no row

    @property
    def share(self) -> float:
        """Share of the file's rows that are in the sample."""
        return self.file.rows / self.rows


def _check_places(source: Path, target: Path) -> None:
    """Raise UsageError where there is nothing to look at, or something that would be written over."""
    if not source.is_file():
        msg = f"init: expected a file, received none at {source}. Set --from to an export of impressions."
        raise UsageError(msg)
    if target.exists():
        msg = f"init: expected no file at {target} yet, received one. Set --out to another name, or remove it."
        raise UsageError(msg)
    if not target.parent.is_dir():
        msg = f"init: expected a folder for {target}, received none. Make it, or set --out."
        raise UsageError(msg)


def _sample(connection: duck.Connection, source: Path, scratch: Path) -> _Sample:
    """Read the file as `land` does, and keep some of its rows, evenly over the file."""
    # Looked at first: with another delimiter the reader would find one column, and say that it lacks all others.
    check_csv_format(source)
    file = read_file(connection, source, (), scratch, Landing())
    if isinstance(file, UnreadableFile):
        msg = f"init {source}: expected a readable file, received: {file.reason}"
        raise DataRejectedError(msg)
    if not file.rows:
        msg = f"init {source}: expected rows, received none."
        raise DataRejectedError(msg)
    columns = ", ".join(map(duck.name, file.columns))
    # Every so many rows: the first ones of a log in order of time would be those of one night.
    step = -(-file.rows // SAMPLED_ROWS)
    connection.execute(f"CREATE TABLE {SAMPLE} AS SELECT {columns} FROM {file.table} WHERE {ROW} % {step} = 0")
    rows = duck.scalar(connection, f"SELECT count(*) FROM {SAMPLE}")
    return _Sample(replace(file, table=SAMPLE, rows=rows), file.rows, len(file.malformed))


def _decide(
    connection: duck.Connection,
    source: Path,
    sample: _Sample,
    looks: Sequence[ColumnLook],
    roles: Roles,
    prices: Prices,
) -> FirstRecipe:
    """Return the recipe that the labelled rows suggest; raises DataRejectedError where no time could be read."""
    days, delays = seen_days(connection, sample.share), seen_delays(connection)
    if not days:
        msg = f"init {source}: expected times like {roles.time.written!r} in {roles.ts!r}, received none that is."
        raise DataRejectedError(msg)
    rows, positives = sum(day.rows for day in days), sum(day.positives for day in days)
    unsure = list(roles.unsure)
    if lost := unreadable_times(sample.file, days, sample.share):
        unsure.append(f"time: {percent(lost)} of the rows have none that can be read; they will be quarantined")
    if sample.malformed:
        unsure.append(f"{sample.malformed:,} lines hold no row that can be read")
    name = slug(source.name.partition(".")[0], "first")
    return FirstRecipe(
        name=name,
        source=source.name,
        roles=roles,
        positive_kind=roles.outcomes[0].kind,
        features=choose_features(looks, roles),
        leaks={},
        numbers=choose_numbers(days, delays),
        delays=delays,
        seen_rate=positives / rows,
        prices=prices,
        unsure=unsure,
    )


def _without_leaks(connection: duck.Connection, sample: LandedFile, made: FirstRecipe, scratch: Path) -> FirstRecipe:
    """Return the recipe without features that only an outcome could tell."""
    draft = scratch / "draft.toml"
    draft.write_text(write_recipe(made), encoding="utf-8")
    return replace(made, leaks=sample_leaks(connection, sample, load_recipe(draft), made.roles))


def _answer(made: FirstRecipe, sample: _Sample, source: Path, target: Path) -> InitAnswer:
    """Return what the recipe rests on, what is unsure, and what to type next."""
    numbers, command = made.numbers, f"ctr-retrain --recipe {shlex.quote(str(target))}"
    return InitAnswer(
        recipe=str(target),
        rows=sample.rows,
        time=f"{made.roles.ts} ({made.roles.time.written})",
        event_id=made.roles.event_id or "file_row",
        user_id=made.roles.user_id or None,
        campaign_id=made.roles.campaign_id or None,
        channels=made.roles.channel_names,
        outcomes={outcome.kind: outcome.column for outcome in made.roles.outcomes},
        seen_rate=made.seen_rate,
        break_even_rate=made.prices.break_even,
        first_verdict_day=numbers.first_full_day,
        missing_days=numbers.missing_days,
        unsure=tuple(made.unsure),
        leaks=made.leaks,
        left_out={feature.column: feature.left_out for feature in made.features if feature.left_out},
        next_commands=(
            f"{command} land --from {shlex.quote(str(source))}",
            f"{command} doctor",
            f"{command} daily --date {numbers.first_full_day}",
        ),
    )
