"""Stage 1, ingest: landing files of a day → clean impressions and outcomes, and a profile of the day.

Every row that came in is kept, a duplicate, or quarantined with a reason; the three add up, or nothing is published.
"""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from models.errors import BusyError, DataRejectedError
from models.recipe import Recipe
from models.schema import OUTCOME_COLUMNS, Counts, impression_columns, landed_columns
from tasks import duck, layout
from tasks.clean import clean_impressions, clean_outcomes
from tasks.landing import fingerprint
from tasks.landing_zone import LandingZone
from tasks.layout import IMPRESSIONS, OUTCOMES, QUARANTINE, SUMMARY_FILE
from tasks.profile import write_profile
from tasks.sift import Stream, sift
from tasks.store import Store, digest_of

LAYOUT = 2  # of a day's object; another number makes all of them anew
ATTEMPTS = 5  # to publish a day while others publish it


@dataclass(frozen=True)
class IngestedDay:
    """A published landing day: where it is and what came in."""

    day: date
    path: str
    impressions: Counts
    outcomes: Counts
    unreadable: dict[str, str]  # file name → what is wrong with it
    unknown_columns: tuple[str, ...]  # that landed and that the recipe doesn't name; outcomes' as outcomes.NAME

    @property
    def identity(self) -> str:
        """Digest of the landed files and of how they were read."""
        return self.path.rsplit("/", maxsplit=1)[-1]


@task(cache_policy=NO_CACHE)
def ingest_day(store: Store, landing: LandingZone, recipe: Recipe, day: date, now: datetime) -> IngestedDay:
    """Publish what landed on `day`; landing files that were ingested before are recognised and left alone.

    Where another run published the day meanwhile, the landing files are looked at again. Raises DataRejectedError where
    nothing landed, no row came in or none could be used, BusyError where others were faster each time.
    """
    for _ in range(ATTEMPTS - 1):
        with suppress(BusyError):
            return _ingest_once(store, landing, recipe, day, now)
    return _ingest_once(store, landing, recipe, day, now)


def _ingest_once(store: Store, landing: LandingZone, recipe: Recipe, day: date, now: datetime) -> IngestedDay:
    """Look at the ref, then at the landing files, then swap that very ref: nobody who saw more files is overruled."""
    ref = store.read_ref(layout.day_ref(day))
    impression_files = landing.files("impressions", day)
    outcome_files = [] if recipe.inline_label else landing.files("outcomes", day)
    if not impression_files:
        msg = (
            f"nothing landed on {day}: expected files under {landing}/impressions/dt={day}, received none. "
            "Check the export job, then run again."
        )
        raise DataRejectedError(msg)
    landed = {"impressions": fingerprint(impression_files), "outcomes": fingerprint(outcome_files)}
    identity = digest_of([landed, _definition(recipe)])
    path = layout.day_object(day, identity)
    if store.manifest(path) is None:
        meta = {"day": day, "landed": landed, "recipe_digest": recipe.digest, "definition": _definition(recipe)}
        with store.writing(path, meta) as folder:
            _fill(folder, recipe, day, impression_files, outcome_files)
    if ref is None or ref.value["current"] != identity:
        history = [*(ref.value["history"] if ref else []), {"current": identity, "at": now.isoformat()}]
        store.swap_ref(layout.day_ref(day), {"current": identity, "history": history}, ref)
    return load_ingested_day(store, day)


def load_ingested_day(store: Store, day: date) -> IngestedDay:
    """The landing day that the ref names; raises DataRejectedError where the day was not ingested."""
    path = current_day_object(store, day)
    file = store.file(path, "summary.json") if path else None
    if path is None or file is None:
        msg = f"{day} was not ingested: expected refs/{layout.day_ref(day)}.json, received none. Run `ingest` first."
        raise DataRejectedError(msg)
    summary = json.loads(file.read_text(encoding="utf-8"))
    impressions, outcomes = Counts(**summary["impressions"]), Counts(**summary["outcomes"])
    return IngestedDay(day, path, impressions, outcomes, summary["unreadable"], tuple(summary["unknown_columns"]))


