"""When a yardstick is due, and what becomes of a night on which it fails."""

from datetime import date, timedelta

import pytest

from ctr_retrain.models.documents.comparison_documents import Yardstick, YardstickDocument
from ctr_retrain.models.documents.ref_documents import RunsRef
from ctr_retrain.models.errors import ProcessDiedError
from ctr_retrain.tasks.evaluate.measure_yardstick import is_due, measure_yardstick
from ctr_retrain.tasks.plan.run import Run
from ctr_retrain.tasks.store import layout
from ctr_retrain.tasks.store.layout import YARDSTICK_FILE
from ctr_retrain.tasks.store.protocol import replace_ref
from tests.support.reported_run import DAY, RECIPE, make_plan
from tests.support.scripted_models import Answers

MEASURED = YardstickDocument(
    yardstick=Yardstick(rows=10, rows_used=5, seconds=1.0, models=(), worth_it=True, message="It is worth it.")
)
FAILED = YardstickDocument(failure="ValueError: no")


def record(store, day, document):
    run_id = f"{day}-aaaa"
    with store.writing(layout.run_object(run_id), {}) as folder:
        if document:
            document.write(folder / YARDSTICK_FILE)
    replace_ref(store, layout.run_ref(day), RunsRef(current=run_id, history=(run_id,)), None)


@pytest.fixture
def run(store, tmp_path):
    return Run(store, RECIPE, make_plan(DAY), tmp_path)


def test_it_is_due_where_there_was_none_before_and_never_where_the_recipe_says_0(store):
    assert is_due(store, DAY, 7)
    assert not is_due(store, DAY, 0)


@pytest.mark.parametrize(("days_ago", "due"), [(1, False), (6, False), (7, True)])
def test_it_is_due_again_after_so_many_days(store, days_ago, due):
    record(store, DAY - timedelta(days=days_ago), MEASURED)
    assert is_due(store, DAY, 7) is due
    assert is_due(store, DAY, 1)


@pytest.mark.parametrize("document", [None, FAILED])
def test_nights_without_one_and_days_that_come_later_do_not_count(store, document):
    record(store, DAY - timedelta(days=7), MEASURED)
    record(store, DAY - timedelta(days=1), document)
    record(store, DAY + timedelta(days=1), MEASURED)
    assert is_due(store, DAY, 7)


def test_what_was_measured_lies_in_the_run(run):
    measure_yardstick(run, Answers(MEASURED.yardstick))
    assert YardstickDocument.read(run.folder / YARDSTICK_FILE) == MEASURED


def test_nothing_is_measured_where_it_is_not_due(run):
    record(run.store, DAY - timedelta(days=1), MEASURED)
    models = Answers(MEASURED.yardstick)
    measure_yardstick(run, models)
    assert models.calls == 0
    assert not (run.folder / YARDSTICK_FILE).exists()


@pytest.mark.parametrize("error", [ValueError("no columns"), ProcessDiedError("killed", status=-9, progress=None)])
def test_an_error_ends_no_night_and_is_told(run, error):
    measure_yardstick(run, Answers(error))
    document = YardstickDocument.read(run.folder / YARDSTICK_FILE)
    assert document.yardstick is None
    assert document.failure == f"{type(error).__name__}: {error}"


def test_a_document_of_a_week_ago_that_is_damaged_ends_no_night_either(run):
    day = date.fromisoformat(str(DAY)) - timedelta(days=2)
    record(run.store, day, MEASURED)
    (run.store.open(layout.run_object(f"{day}-aaaa")) / YARDSTICK_FILE).write_text("{", encoding="utf-8")
    measure_yardstick(run, Answers(MEASURED.yardstick))
    assert "expected a JSON object" in YardstickDocument.read(run.folder / YARDSTICK_FILE).failure
