"""Rules of comparing policies at a backfill's end: whatever fails there, the days that were made stay made."""

from types import SimpleNamespace

import pytest

from ctr_retrain.flows import backfill as flow
from ctr_retrain.models.errors import ProcessDiedError, StorageError

SETTINGS = SimpleNamespace(store=None, compute=None, fan_out=None)


@pytest.mark.parametrize("error", [StorageError("the disk is full."), ProcessDiedError("it died."), KeyError("torn")])
def test_a_comparison_that_fails_is_a_sentence_and_no_failure(monkeypatch, tiny_recipe, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(flow, "replay_policies", fail)
    table = flow._policies(SETTINGS, tiny_recipe(), (), "each")
    assert table.policies == ()
    assert table.message.startswith(f"No policies are compared: {error}")
    assert "the same command compares again" in table.message


@pytest.mark.parametrize("retrain", ["last", "none"])
def test_policies_need_a_model_of_each_day(monkeypatch, tiny_recipe, retrain):
    monkeypatch.setattr(flow, "replay_policies", None)
    assert "--retrain each" in flow._policies(SETTINGS, tiny_recipe(), (), retrain).message
