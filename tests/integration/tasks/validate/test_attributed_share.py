"""Rules of outcomes that find no impression: where their share rises against the days before, the day is rejected."""

from datetime import timedelta

import pytest

from ctr_retrain.models.documents.day_documents import ValidationAnswer
from ctr_retrain.tasks.ingest.ingest_day import ingest_day
from ctr_retrain.tasks.landing.landing_zone import LocalLandingZone
from ctr_retrain.tasks.orchestration.fan_out import FanOut
from ctr_retrain.tasks.validate.ingest_and_validate import catch_up, ingest_and_validate_days
from ctr_retrain.tasks.validate.validate_day import load_validated_day, rejection_error, validate_day
from tests.support.good_day import failed
from tests.support.landed_day import impression

pytestmark = pytest.mark.usefixtures("great_expectations")
ROWS, CLICKS = 120, 110


@pytest.fixture
def land(land_rows):
    """Land a day of clicks, some under other ids and kinds."""

    def run(day, *, lost=0, unnamed=0):
        ts = f"{day}T10:00:00Z"
        land_rows("impressions", day, [impression(f"{n:05}", ts=ts) for n in range(1, ROWS + 1)])
        clicks = [{"event_id": f"{n:05}", "ts": ts, "kind": "click"} for n in range(1, CLICKS + 1)]
        for click in clicks[:lost]:
            click["event_id"] = click["event_id"].lstrip("0")  # as a spreadsheet writes it
        for click in clicks[CLICKS - unnamed :]:
            click["kind"] = "Click"
        land_rows("outcomes", day, clicks)

    return run


@pytest.fixture
def judged(store, landing, land, now):
    """Land, ingest and validate a day."""

    def run(recipe, day, **spoilt):
        land(day, **spoilt)
        ingest_day(store, LocalLandingZone(landing), recipe, day, now)
        return validate_day(store, recipe, day, now)

    return run


def history(judged, recipe, day, days, **spoilt):
    for number in range(days):
        assert judged(recipe, day + timedelta(days=number), **spoilt).accepted
    return day + timedelta(days=days)


def test_a_share_that_falls_below_three_quarters_of_the_usual_rejects_the_day_and_says_why(
    judged, tiny_recipe, day, landing
):
    recipe = tiny_recipe(channels={"push": None})
    next_day = history(judged, recipe, day, 7, lost=11)  # 90 % find an impression: 67.5 % is enough
    assert judged(recipe, next_day, lost=20, unnamed=15).accepted  # 68 %
    found = judged(recipe, next_day + timedelta(days=1), lost=20, unnamed=16)
    assert failed(found) == {"attributed_share": "67.3 %"}
    answer = ValidationAnswer(date=found.day, **dict(found.validation))
    message = str(rejection_error(found, LocalLandingZone(landing), answer))
    assert "attributed_share: expected at least 67.5 %, received 67.3 %" in message
    assert "20 of 110 without an impression that landed on the same day" in message
    assert "16 of kinds that no channel names ('Click' 16)" in message


def test_without_a_weeks_history_or_a_bound_of_the_recipes_own_no_share_rejects_a_day(judged, tiny_recipe, day):
    recipe = tiny_recipe(channels={"push": None})
    next_day = history(judged, recipe, day, 6)
    assert judged(recipe, next_day, lost=CLICKS).accepted
    own = tiny_recipe(channels={"push": None}, validation={"min_attributed_share": 0.5})
    assert failed(judged(own, next_day + timedelta(days=1), lost=56)) == {"attributed_share": "49.1 %"}
    assert judged(own, next_day + timedelta(days=2), lost=55).accepted


def by_itself(store, zone, recipe, restated, day, now):
    for one in restated:
        ingest_day(store, zone, recipe, one, now)
    validate_day(store, recipe, day, now)


def by_the_next_night(store, zone, recipe, restated, day, now):
    assert not catch_up(store, zone, recipe, day + timedelta(days=1), now, FanOut("threads", 2)).get(str(day))


def by_a_backfill_of_the_days_before(store, zone, recipe, restated, day, now):
    found = ingest_and_validate_days(store, zone, recipe, restated, now, FanOut("threads", 2), beside=[day])
    assert found.pop(day).outcome == "rejected"
    assert {result.outcome for result in found.values()} == {"ingested"}


@pytest.mark.parametrize("looked_at", [by_itself, by_the_next_night, by_a_backfill_of_the_days_before])
def test_a_day_is_judged_anew_once_the_shares_of_the_days_before_it_are_others(
    looked_at, judged, land, store, landing, tiny_recipe, day, now
):
    recipe, zone = tiny_recipe(channels={"push": None}), LocalLandingZone(landing)
    next_day = history(judged, recipe, day, 7, lost=11)
    assert judged(recipe, next_day, lost=30).accepted  # 72.7 %, of which 67.5 % is enough
    restated = [day + timedelta(days=number) for number in range(4)]
    for one in restated:
        land(one)  # the usual share is 100 % by now
    looked_at(store, zone, recipe, restated, next_day, now)
    found = load_validated_day(store, next_day)
    assert (found.accepted, failed(found)) == (False, {"attributed_share": "72.7 %"})
    assert validate_day(store, recipe, next_day, now) == found
