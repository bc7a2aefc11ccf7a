"""Rules of which nights can be replayed, and by which models: all else is left out with its reason."""

from datetime import timedelta
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctr_retrain.models.documents.command_documents import BackfillDay
from ctr_retrain.models.errors import DataRejectedError, StorageError
from ctr_retrain.tasks.backfill import past_nights
from ctr_retrain.tasks.backfill.score_versions import score_versions
from ctr_retrain.tasks.evaluate.score_models import judged_model
from ctr_retrain.tasks.integrity.manifest import PublishedModel
from ctr_retrain.tasks.label.label_day import LabelledDay
from ctr_retrain.tasks.plan.run import Run
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.layout import CHALLENGER, EVALUATED, SCORES_FILE, SERVING
from tests.support.scripted_policies import FIRST, RECIPE, past_night, run_of

RUN = BackfillDay(date=FIRST, outcome="promote", run_id=run_of(0))


@pytest.fixture
def looked_up(monkeypatch):
    """Let the labels of each day be `labels/DAY/k` by now; all that are looked up."""
    found = []

    def look_up(_store, _recipe, days, *_):
        found.extend(days)
        return {one: LabelledDay(one, f"labels/{one}/k", 9, 1, (), 1) for one in days}

    monkeypatch.setattr(past_nights, "label_path", lambda _store, _recipe, day, *_: f"labels/{day}/k")
    monkeypatch.setattr(past_nights, "label_days", look_up)
    return found


def recorded_document(number, **changes):
    """The document of a night's run, with such keys."""
    planned = past_night(number).plan.days
    document = {
        "run_id": run_of(number),
        "day": FIRST + timedelta(days=number),
        "training_digest": RECIPE.training_digest,
        "recipe_digest": "d",
        "code": "c",
        "excluded": {},
        "labels": tuple(f"labels/{one}/k" for one in (*planned.train, *planned.validate)),
    }
    return SimpleNamespace(**(document | changes))


@pytest.fixture
def load(monkeypatch, store, looked_up):
    """Load one night, whose run is recorded with such keys."""

    def act(day=RUN, **recorded):
        monkeypatch.setattr(past_nights, "load_document", lambda *_: recorded_document(0, **recorded))
        nights, left_out = past_nights.load_past_nights(store, RECIPE, [day], None)
        return nights[0] if nights else None, left_out.get(FIRST)

    return act


def test_what_several_nights_read_is_looked_up_once(monkeypatch, store, looked_up):
    numbers = range(4)
    documents = {layout.run_object(run_of(number)): recorded_document(number) for number in numbers}
    monkeypatch.setattr(past_nights, "load_document", lambda _, path: documents[path])
    refs = []
    monkeypatch.setattr(store, "read_ref", refs.append)
    days = [BackfillDay(date=FIRST + timedelta(days=one), outcome="promote", run_id=run_of(one)) for one in numbers]
    nights, left_out = past_nights.load_past_nights(store, RECIPE, days, None)
    assert [night.plan.run_id for night in nights] == [run_of(number) for number in numbers]
    assert not left_out
    assert [len(night.plan.train) for night in nights] == [len(past_night(0).plan.days.train)] * 4
    assert sorted(set(looked_up)) == sorted(looked_up)
    assert len(refs) == len(set(refs)) > 0


def test_labels_that_changed_are_not_made_anew_for_a_night_that_is_left_out(load, looked_up):
    assert load(labels=())[0] is None
    assert not looked_up


def test_a_night_has_the_days_that_its_run_had(load):
    planned = past_night(0).plan.days
    night, _ = load(excluded={str(planned.train[0]): "rejected"})
    assert [one.day for one in night.plan.train] == [*planned.train[1:]]
    assert [one.day for one in night.plan.validate] == [*planned.validate]
    assert (night.day, night.plan.run_id, night.plan.champion) == (FIRST, run_of(0), None)


@pytest.mark.parametrize(
    ("recorded", "why"),
    [
        ({"training_digest": "another"}, "expected a model of this recipe, received one of another"),
        ({"training_digest": None}, "expected a model of this recipe, received one of another"),  # of an old version
        ({"labels": ()}, "landed anew"),
    ],
)
def test_a_night_of_another_recipe_or_other_labels_is_left_out(load, recorded, why):
    night, left_out = load(**recorded)
    assert night is None
    assert why in left_out


def test_a_day_without_a_run_is_left_out_with_its_own_reason(load):
    assert (
        load(BackfillDay(date=FIRST, outcome="rejected", reason="no clicks"))[1] == "rejected, without a run: no clicks"
    )


@pytest.mark.parametrize("trained", [{"training": None}, {"metrics": SimpleNamespace(challenger=None)}])
def test_a_run_that_trained_nothing_has_no_challenger(load, trained):
    given = {"training": True, "metrics": SimpleNamespace(challenger=True)}
    assert load(**given)[0].challenger == run_of(0)
    assert load(**(given | trained))[0].challenger is None


def write_model(store, path, *names, **published):
    """Publish an object with models of these names below it."""
    with store.writing(path, published) as folder:
        for name in names:
            (folder / name).mkdir(parents=True)
            (folder / name / "saved_model.pb").write_text(name, encoding="utf-8")


@pytest.mark.parametrize(("names", "found"), [((SERVING,), SERVING), ((SERVING, EVALUATED), EVALUATED)])
def test_of_a_run_the_model_that_was_judged_is_scored(store, names, found):
    write_model(store, layout.run_object("r"), *(f"{CHALLENGER}/{name}" for name in names))
    assert judged_model(store, "r", FIRST) == store.open(layout.run_object("r")) / CHALLENGER / found


def test_of_a_champion_whose_run_is_gone_one_is_scored_that_has_not_seen_the_days(store):
    published = PublishedModel(data_through=FIRST, recipe_digest="d").to_json()
    write_model(store, layout.model_object("m"), SERVING, **published)
    assert judged_model(store, "m", FIRST) is None
    later = FIRST.replace(day=FIRST.day + 1)
    assert judged_model(store, "m", later) == store.open(layout.model_object("m")) / SERVING
    assert judged_model(store, "gone", later) is None


class Answers:
    """A process of models that writes such scores."""

    def __init__(self, **probability):
        self._table = pa.table({name: np.array(values) for name, values in probability.items()})

    def call(self, _work, run, paths):
        self.paths = paths
        pq.write_table(self._table, run.folder / SCORES_FILE)


@pytest.fixture
def run(store, tmp_path):
    write_model(store, layout.run_object("a"), f"{CHALLENGER}/{SERVING}")
    folder = tmp_path / "night"
    folder.mkdir()
    return Run(store, RECIPE, past_night(0).plan, folder)


def test_a_model_that_is_gone_is_done_without_only_where_it_is_merely_wanted(run):
    models = Answers(a=[0.5])
    assert score_versions(run, models, ["a"], ["gone"])["a"].to_pylist() == [0.5]
    assert [*models.paths] == ["a"]
    assert not [*run.folder.iterdir()]
    with pytest.raises(StorageError, match="expected the models gone, received none"):
        score_versions(run, models, ["a", "gone"], [])


@pytest.mark.parametrize("wrong", [float("nan"), -0.1, 1.1])
def test_what_is_no_probability_leaves_the_night_out(run, wrong):
    with pytest.raises(DataRejectedError, match="model a: expected probabilities"):
        score_versions(run, Answers(a=[0.5, wrong]), ["a"], [])
