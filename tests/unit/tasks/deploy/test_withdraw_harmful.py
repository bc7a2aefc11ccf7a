"""Rules of a champion that a run takes out of service: only where the recipe says so, and never against a person."""

from datetime import UTC, date, datetime
from types import SimpleNamespace

import pytest

from ctr_retrain.models.documents.comparison_documents import IntervalPart
from ctr_retrain.models.documents.ref_documents import Tenure
from ctr_retrain.models.errors import StorageError
from ctr_retrain.tasks.deploy import withdraw_harmful as withdrawing
from ctr_retrain.tasks.store.champion import read_champions, take_over
from tests.unit.models.ledger.test_evidence_words import EVIDENCE

NOW = datetime(2026, 3, 12, tzinfo=UTC)
HARMLESS = EVIDENCE.model_copy(update={"champion_over": {"predecessor": IntervalPart(value=0.9, low=0.1, high=1.7)}})


@pytest.fixture
def withdraw(store, tiny_recipe, monkeypatch):
    """Roll back by a run that met `second` and found that; `first` served before it. By hand: by a person."""
    monkeypatch.setattr(withdrawing, "require_servable", lambda *_: None)

    def act(evidence=EVIDENCE, *, auto=True, action="promote", champion="second", met=None):
        for version, how in (("first", "promote"), (champion, action)):
            day = {"first": "2026-03-09"}.get(version, "2026-03-10")
            tenure = Tenure(version=version, run_day=day, data_through=day, action=how, reason="", at="")
            take_over(store, tenure, read_champions(store).current and "first")
        run = SimpleNamespace(evidence=evidence, champion=met or champion, date=date(2026, 3, 11))
        recipe = tiny_recipe(gate={"auto_rollback": auto})
        return withdrawing.withdraw_harmful(store, recipe, run, NOW), read_champions(store)

    return act


def test_a_harmful_champion_goes_and_the_one_before_it_serves_again(withdraw):
    told, champions = withdraw()
    assert told.message.startswith("second was rolled back to first: it costs 0.90 more per 1,000 impressions than")
    assert (told.serves.version, told.serves.age_days) == ("first", 2)
    assert told.serves.message.startswith("The model first serves again.")
    assert champions.current.version == "first"
    assert champions.barred == ("second",)
    assert "gate.auto_rollback, by the run for 2026-03-11" in champions.current.reason


@pytest.mark.parametrize(
    "how", [{"auto": False}, {"evidence": HARMLESS}, {"evidence": None}, {"action": "override"}, {"met": "another"}]
)
def test_without_leave_without_harm_against_a_person_or_too_late_nothing_is_done(withdraw, how):
    told, champions = withdraw(**how)
    assert told is None
    assert champions.current.version == "second"


def test_where_the_one_before_it_can_not_serve_a_person_is_told_and_the_champion_stays(withdraw, monkeypatch):
    def refuse(*_):
        raise StorageError("first is damaged")

    monkeypatch.setattr(withdrawing, "require_servable", refuse)
    told, champions = withdraw()
    assert "could not be rolled back. first is damaged" in told.message
    assert told.serves is None
    assert champions.current.version == "second"
