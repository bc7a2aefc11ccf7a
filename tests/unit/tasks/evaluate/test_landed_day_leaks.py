"""A landed day is looked at for leaks however few rows it has and however it is cut."""

import pytest

from ctr_retrain.tasks.evaluate.find_leaks import landed_day_leaks
from ctr_retrain.tasks.ingest.ingest_day import ingest_day
from ctr_retrain.tasks.landing.landing_zone import LocalLandingZone


def impression(day, number, **more):
    row = {"event_id": f"e{number}", "ts": f"{day}T{number % 24:02}:10:00", "user_id": f"u{number}", "channel": "ad"}
    return {**row, "campaign_id": "c", "device": "ios", "bid": str(number % 7), **more}


def click(day, number):
    return {"event_id": f"e{number}", "ts": f"{day}T{number % 24:02}:20:00", "kind": "click"}


@pytest.fixture
def look(store, landing, day, now):
    def look_at(recipe):
        return landed_day_leaks(store, recipe, ingest_day(store, LocalLandingZone(landing), recipe, day, now))

    return look_at


@pytest.mark.parametrize("buckets", [1, 4])
def test_a_day_of_one_impression_says_nothing_in_whichever_shard_it_lies(look, land_rows, tiny_recipe, day, buckets):
    land_rows("impressions", day, [impression(day, 3)])
    assert look(tiny_recipe(landing={"buckets": buckets})) == {}


def test_a_bid_that_only_the_clicked_have_is_named_on_the_very_day(look, land_rows, tiny_recipe, day):
    clicked = range(0, 2_000, 11)
    rows = [impression(day, number, **({} if number in clicked else {"bid": None})) for number in range(2_000)]
    land_rows("impressions", day, rows)
    land_rows("outcomes", day, [click(day, number) for number in clicked])
    warnings = look(tiny_recipe())
    assert list(warnings) == ["bid"]
    assert "filled on 100 % of the positives and 0 % of the negatives" in warnings["bid"]
