"""Rules of comparing policies at a backfill's end: whatever fails there, the days that were made stay made."""

from datetime import date, timedelta
from types import SimpleNamespace

import pytest

from ctr_retrain.flows import backfill as flow
from ctr_retrain.models.documents.command_documents import PlannedDay
from ctr_retrain.models.errors import ProcessDiedError, StorageError
from ctr_retrain.tasks.backfill.plan_backfill import LookedDays
from ctr_retrain.tasks.nights.usual_seconds import REPLAYED, UsualSeconds

SETTINGS = SimpleNamespace(store=None, compute=None, fan_out=None, asked_once=lambda: (None, None))


@pytest.mark.parametrize("error", [StorageError("the disk is full."), ProcessDiedError("it died."), KeyError("torn")])
def test_a_comparison_that_fails_is_a_sentence_and_no_failure(monkeypatch, tiny_recipe, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(flow, "replay_policies", fail)
    table = flow._policies(SETTINGS, tiny_recipe(), (), "each")
    assert table.policies == ()
    assert table.message.startswith(f"No policies are compared: {error}")
    assert "the same command compares again" in table.message


def test_past_nights_are_read_by_a_store_that_asks_its_bucket_once_and_written_by_the_one_that_is_held(
    monkeypatch, tiny_recipe
):
    held = SimpleNamespace(store="held", compute=None, fan_out=None, asked_once=lambda: ("asked once", "landed"))
    monkeypatch.setattr(flow, "replay_policies", lambda store, seen, *_: (store, seen))
    assert flow._policies(held, tiny_recipe(), (), "each") == ("held", "asked once")


@pytest.mark.parametrize("retrain", ["last", "none"])
def test_policies_need_a_model_of_each_day(monkeypatch, tiny_recipe, retrain):
    monkeypatch.setattr(flow, "replay_policies", None)
    assert "--retrain each" in flow._policies(SETTINGS, tiny_recipe(), (), retrain).message


@pytest.fixture
def planned(monkeypatch, tiny_recipe):
    """Plan three days, of which the last is due and takes 30 s; judging: the seconds that a night's takes."""
    days = [date(2026, 3, 2) + timedelta(days=number) for number in range(3)]

    def plan(judging, **asked):
        reasons = ("finished", "finished", "missing")
        looked = tuple(
            PlannedDay(date=day, reason=why, trains=True, about_seconds=30.0 if why == "missing" else 0.0)
            for day, why in zip(days, reasons, strict=True)
        )
        usual = UsualSeconds(None, 1.0, 2.0, 30.0, judging)
        monkeypatch.setattr(flow, "_look", lambda *_, **__: LookedDays(looked, {}, usual, {}))
        settings = SimpleNamespace(asked_once=lambda: (None, None))
        return flow.make_plan(settings, tiny_recipe(), days, **{"retrain": "each", "shadow": True, **asked})

    return plan


def test_a_plan_counts_the_table_of_all_nights_finished_ones_too(planned):
    made = planned(4.0)
    assert made.policies_seconds == pytest.approx(12 * REPLAYED)
    assert made.about_seconds == pytest.approx(30 + 2 + 12 * REPLAYED)


@pytest.mark.parametrize("asked", [{"shadow": False}, {"retrain": "last"}])
def test_a_plan_without_a_table_counts_none(planned, asked):
    made = planned(4.0, **asked)
    assert (made.policies_seconds, made.about_seconds) == (None, 32)


def test_where_no_night_tells_of_the_table_the_whole_is_unknown(planned):
    made = planned(None)
    assert (made.policies_seconds, made.about_seconds) == (None, None)
