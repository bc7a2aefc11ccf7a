"""Rules of a night under watch: beginning and end are noted, what ends it is told, and what is over is over."""

import os
import shutil
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from ctr_retrain.models.documents.document import parse_document
from ctr_retrain.models.documents.run_documents import ChampionRefresh, DailyAnswer, RunDocument
from ctr_retrain.models.documents.verdict_documents import Check
from ctr_retrain.models.errors import BusyError, DataRejectedError, ProcessDiedError, StorageError, UsageError
from ctr_retrain.models.incidents.alerts_section import Alerts
from ctr_retrain.tasks.alerts.delivery import Delivery
from ctr_retrain.tasks.alerts.incident_refs import load_incidents
from ctr_retrain.tasks.landing.landing_zone import LocalLandingZone
from ctr_retrain.tasks.nights.night_marks import begin_night, load_nights, was_killed
from ctr_retrain.tasks.nights.standing_signals import newest_day
from ctr_retrain.tasks.nights.watched_night import Night, watched_night
from ctr_retrain.tasks.store import layout

BEFORE = Path(__file__).parents[2] / "models" / "documents" / "before" / "run.json"


def run_with(decision="hold", *checks):
    """A run document of an older version, with another verdict."""
    run = parse_document(RunDocument, BEFORE.read_bytes(), "run.json")
    verdict = run.verdict.model_copy(update={"decision": decision, "checks": checks})
    return run.model_copy(update={"verdict": verdict})


@pytest.fixture
def night_of(store, tmp_path, now):
    """Make a night; `rules` are those of the recipe's [alerts]."""

    def of(day, now=now, **rules):
        delivery = Delivery("tiny", Alerts(**rules), (), tmp_path / "spool", "docs/runbook.md")
        landing = LocalLandingZone(tmp_path / "landing")
        return Night(store, landing, delivery, tmp_path, SecretStr(""), day, now)

    return of


def spend(night, error=None, run=None):
    """Let a night pass."""
    with watched_night(night):
        if error:
            raise error
        night.run = run or run_with()


def fail(night, error):
    """Let a night pass that ends in an error."""
    with pytest.raises(type(error)):
        spend(night, error)


def open_kinds(store):
    return [incident.kind for incident in load_incidents(store).open]


def caused(error, cause):
    try:
        raise error from cause
    except type(error) as raised:
        return raised


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (DataRejectedError("nothing landed on 2026-03-02", nothing_landed=True), "no_data"),
        (DataRejectedError("rejected by validation"), "day_rejected"),
        (StorageError("disk full"), "storage_failed"),
        (caused(StorageError("no answer"), TimeoutError("x")), "storage_failed"),
        (ProcessDiedError("killed"), "training_failed"),
        (UsageError("recipe: expected"), "run_failed"),
        (ZeroDivisionError("a mistake of ours"), "run_failed"),
    ],
)
def test_what_ends_a_night_is_an_incident_until_a_night_ends_well(store, night_of, day, error, kind):
    fail(night_of(day), error)
    (incident,) = load_incidents(store).open
    assert (incident.kind, incident.since) == (kind, day)
    assert str(error) in " ".join(incident.details)
    assert incident.commands
    spend(night_of(day + timedelta(days=1)))
    assert open_kinds(store) == []
    assert load_incidents(store).incidents[0].resolved == day + timedelta(days=1)


def test_an_error_of_a_service_is_told_from_one_of_the_disk(store, night_of, day):
    from botocore.exceptions import EndpointConnectionError  # noqa: PLC0415 - boto3 takes long to import

    fail(night_of(day), caused(StorageError("no answer"), EndpointConnectionError(endpoint_url="http://s3")))
    assert open_kinds(store) == ["service_failed"]


@pytest.mark.parametrize(
    "error",
    [
        BusyError("somebody else is at it"),
        KeyboardInterrupt(),
        caused(RuntimeError("connection is busy"), KeyboardInterrupt()),
    ],
)
def test_who_is_busy_or_was_stopped_by_hand_tells_nobody(store, night_of, day, error):
    fail(night_of(day), error)
    assert open_kinds(store) == []


def test_a_day_of_the_past_that_is_made_up_for_by_hand_tells_nobody_and_ends_nothing(store, night_of, day):
    fail(night_of(day), StorageError("disk full"))
    fail(night_of(day - timedelta(days=3)), DataRejectedError("rejected"))
    spend(night_of(day - timedelta(days=2)))
    assert open_kinds(store) == ["storage_failed"]


