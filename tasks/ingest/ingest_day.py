"""Stage 1, ingest: make clean impressions and outcomes, and a profile, of the files that landed on a day.

Every row that came in is kept, a duplicate, or quarantined with a reason; the three add up, or nothing is published.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from pathlib import Path

from ctr_retrain.models.data.schema import impression_columns, landed_columns, outcome_columns
from ctr_retrain.models.documents.day_documents import (
    Attribution,
    Counts,
    DaySummary,
    LandedDayInputs,
    LandedRows,
    UnreadableValues,
)
from ctr_retrain.models.documents.ref_documents import DayRef, PublishedDay
from ctr_retrain.models.errors import BusyError, DataRejectedError, StorageError
from ctr_retrain.models.recipe.recipe import Recipe
from ctr_retrain.tasks.execution import duck
from ctr_retrain.tasks.ingest.day_summary import add_up_summaries, summarise
from ctr_retrain.tasks.ingest.deduplicate import deduplicate
from ctr_retrain.tasks.ingest.first_pass import Stream
from ctr_retrain.tasks.ingest.landed_changes import LandedFiles, landed_marks, list_landed
from ctr_retrain.tasks.ingest.profile_day import add_profiles_up, write_profile
from ctr_retrain.tasks.ingest.quarantine_reasons import nothing_usable
from ctr_retrain.tasks.integrity.manifest import LandedDay
from ctr_retrain.tasks.landing.column_rules import clean_impressions, clean_outcomes, unreadable_flags
from ctr_retrain.tasks.landing.landed_bytes import changed_meanwhile
from ctr_retrain.tasks.landing.landing_zone import LandingZone
from ctr_retrain.tasks.orchestration.fan_out import FanOut
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.layout import IMPRESSIONS, OUTCOMES, QUARANTINE, SUMMARY_FILE
from ctr_retrain.tasks.store.protocol import (
    Store,
    digest_of,
    find_document,
    has_object,
    load_manifest,
    load_ref,
    replace_ref,
)
from ctr_retrain.tasks.store.shards import SHARDS, WHOLE, Shard, open_existing, shard_of

DAY_FORMAT = 4  # of a day's object; another number makes all of them anew
ATTEMPTS = 5  # to publish a day while others publish it


@dataclass(frozen=True)
class IngestedDay:
    """A published landing day."""

    day: date  # the landing day
    path: str  # of its object
    impressions: Counts  # rows received, kept, duplicates and quarantined
    outcomes: Counts  # the same of outcomes
    unreadable: Mapping[str, str]  # file name → what is wrong with it
    unknown_columns: tuple[str, ...]  # that landed and that the recipe doesn't name; outcomes' as outcomes.NAME
    not_read: Mapping[str, str]  # what else lay there, and why it was not read
    mostly_quarantined: Mapping[str, str]  # files of which over half of the rows can't be used, and how many
    unreadable_values: Mapping[str, UnreadableValues]  # by column, values that are missing as they can't be read
    without_label: int  # impressions whose inline label is empty
    attribution: Attribution | None  # outcomes that found an impression; None where labels are inline
    notices: tuple[str, ...]  # sentences about what landed otherwise than the recipe says

    @property
    def identity(self) -> str:
        """Return the digest of the landed files and of how they were read."""
        return self.path.rsplit("/", maxsplit=1)[-1]

    @property
    def landed(self) -> LandedRows:
        """Return the counts of its rows and files, as documents hold them."""
        return LandedRows(**{name: getattr(self, name) for name in LandedRows.model_fields})


def ingest_day(
    store: Store, landing: LandingZone, recipe: Recipe, day: date, now: datetime, fan_out: FanOut | None = None
) -> IngestedDay:
    """Publish what landed on `day`; landing files that were ingested before are recognised and left alone.

    The shards of a day that the recipe cuts are made side by side where `fan_out` says so, else one by one. Where
    another run published the day meanwhile, the landing files are looked at again. Raises DataRejectedError where
    nothing landed, no row came in or none could be used, BusyError where others were faster each time.
    """
    for _ in range(ATTEMPTS - 1):
        with suppress(BusyError):
            return _ingest_once(store, landing, recipe, day, now, fan_out)
    return _ingest_once(store, landing, recipe, day, now, fan_out)


def _ingest_once(
    store: Store, landing: LandingZone, recipe: Recipe, day: date, now: datetime, fan_out: FanOut | None
) -> IngestedDay:
    """Read the ref, then the landing files, then swap that very ref: nobody who saw more files is overruled."""
    ref = load_ref(store, layout.day_ref(day), DayRef)
    marks = landed_marks(landing, recipe, day)  # before a file is read: one that changes meanwhile is noticed later
    landed = list_landed(landing, day, inline_label=recipe.inline_label)
    identity = digest_of([landed.fingerprint, _definition(recipe)])
    path = layout.day_object(day, identity)
    if not has_object(store, path):
        inputs = LandedDayInputs(
            day=day, landed=landed.fingerprint, recipe_digest=recipe.digest, definition=_definition(recipe)
        )
        if recipe.landing.buckets == 1:
            with store.writing(path, inputs.to_json()) as folder:
                _fill(folder, recipe, landed, WHOLE)
        else:
            _fill_by_shards(store, landing, recipe, landed, path, inputs, fan_out)
    if ref is None or ref.content.current != identity:
        earlier = ref.content.history if ref else ()
        published = PublishedDay(current=identity, at=now.isoformat())
        content = DayRef(current=identity, history=(*earlier, published), marks=marks)
        replace_ref(store, layout.day_ref(day), content, ref)
        # Found above, and no ref named it until now: `gc` may have taken it for unused in between.
        if not store.stays(path):
            msg = f"{path} under {store.root}: expected the object, received none: `gc` just removed it. Run again."
            raise BusyError(msg)
    elif ref.content.marks != marks:  # the same bytes, such as of a file that was touched
        replace_ref(store, layout.day_ref(day), ref.content.model_copy(update={"marks": marks}), ref)
    return load_ingested_day(store, day)


def load_ingested_day(store: Store, day: date) -> IngestedDay:
    """Return the landing day that the ref names; raises DataRejectedError where the day was not ingested."""
    path = current_day_object(store, day)
    summary = find_document(store, path, SUMMARY_FILE, DaySummary) if path else None
    if path is None or summary is None:
        msg = f"{day} was not ingested: expected refs/{layout.day_ref(day)}.json, received none. Run `ingest` first."
        raise DataRejectedError(msg)
    return IngestedDay(day, path, **{name: getattr(summary, name) for name in LandedRows.model_fields})


def current_day_object(store: Store, day: date) -> str | None:
    """Return the path of a landing day's current object, None where the day was not ingested."""
    ref = load_ref(store, layout.day_ref(day), DayRef)
    return layout.day_object(day, ref.content.current) if ref else None


