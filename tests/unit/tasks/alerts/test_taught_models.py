"""Rules of models that a fault has taught: whose window holds its days, and which of them serves."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from ctr_retrain.models.documents.ref_documents import ChampionRef, RunsRef, Tenure
from ctr_retrain.models.documents.run_documents import RunDocument, UsedDays
from ctr_retrain.tasks.alerts.handle_incident import list_incidents
from ctr_retrain.tasks.alerts.taught_models import TaughtModels, taught_sentence
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.protocol import replace_ref
from tests.support.deliveries import delivery_to, report
from tests.support.nights import night, signal

RUN = RunDocument.read(Path(__file__).parents[2] / "models" / "documents" / "before" / "run.json")
FIRST = date(2026, 3, 1)


def days(first, last):
    """Days of March, the last included."""
    return tuple(FIRST + timedelta(days=number - 1) for number in range(first, last + 1))


def record(store, run_day, train, **more):
    """A run of a day of March that trained on such days."""
    run_id = f"2026-03-{run_day:02d}-0123abcd"
    update = {"run_id": run_id, "days": UsedDays(train=train), "fresh": None, **more}
    with store.writing(layout.run_object(run_id), {"day": run_day}) as folder:
        RUN.model_copy(update=update).write(folder / layout.RUN_FILE)
    replace_ref(store, layout.run_ref(date(2026, 3, run_day)), RunsRef(current=run_id, history=(run_id,)), None)
    return run_id


@pytest.fixture
def models(store):
    """Three runs whose windows end one day apart, the second of which serves, and one that trained nothing."""
    versions = [record(store, 12 + number, days(1 + number, 8 + number)) for number in range(3)]
    record(store, 15, (), training=None)
    serves = Tenure(
        version=versions[1], run_day="2026-03-13", data_through="2026-03-09", action="promote", reason="r", at="t"
    )
    replace_ref(store, layout.CHAMPION_REF, ChampionRef(current=serves.version, history=(serves,), barred=()), None)
    return versions


def test_the_one_in_service_comes_first_with_its_days_of_the_fault(store, models):
    found = TaughtModels(store).by_days(days(9, 20))
    assert [(one.version, one.champion, one.days, one.window_days) for one in found] == [
        (models[1], True, days(9, 9), 8),
        (models[2], False, days(9, 10), 8),
    ]
    said = taught_sentence(found)
    assert said == (
        f"The model in service, {models[1]}, has learnt from 1 of these days. "
        f"1 model that doesn't serve has, the newest {models[2]}."
    )


def test_days_that_nobody_has_trained_on_are_said_to_be_so(store, models):
    assert models
    assert taught_sentence(TaughtModels(store).by_days(days(11, 20))) == (
        "No model has learnt from any of these days yet."
    )
    only_newest = TaughtModels(store).by_days(days(10, 20))
    assert taught_sentence(only_newest).startswith("The model in service has learnt from none of these days. 1 model")


def test_incidents_are_listed_with_the_models_that_their_days_have_taught(store, models, tmp_path):
    day = signal(since=days(9, 9)[0])
    report(store, delivery_to(tmp_path), day, signal(kind="disk_low", subject="", since=days(1, 1)[0]))
    answer = list_incidents(store, night(0))
    (ratio,) = [one for one in answer.open if one.kind == day.kind]
    assert {key: [one.version for one in found] for key, found in answer.taught.items()} == {ratio.id: models[1:]}


def test_a_root_without_runs_has_taught_nobody(store, tmp_path):
    report(store, delivery_to(tmp_path), signal())
    assert list_incidents(store, night(0)).taught == {}
