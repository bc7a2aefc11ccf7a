"""Changes of a landed day since it was ingested, noticed without reading a file: one was added, replaced or restated.

A stream whose files are all gone is no change: landing zones are cleaned up, and what was ingested stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctr_retrain.models.documents.ref_documents import DayRef
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.layout import IMPRESSIONS, OUTCOMES
from ctr_retrain.tasks.store.protocol import Store, digest_of, load_ref

if TYPE_CHECKING:
    from datetime import date

    from ctr_retrain.models.recipe.recipe import Recipe
    from ctr_retrain.tasks.landing.landing_zone import LandingZone


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
