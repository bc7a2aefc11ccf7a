"""When a seed twin is due, what is carried from night to night, and what becomes of a night on which it fails."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctr_retrain.models.documents.ref_documents import RunsRef
from ctr_retrain.models.documents.training_documents import SeedTwinsDocument
from ctr_retrain.models.errors import ProcessDiedError
from ctr_retrain.tasks.evaluate.measure_seed_twin import KEPT, is_due, known_twins, measure_seed_twin
from ctr_retrain.tasks.plan.run import Run
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.layout import SCORES_FILE, SEED_TWINS_FILE, YARDSTICK_FILE
from ctr_retrain.tasks.store.protocol import replace_ref
from tests.support.reported_run import DAY, RECIPE, make_plan
from tests.support.scripted_models import Answers
from tests.support.seed_twins import seed_twin

OWN = RECIPE.digest


def days_ago(count, **more):
    return seed_twin(DAY - timedelta(days=count), digest=OWN, **more)


def record(store, day, *twins):
    run_id = f"{day}-aaaa"
    with store.writing(layout.run_object(run_id), {}) as folder:
        if twins:
            SeedTwinsDocument(twins=twins).write(folder / SEED_TWINS_FILE)
    replace_ref(store, layout.run_ref(day), RunsRef(current=run_id, history=(run_id,)), None)


@pytest.fixture
def run(store, tmp_path):
    return make_run(store, tmp_path)


def make_run(store, folder, **training):
    label = np.arange(100) % 10 == 0
    columns = {"label": label.astype(int), "challenger": np.full(100, 0.1), "channel": ["ad"] * 100}
    more = {"user_bucket": np.arange(100), "campaign": ["a"] * 100, "day_index": np.zeros(100, int)}
    pq.write_table(pa.table(columns | more), folder / SCORES_FILE)
    recipe = RECIPE.model_copy(update={"training": RECIPE.training.model_copy(update=training)})
    return Run(store, recipe, make_plan(DAY), folder)


def written(run):
    return SeedTwinsDocument.read(run.folder / SEED_TWINS_FILE)


@pytest.mark.parametrize(("ago", "due"), [(1, False), (6, False), (7, True)])
def test_it_is_due_where_the_recipe_has_none_of_the_last_days(run, ago, due):
    assert is_due(run, ())
    assert is_due(run, (days_ago(ago),)) is due
    assert is_due(run, (seed_twin(DAY - timedelta(days=ago), digest="before"),))


def test_not_on_the_night_of_a_yardstick_unless_every_night_has_one(store, tmp_path, run):
    (run.folder / YARDSTICK_FILE).write_text("{}", encoding="utf-8")
    assert not is_due(run, ())
    assert is_due(make_run(store, tmp_path, yardstick_every=1), ())


def test_what_was_measured_is_added_to_what_earlier_runs_know(run):
    record(run.store, DAY - timedelta(days=9), days_ago(9, changed=0.2))
    record(run.store, DAY - timedelta(days=2))  # a run that ended before it had scores
    measure_seed_twin(run, None, Answers(days_ago(0)))
    assert written(run).twins == (days_ago(9, changed=0.2), days_ago(0))
    assert "9.0 %" in written(run).noise.message


def test_nights_without_one_carry_on_what_is_known(run):
    record(run.store, DAY - timedelta(days=1), days_ago(3))
    models = Answers(days_ago(0))
    measure_seed_twin(run, None, models)
    assert models.calls == 0
    assert written(run).twins == (days_ago(3),)
    assert written(run).noise.twin == days_ago(3)


def test_no_more_than_a_season_is_carried(run):
    record(run.store, DAY - timedelta(days=1), *(days_ago(7 * week) for week in range(KEPT, 0, -1)))
    measure_seed_twin(run, None, Answers(days_ago(0)))
    assert len(written(run).twins) == KEPT
    assert written(run).twins[-1] == days_ago(0)


def test_runs_of_later_days_and_of_long_ago_are_not_looked_at(run):
    record(run.store, DAY + timedelta(days=1), days_ago(3))
    record(run.store, DAY - timedelta(days=15), days_ago(15))
    assert known_twins(run.store, DAY) == ()


def test_nothing_is_trained_or_written_where_the_recipe_says_0(store, tmp_path):
    run, models = make_run(store, tmp_path, seed_twin_every=0), Answers(days_ago(0))
    record(store, DAY - timedelta(days=1), days_ago(1))
    measure_seed_twin(run, None, models)
    assert models.calls == 0
    assert not (run.folder / SEED_TWINS_FILE).exists()


@pytest.mark.parametrize("error", [ValueError("no columns"), ProcessDiedError("killed", status=-9, progress=None)])
def test_an_error_ends_no_night_and_is_told(run, error):
    measure_seed_twin(run, None, Answers(error))
    assert written(run).failure == f"{type(error).__name__}: {error}"
    assert written(run).noise is None


def test_a_damaged_document_of_before_ends_no_night_either(run):
    day = DAY - timedelta(days=1)
    record(run.store, day, days_ago(1))
    (run.store.open(layout.run_object(f"{day}-aaaa")) / SEED_TWINS_FILE).write_text("{", encoding="utf-8")
    measure_seed_twin(run, None, Answers(days_ago(0)))
    assert written(run).twins == (days_ago(0),)