def test_each_attempt_is_noted_with_its_end_and_its_verdict(store, night_of, day):
    fail(night_of(day), DataRejectedError("rejected by validation\nin two lines"))
    spend(night_of(day), run=run_with("promote"))
    (night,) = load_nights(store, 5)
    assert [(one.end, one.decision, one.error) for one in night.attempts] == [
        ("rejected", None, "DataRejectedError: rejected by validation"),
        ("done", "promote", ""),
    ]
    assert all(one.ended for one in night.attempts)


def test_a_night_on_which_the_champion_was_refreshed_beside_a_trial_is_none_without_a_promotion(store, night_of, day):
    refresh = ChampionRefresh(run_id="2026-03-01-abc", decision="promote", message="Refreshed.")
    answer = DailyAnswer(**dict(run_with("hold")), not_deployed=None, recorded=False, champion_refresh=refresh)
    spend(night_of(day), run=answer)
    (night,) = load_nights(store, 5)
    assert night.attempts[-1].decision == "promote"


def test_a_root_that_can_not_be_written_stops_no_night_and_its_alert_waits_on_this_machine(
    store, night_of, day, tmp_path, monkeypatch
):
    monkeypatch.setattr(store, "swap_ref", lambda *_: (_ for _ in ()).throw(StorageError("read-only")))
    fail(night_of(day), StorageError("read-only"))
    monkeypatch.undo()
    assert list((tmp_path / "spool").rglob("*.json"))
    spend(night_of(day + timedelta(days=1)))
    found = [(one.kind, one.resolved) for one in load_incidents(store).incidents]
    assert found == [("storage_failed", day + timedelta(days=1))]


def test_a_run_that_was_killed_is_told_by_the_next_one_and_over_when_that_ends(store, night_of, day, now):
    killed = begin_night(store, day, now)
    name = layout.night_ref(day)
    ref = store.read_ref(name)
    ref.value["attempts"][0]["started"] = "0"  # no process of this number began then
    store.swap_ref(name, ref.value, ref)
    assert not was_killed(killed, now)  # it is this process, which lives
    told = []
    night = night_of(day + timedelta(days=1))
    with watched_night(night):
        told += open_kinds(store)
        night.run = run_with()
    assert told == ["run_killed"]
    assert open_kinds(store) == []


@pytest.mark.parametrize(("hours", "killed"), [(1, False), (25, True)])
def test_an_attempt_on_another_machine_counts_as_killed_after_a_day(store, day, now, hours, killed):
    elsewhere = begin_night(store, day, now).model_copy(update={"host": "elsewhere"})
    assert was_killed(elsewhere, now + timedelta(hours=hours)) is killed


def test_training_that_made_no_model_and_an_artifact_that_fails_are_told(store, night_of, day):
    checks = [
        Check(name=name, value=None, bound=None, passed=False, message=f"{name}: expected a number, received none")
        for name in ("training", "serving")
    ]
    spend(night_of(day), run=run_with("reject", *checks))
    assert set(open_kinds(store)) == {"training_failed", "serving_check_failed"}


def test_many_nights_without_a_promotion_are_one_incident_that_ends_with_one(store, night_of, day):
    for number in range(4):
        spend(night_of(day + timedelta(days=number), held_nights=3))
    (incident,) = load_incidents(store).open
    assert (incident.kind, incident.since, incident.received) == ("held_for_nights", day, 4)
    fail(night_of(day + timedelta(days=4), held_nights=3), DataRejectedError("no night that was held"))
    spend(night_of(day + timedelta(days=5), held_nights=3), run=run_with("promote"))
    assert open_kinds(store) == []


def test_a_disk_that_the_next_nights_will_fill_is_told(store, night_of, day, monkeypatch):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage._replace(free=2**29))
    spend(night_of(day))
    (incident,) = load_incidents(store).open
    assert incident.kind == "disk_low"
    assert "has 0.5 GiB left" in incident.summary


def test_what_is_counted_by_the_calendar_is_looked_at_by_the_run_of_the_newest_day_alone(
    store, night_of, land_rows, day
):
    today = datetime.now(UTC)
    path = land_rows("impressions", newest_day(today), [{"event_id": "a"}], "a.jsonl")
    noon = datetime.combine(newest_day(today) + timedelta(days=1), time(12), UTC).timestamp()
    os.utime(path, (noon, noon))
    spend(night_of(day, today, data_due_hours=6))
    assert open_kinds(store) == []
    spend(night_of(newest_day(today), today, data_due_hours=6))
    (incident,) = load_incidents(store).open
    assert (incident.kind, incident.level, incident.received) == ("data_late", "notice", 6)
