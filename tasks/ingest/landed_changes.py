"""Landed files of a day and their changes: while they are read, and since they were, which no file is read to notice.

A stream whose files are all gone is no change: landing zones are cleaned up, and what was ingested stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctr_retrain.models.documents.ref_documents import DayRef
from ctr_retrain.models.errors import DataRejectedError
from ctr_retrain.tasks.landing.landed_bytes import changed_meanwhile, fingerprint, stamps
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.layout import IMPRESSIONS, OUTCOMES
from ctr_retrain.tasks.store.protocol import Store, digest_of, load_ref

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

    from ctr_retrain.models.recipe.recipe import Recipe
    from ctr_retrain.tasks.landing.landing_zone import LandingZone


@dataclass(frozen=True)
class LandedFiles:
    """The landing files of a day."""

    day: date  # the landing day
    impressions: list[Path]
    outcomes: list[Path]  # none where labels are inline
    fingerprint: dict[str, tuple[tuple[str, str], ...]]  # by stream, each file's name and digest: equal ones are alike
    left_out: dict[str, str]  # what else lies there, as STREAM/NAME, and why it is not read
    stamps: list[tuple[int, int, int]]  # sizes and times of the files, from before their digests were taken

    @property
    def files(self) -> list[Path]:
        """Return all files of both streams."""
        return [*self.impressions, *self.outcomes]

    def check_unchanged(self) -> None:
        """Raise BusyError where a file is another by now: rows must be of the bytes whose digest names the day."""
        found = {IMPRESSIONS: tuple(fingerprint(self.impressions)), OUTCOMES: tuple(fingerprint(self.outcomes))}
        if found != self.fingerprint or stamps(self.files) != self.stamps:
            raise changed_meanwhile("landed files", self.day)


def list_landed(landing: LandingZone, day: date, *, inline_label: bool) -> LandedFiles:
    """List what lies in the landing zone; raises DataRejectedError where no impressions do."""
    impressions = landing.files(IMPRESSIONS, day)
    outcomes = [] if inline_label else landing.files(OUTCOMES, day)
    streams = (IMPRESSIONS,) if inline_label else (IMPRESSIONS, OUTCOMES)
    left_out = {f"{stream}/{name}": why for stream in streams for name, why in landing.left_out(stream, day).items()}
    if not impressions:
        received = f"only {', '.join(left_out)}" if left_out else "none"
        msg = (
            f"nothing landed on {day}: expected files under {landing}/impressions/dt={day}, received {received}. "
            "Check the export job, then run again."
        )
        raise DataRejectedError(msg, nothing_landed=True)
    before = stamps([*impressions, *outcomes])
    found = {IMPRESSIONS: tuple(fingerprint(impressions)), OUTCOMES: tuple(fingerprint(outcomes))}
    return LandedFiles(day, impressions, outcomes, found, left_out, before)


def landed_marks(landing: LandingZone, recipe: Recipe, day: date) -> dict[str, str]:
    """Return for each stream that has files of a day a digest of their names, sizes and times.

    Raises StorageError where they can't be seen.
    """
    streams = (IMPRESSIONS,) if recipe.inline_label else (IMPRESSIONS, OUTCOMES)
    found = {stream: landing.stamps(stream, day) for stream in streams}
    return {stream: digest_of(stamps) for stream, stamps in found.items() if stamps}


def landed_anew(store: Store, landing: LandingZone, recipe: Recipe, day: date) -> bool:
    """Return True if other files of an ingested day lie there than were last read.

    So it is of a day that an older version ingested, which noted nothing: its files are read once more. A touched file
    counts too, once: whoever reads it finds the same bytes, and notes its new time.
    """
    ref = load_ref(store, layout.day_ref(day), DayRef)
    marks = landed_marks(landing, recipe, day)
    if ref is None or IMPRESSIONS not in marks:
        return False
    return any(mark != ref.content.marks.get(stream) for stream, mark in marks.items())