def ingested_by(store: Store, day: date, recipe: Recipe) -> bool:
    """Return whether the day was ingested as this recipe reads it: the same columns, times and labels."""
    path = current_day_object(store, day)
    landed = load_manifest(store, path, LandedDay) if path else None
    return landed is not None and landed.definition == _definition(recipe)


def _definition(recipe: Recipe) -> str:
    """Return the digest of all that a day's object depends on beside the landed files."""
    labels = {name: [c.positive_kind, c.windows_hours] for name, c in recipe.channels.items()}
    rules = recipe.validation
    profiled = [sorted(columns) for columns in (rules.max_null_share, rules.value_sets, recipe.slice_columns)]
    columns = [repr(column) for column in impression_columns(recipe)]
    return digest_of([DAY_FORMAT, recipe.landing.model_dump(mode="json"), columns, labels, profiled])


def _fill_by_shards(
    store: Store,
    landing: LandingZone,
    recipe: Recipe,
    landed: LandedFiles,
    path: str,
    inputs: LandedDayInputs,
    fan_out: FanOut | None,
) -> None:
    """Publish the day's shards, then the day: what was counted of them, added up, and their paths.

    Raises DataRejectedError where no shard has a usable row, StorageError where rows don't add up.
    """
    work = partial(_publish_shard, store, landing, recipe, landed.day, landed.fingerprint, path)
    numbers = range(recipe.landing.buckets)
    if fan_out is None:
        shards = [work(number) for number in numbers]
    else:
        shards = list(fan_out.over(numbers, f"ingesting pieces of {landed.day}", work).values())
    folders = [open_existing(store, shard) for shard in shards]
    with store.writing(path, {**inputs.to_json(), SHARDS: shards}) as folder:
        summary = add_up_summaries([DaySummary.read(shard / SUMMARY_FILE) for shard in folders])
        scratch = folder / "scratch"
        scratch.mkdir()
        with duck.connect(scratch, threads=1) as connection:  # a few counts, for which a new database would cost more
            counts = summary.impressions
            # Each shard's rows add up by themselves; this finds a row that belongs to none of them, or to two.
            if counts.received != summary.rows_in_files:
                msg = f"{landed.day}: expected {summary.rows_in_files} impressions in pieces, received {counts!r}"
                raise StorageError(msg)
            if not counts.kept:
                raise nothing_usable(connection, folders, landed.day, counts)
            add_profiles_up(connection, folders, folder, recipe)
        shutil.rmtree(scratch)
        summary.write(folder / SUMMARY_FILE)


