"""Rules of the time that a day usually takes: by the bytes that landed, and by nights that really did the work."""

from datetime import timedelta

import pytest

from ctr_retrain.models.documents.ref_documents import DayRef, PublishedDay
from ctr_retrain.models.incidents.night_ref import NightAttempt, NightRef
from ctr_retrain.tasks.landing.landing_zone import LocalLandingZone
from ctr_retrain.tasks.nights.usual_seconds import REPLAYED, usual_seconds
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.protocol import replace_ref

STAGES = {"ingest_day": 8.0, "validate_day": 2.0, "train_challenger": 30.0, "write_report": 1.0}


@pytest.fixture
def land(landing):
    def write(day, size):
        folder = landing / "impressions" / f"dt={day}"
        folder.mkdir(parents=True)
        (folder / "rows.csv").write_bytes(b"x" * size)

    return write


@pytest.fixture
def note(store):
    """Note a night, and when its day was published."""

    def write(day, began, published, **changes):
        attempt = {"host": "h", "process": 1, "started": "1", "began": began, "ended": "later", "end": "done"}
        night = NightRef(day=day, attempts=(NightAttempt(**{**attempt, "stages": STAGES, **changes}),))
        replace_ref(store, layout.night_ref(day), night, None)
        entry = PublishedDay(current="d", at=published)
        replace_ref(store, layout.day_ref(day), DayRef(current="d", history=(entry,)), None)

    return write


def test_ingest_takes_its_time_by_the_byte_and_a_run_what_the_other_stages_took(store, landing, land, note, day):
    land(day, 1000)
    land(day + timedelta(days=1), 2000)
    note(day, "at four", "at four")
    usual = usual_seconds(store, LocalLandingZone(landing))
    later = day + timedelta(days=1)
    assert usual.of(later, ingests=True, trains=False) == 16  # 8 / 1000 bytes, for 2000
    assert usual.validate == 2  # for one day and for many
    assert usual.of(later, ingests=False, trains=True) == 31
    assert usual.of(later, ingests=True, trains=True) == 47


def test_a_night_is_replayed_under_several_policies_in_the_time_that_judging_it_took(store, landing, land, note, day):
    assert usual_seconds(store, LocalLandingZone(landing)).policies(10) is None
    land(day, 1000)
    note(day, "at four", "at four", stages={**STAGES, "evaluate_models": 3.0, "judge_challenger": 1.0})
    assert usual_seconds(store, LocalLandingZone(landing)).policies(10) == pytest.approx(40 * REPLAYED)


def test_a_night_that_found_its_day_ingested_tells_nothing_of_how_long_that_takes(store, landing, land, note, day):
    land(day, 1000)
    note(day, "at four", "the day before")
    usual = usual_seconds(store, LocalLandingZone(landing))
    assert (usual.of(day, ingests=True, trains=False), usual.of(day, ingests=False, trains=True)) == (None, 31)


@pytest.mark.parametrize("changes", [{"end": "failed"}, {"stages": {}}])
def test_nights_that_failed_or_noted_no_stages_tell_nothing_of_a_run(store, landing, land, note, day, changes):
    land(day, 1000)
    note(day, "at four", "the day before", **changes)
    usual = usual_seconds(store, LocalLandingZone(landing))
    assert usual.of(day, ingests=True, trains=True) is None
    assert usual.of(day, ingests=False, trains=False) == 0
