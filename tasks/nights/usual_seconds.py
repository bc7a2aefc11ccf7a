"""The time that days usually take, by what the newest nights noted of their stages."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from ctr_retrain.models.documents.ref_documents import DayRef
from ctr_retrain.tasks.nights.night_marks import load_nights
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.layout import IMPRESSIONS, OUTCOMES
from ctr_retrain.tasks.store.protocol import Store, load_ref

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import date

    from ctr_retrain.models.incidents.night_ref import NightAttempt
    from ctr_retrain.tasks.landing.landing_zone import LandingZone

NIGHTS = 14  # the newest, of which a median says what is usual
DATA_STAGES = ("ingest_day", "validate_day")
# Times what it took to judge a night, replaying it under several policies takes: their champions are scored too. By
# eight nights of a small world.
REPLAYED = 1.6
JUDGING_STAGES = ("evaluate_models", "judge_challenger")


@dataclass(frozen=True)
class UsualSeconds:
    """The usual time of a day, by its parts; None where no night tells."""

    landing: LandingZone
    ingest_per_byte: float | None  # that landed
    validate: float | None  # once, for as many days as there are: all but the library's start is a tenth of a second
    run: float | None  # of all other stages
    judging: float | None = None  # of these, to score the models of a night and to judge the new one

    def of(self, day: date, *, ingests: bool, trains: bool) -> float | None:
        """Return about how many seconds a day takes, but validation; None where a part of it is unknown."""
        ingest = self._ingest(day) if ingests else 0.0
        run = self.run if trains else 0.0
        return None if ingest is None or run is None else round(ingest + run, 1)

    def policies(self, nights: int) -> float | None:
        """Return about how many seconds it takes to replay nights under several policies; None where none tells."""
        return None if self.judging is None else round(nights * self.judging * REPLAYED, 1)

    def _ingest(self, day: date) -> float | None:
        if self.ingest_per_byte is None:
            return None
        return self.ingest_per_byte * landed_bytes(self.landing, day)


def usual_seconds(store: Store, landing: LandingZone) -> UsualSeconds:
    """Measure the newest nights that came to a verdict. Raises StorageError."""
    rates, checks, runs, judging = [], [], [], []
    for night in sorted(load_nights(store, NIGHTS), key=lambda night: night.day):  # as a bucket lists what landed
        ref = load_ref(store, layout.day_ref(night.day), DayRef)
        # An attempt that found its day ingested tells nothing of how long that takes.
        published = {entry.at for entry in ref.content.history} if ref else set()
        size = landed_bytes(landing, night.day)
        for attempt in night.attempts:
            if attempt.end == "done" and attempt.began in published and "ingest_day" in attempt.stages and size:
                rates.append(attempt.stages["ingest_day"] / size)
                checks.append(attempt.stages.get("validate_day", 0.0))
            if attempt.end == "done" and "train_challenger" in attempt.stages:
                runs.append(_seconds_of(attempt, set(attempt.stages) - set(DATA_STAGES)))
                judging.append(_seconds_of(attempt, JUDGING_STAGES))
    return UsualSeconds(landing, *(median(known) if known else None for known in (rates, checks, runs, judging)))


def _seconds_of(attempt: NightAttempt, stages: Collection[str]) -> float:
    """Add up the seconds of some stages of an attempt."""
    return sum(attempt.stages.get(stage, 0.0) for stage in stages)


def landed_bytes(landing: LandingZone, day: date) -> int:
    """Return the bytes that landed on a day, by which its ingest goes."""
    return sum(landing.landed_bytes(stream, day) for stream in (IMPRESSIONS, OUTCOMES))
