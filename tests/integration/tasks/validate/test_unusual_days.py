"""Rules of what a landed day's alerts say of its rows: hours that are missing are named, and rows that are unusual."""

from datetime import timedelta

import pytest

from ctr_retrain.models.data.completeness import Completeness
from ctr_retrain.models.data.user_sample import DAYS_BEFORE
from ctr_retrain.models.documents.ref_documents import AcceptedRef
from ctr_retrain.tasks.ingest.ingest_day import ingest_day
from ctr_retrain.tasks.landing.landing_zone import LocalLandingZone
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.protocol import load_ref, replace_ref
from ctr_retrain.tasks.validate.detect_drift import detect_drift
from tests.support.landed_day import impression

USUAL_DAYS, IN_AN_HOUR = 7, 12


@pytest.fixture
def land(store, landing, land_rows, tiny_recipe, now):
    """Land and accept a day, whose rows are spoiled first, and say what they show beside the days before."""
    recipe = tiny_recipe(channels={"push": None})

    def run(day, spoil=lambda rows: rows, *, look=True):
        rows = [
            impression(f"{day}-{hour}-{number}", ts=f"{day}T{hour:02}:10:00Z", user_id=f"u{hour}-{number}")
            for hour in range(24)
            for number in range(IN_AN_HOUR)
        ]
        land_rows("impressions", day, spoil(rows))
        clicks = [{"event_id": row["event_id"], "ts": row["ts"], "kind": "click"} for row in rows[::9]]
        land_rows("outcomes", day, clicks)
        path = ingest_day(store, LocalLandingZone(landing), recipe, day, now).path
        name = layout.accepted_ref(day)
        accepted = AcceptedRef(accepted=True, by="eva", reason="r", day_object=path, validation="validations/v")
        replace_ref(store, name, accepted, load_ref(store, name, AcceptedRef))
        signals = detect_drift(store, recipe, day, Completeness()).signals if look else ()
        return {(one.kind, one.subject): one for one in signals}

    return run


def test_hours_that_are_missing_are_named_and_rows_that_are_unusual_told(land, day):
    for number in range(USUAL_DAYS + 1):
        assert land(day + timedelta(days=number)) == {}
    last = day + timedelta(days=USUAL_DAYS)

    # Outcomes of the missing hours find no impression, which is no second cause.
    signals = land(last, lambda rows: [row for row in rows if not "T01" <= row["ts"][10:13] < "T23"])
    assert list(signals) == [("files_missing", "ad")]
    (missing,) = signals.values()
    assert any(text.startswith("22 hours are missing, 01:00 to 23:00 UTC") for text in missing.details)
    assert "No model has learnt from any of these days yet." in missing.details

    signals = land(last, lambda rows: [row | {"device": None} for row in rows] + rows[:30])
    unusual = {subject for kind, subject in signals if kind == "rows_unusual"}
    assert {"duplicates of impressions", "nulls of device"} <= unusual
    assert signals["rows_unusual", "nulls of device"].summary.startswith("Nulls of device: 100")


def test_users_whose_ids_are_written_in_another_way_are_told_and_no_second_cause(land, day):
    last = day + timedelta(days=DAYS_BEFORE + 7)  # of the seven the share is known
    for number in range((last - day).days):
        land(day + timedelta(days=number), look=False)
    assert land(last) == {}
    signals = land(last, lambda rows: [row | {"user_id": row["user_id"].upper()} for row in rows])
    assert list(signals) == [("rows_unusual", "new users")]
    assert signals["rows_unusual", "new users"].summary.startswith("New users: 100 % instead of 0.3")
