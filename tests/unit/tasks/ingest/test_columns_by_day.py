"""Rules of a feature's column over the days that landed: what appears, vanishes or changes its kind is found."""

from datetime import timedelta

from ctr_retrain.models.features.column_changes import column_warnings
from ctr_retrain.tasks.ingest.columns_by_day import columns_by_day
from ctr_retrain.tasks.ingest.ingest_day import ingest_day
from ctr_retrain.tasks.landing.landing_zone import LocalLandingZone
from tests.support.landed_day import impression


def test_columns_that_change_from_day_to_day_are_found_in_what_ingest_noted(
    store, landing, land_rows, tiny_recipe, day, now
):
    recipe = tiny_recipe()
    # Of 30 rows each: the device becomes a code, the bid is gone on the second day, the user is there each day.
    for number, (device, bid) in enumerate([("ios", "0.5"), ("android", ""), ("17", "0.7")]):
        landed = day + timedelta(days=number)
        rows = [impression(str(n), ts=f"{landed}T10:00:00Z", device=device, bid=bid) for n in range(30)]
        land_rows("impressions", landed, rows)
        ingest_day(store, LocalLandingZone(landing), recipe, landed, now)
    days = [day + timedelta(days=number) for number in range(-1, 4)]  # the first and the last did not land
    found = columns_by_day(store, days)
    assert [(one.filled, one.sampled, one.numbers) for one in found["device"]] == [
        (30, 30, 0),
        (30, 30, 0),
        (30, 30, 30),
    ]
    assert sorted(warning.message.partition(". ")[0] for warning in column_warnings(found)) == [
        "Column 'bid' comes and goes: no value on 2026-03-03, one on 100 % of the rows of other days",
        "Column 'device' changes its kind: numbers on 2026-03-04, other texts on 2026-03-02 to 2026-03-03",
    ]