def _publish_shard(
    store: Store,
    landing: LandingZone,
    recipe: Recipe,
    day: date,
    fingerprint: dict[str, tuple[tuple[str, str], ...]],
    path: str,
    number: int,
) -> str:
    """Publish one shard of a day, from the very files that the day began with; return its path.

    Raises BusyError where others lie in the landing zone by now.
    """
    shard = Shard(number, recipe.landing.buckets)
    target = shard_of(path, shard)
    if not has_object(store, target):
        landed = list_landed(landing, day, inline_label=recipe.inline_label)
        if landed.fingerprint != fingerprint:
            raise changed_meanwhile("landed files", day)
        with store.writing(target, {"day": day, "piece_of": path}) as folder:
            _fill(folder, recipe, landed, shard)
    return target


def _fill(folder: Path, recipe: Recipe, landed: LandedFiles, shard: Shard) -> None:
    """Write a day, or a shard of it, into `folder`: impressions/, outcomes/, quarantine/, counts, summary."""
    day, scratch = landed.day, folder / "scratch"
    for path in (scratch, *(folder / name for name in (IMPRESSIONS, OUTCOMES, QUARANTINE))):
        path.mkdir()
    with duck.connect(scratch, threads=1) as connection:
        impressions = deduplicate(connection, impressions_of(landed, recipe, shard), folder, scratch)
        if not impressions.counts.kept and shard == WHOLE:  # a shard alone may well be empty
            raise nothing_usable(connection, [folder], day, impressions.counts)
        outcomes = deduplicate(connection, outcomes_of(landed, recipe, shard), folder, scratch)
        write_profile(connection, folder, recipe, day, whole=shard == WHOLE)
        summary = summarise(connection, folder, impressions, outcomes, landed.left_out, recipe)
        summary.write(folder / SUMMARY_FILE)
    shutil.rmtree(scratch)
    landed.check_unchanged()


def impressions_of(landed: LandedFiles, recipe: Recipe, shard: Shard) -> Stream:
    """Return the stream of a landing day's impressions, or of a shard of them."""
    columns = impression_columns(recipe)
    return Stream(
        IMPRESSIONS,
        landed.day,
        landed.impressions,
        landed_columns(recipe),
        lambda slices: clean_impressions(slices, recipe, columns, landed.day),
        key="event_id",
        by_event_day=True,
        landing=recipe.landing,
        shard=shard,
        flags=unreadable_flags(columns),
    )


def outcomes_of(landed: LandedFiles, recipe: Recipe, shard: Shard) -> Stream:
    """Return the stream of a landing day's outcomes, or of a shard of them."""
    return Stream(
        OUTCOMES,
        landed.day,
        landed.outcomes,
        outcome_columns(recipe),
        lambda slices: clean_outcomes(slices, recipe, landed.day),
        key="event_id, kind",
        by_event_day=False,
        landing=recipe.landing,
        shard=shard,
    )