def current_day_object(store: Store, day: date) -> str | None:
    """The path of a landing day's current object, None where the day was not ingested."""
    ref = store.read_ref(layout.day_ref(day))
    return layout.day_object(day, ref.value["current"]) if ref else None


def ingested_by(store: Store, day: date, recipe: Recipe) -> bool:
    """Whether the day was ingested, and as this recipe reads it: the same columns, times and labels."""
    path = current_day_object(store, day)
    manifest = store.manifest(path) if path else None
    return manifest is not None and manifest["definition"] == _definition(recipe)


def _definition(recipe: Recipe) -> str:
    """Digest of all that a day's object depends on beside the landed files."""
    labels = {name: [c.positive_kind, c.windows_hours] for name, c in recipe.channels.items()}
    profiled = [sorted(recipe.validation.max_null_share), sorted(recipe.validation.value_sets)]
    columns = [repr(column) for column in impression_columns(recipe)]
    return digest_of([LAYOUT, recipe.landing.model_dump(mode="json"), columns, labels, profiled])


def _fill(folder: Path, recipe: Recipe, day: date, impression_files: list[Path], outcome_files: list[Path]) -> None:
    """Write the day's object into `folder`: impressions/, outcomes/, quarantine/, profile, values, summary."""
    scratch = folder / "scratch"
    for path in (scratch, *(folder / name for name in (IMPRESSIONS, OUTCOMES, QUARANTINE))):
        path.mkdir()
    columns = impression_columns(recipe)
    incoming = Stream(
        IMPRESSIONS,
        day,
        impression_files,
        landed_columns(recipe),
        lambda slices: clean_impressions(slices, recipe, columns, day),
        key="event_id",
        by_event_day=True,
        max_file_bytes=recipe.landing.max_file_bytes,
    )
    outcoming = Stream(
        OUTCOMES,
        day,
        outcome_files,
        OUTCOME_COLUMNS,
        lambda slices: clean_outcomes(slices, recipe, day),
        key="event_id, kind",
        by_event_day=False,
        max_file_bytes=recipe.landing.max_file_bytes,
    )
    with duck.connect(scratch, threads=1) as connection:
        impressions = sift(connection, incoming, folder, scratch)
        if not impressions.counts.kept:
            raise _nothing_usable(connection, folder, day, impressions.counts)
        outcomes = sift(connection, outcoming, folder, scratch)
        write_profile(connection, folder, recipe, day)
    shutil.rmtree(scratch)
    unknown = impressions.columns - {column.source for column in landed_columns(recipe)}
    unknown |= {f"{OUTCOMES}.{name}" for name in outcomes.columns - {column.source for column in OUTCOME_COLUMNS}}
    summary = {
        "impressions": asdict(impressions.counts),
        "outcomes": asdict(outcomes.counts),
        "unreadable": impressions.unreadable | outcomes.unreadable,
        "unknown_columns": sorted(unknown),
    }
    (folder / SUMMARY_FILE).write_text(json.dumps(summary, indent=1), encoding="utf-8")


def _nothing_usable(connection: duck.Connection, folder: Path, day: date, counts: Counts) -> DataRejectedError:
    """The error of a day that is empty or holds no usable row, with the commonest reason and an example."""
    if not counts.received:
        return DataRejectedError(
            f"impressions of {day} are empty: expected rows, received files without any. Check the export job."
        )
    quarantine = duck.parquet(folder / QUARANTINE / "*.parquet")
    row = connection.execute(
        f"SELECT reason, count(*), any_value(file), any_value(raw) FROM {quarantine} "
        "GROUP BY reason ORDER BY count(*) DESC, reason LIMIT 1"
    ).fetchone()
    reason, rows, file, raw = row or ("", 0, "", "")
    return DataRejectedError(
        f"impressions of {day}: expected usable rows, received none of {counts.received}; most often {reason} "
        f"({rows} rows, such as {str(raw)[:200]} in {file}). Mend the export or [landing] in the recipe.",
        reason=reason,
    )
