"""Rules of a validation whose day another run replaces meanwhile: it speaks of one version, and says so."""

import pytest

from ctr_retrain.models.errors import BusyError
from ctr_retrain.tasks.ingest.ingest_day import current_day_object
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.validate import validate_day as validate_module
from ctr_retrain.tasks.validate.validate_day import validate_day
from tests.support.landed_day import ingest
from tests.support.landed_twice import DAY, NOW, land


def test_validation_that_was_outrun_leaves_the_decision_about_the_newer_data(
    store, landing, tiny_recipe, monkeypatch, great_expectations
):
    evaluate = validate_module._evaluate

    def replace_then_evaluate(*arguments):
        monkeypatch.setattr(validate_module, "_evaluate", evaluate)
        land(landing, 1)
        ingest(store, landing, tiny_recipe(), DAY, NOW)
        validate_day(store, tiny_recipe(), DAY, NOW)
        return evaluate(*arguments)

    land(landing, 0)
    ingest(store, landing, tiny_recipe(), DAY, NOW)
    monkeypatch.setattr(validate_module, "_evaluate", replace_then_evaluate)
    with pytest.raises(BusyError, match="another run was faster"):
        validate_day(store, tiny_recipe(), DAY, NOW)
    assert store.read_ref(layout.accepted_ref(DAY)).value["day_object"] == current_day_object(store, DAY)


def test_validation_of_data_that_was_replaced_meanwhile_says_so(
    store, landing, tiny_recipe, monkeypatch, great_expectations
):
    evaluate = validate_module._evaluate

    def replace_then_evaluate(*arguments):
        land(landing, 1)
        ingest(store, landing, tiny_recipe(), DAY, NOW)
        return evaluate(*arguments)

    land(landing, 0)
    ingest(store, landing, tiny_recipe(), DAY, NOW)
    monkeypatch.setattr(validate_module, "_evaluate", replace_then_evaluate)
    with pytest.raises(BusyError, match="expected its data unchanged"):
        validate_day(store, tiny_recipe(), DAY, NOW)
