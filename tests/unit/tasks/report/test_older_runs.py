"""Rules of pages about runs that another version wrote: they are shown, or a sentence says why not."""

import json
import shutil
from pathlib import Path

import pytest

from ctr_retrain.models.errors import StorageError
from ctr_retrain.tasks.plan.run import Run
from ctr_retrain.tasks.report.run_list import write_run_list
from ctr_retrain.tasks.report.run_page import write_report
from ctr_retrain.tasks.store import layout
from tests.support.html_page import Page
from tests.support.reported_run import CHAMPION, DAY, RECIPE, make_plan

BEFORE = Path(__file__).parents[2] / "models" / "documents" / "before"  # documents of before they had versions
OLDER = "2026-03-25-65f422ab"  # their run


@pytest.fixture
def older_run(store, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(BEFORE, folder)
    return Run(store, RECIPE, make_plan(DAY, CHAMPION), folder)


def publish(store, run_id, **changes):
    """A run of before under another name, with keys changed."""
    document = json.loads((BEFORE / "run.json").read_text(encoding="utf-8"))
    with store.writing(layout.run_object(run_id), {}) as folder:
        (folder / "run.json").write_text(json.dumps({**document, "run_id": run_id, **changes}), encoding="utf-8")


def list_page(store):
    write_run_list(store, None)
    return Page((Path(store.root) / layout.RUN_LIST_PAGE).read_text(encoding="utf-8"))


def without(document, key):
    return {name: value for name, value in document.items() if name != key}


def test_a_report_is_made_of_documents_of_before_they_had_versions(older_run):
    write_report(older_run)
    page = Page((older_run.folder / "report.html").read_text(encoding="utf-8"))
    run = json.loads((BEFORE / "run.json").read_text(encoding="utf-8"))
    assert all(check["words"] in page.text for check in run["verdict"]["checks"])
    assert run["warnings"][0]["words"] in page.text
    assert page.count("figure", "class", "cost") == page.count("figure", "class", "ratio") == 2
    for chart in ("reliability", "weight", "loss", "maturity"):
        assert page.count("figure", "id", chart) == 1


def test_a_report_is_made_of_a_run_that_lacks_the_keys_which_came_later(older_run):
    path = older_run.folder / "run.json"
    run = json.loads(path.read_text(encoding="utf-8"))
    for key in ("warnings", "heads", "fresh", "maturity", "versions", "excluded", "report"):
        run = without(run, key)
    run["training"] = without(run["training"], "start")
    run["ingest"] = without(run["ingest"], "unknown_columns")
    path.write_text(json.dumps(run), encoding="utf-8")
    write_report(older_run)
    assert "Run for 2026-03-25" in Page((older_run.folder / "report.html").read_text(encoding="utf-8")).texts


@pytest.mark.parametrize("name", ["run.json", "drift.json", "evaluation.json", "training.json"])
def test_a_report_of_another_versions_documents_says_so_in_a_sentence(older_run, name):
    path = older_run.folder / name
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), "format": 2}), encoding="utf-8")
    with pytest.raises(StorageError, match=rf"{name}: expected format 1, received format 2. Upgrade ctr-retrain"):
        write_report(older_run)


def test_the_list_shows_runs_of_before_and_those_that_lack_later_keys(store):
    publish(store, OLDER)
    publish(store, "2026-03-24-0000000a", date="2026-03-24", metrics={}, weights=None, training=None)
    page = list_page(store)
    assert [text for text in page.texts if text in ("2026-03-25", "2026-03-24")] == ["2026-03-25", "2026-03-24"]
    assert "3 to train, 03-07 to 03-09" in page.text
    assert page.count("section", "id", "unreadable") == 0


def test_the_list_names_runs_that_this_version_can_not_read_and_shows_the_others(store):
    publish(store, OLDER)
    publish(store, "2026-03-26-0000000b", format=2)
    publish(store, "2026-03-27-0000000c", verdict={})
    page = list_page(store)
    assert "2026-03-25" in page.texts
    assert "expected format 1, received format 2. Upgrade ctr-retrain to the version that wrote it." in page.text
    assert "with the key 'verdict.decision', received none." in page.text
    names = ["2026-03-26-0000000b", "2026-03-27-0000000c"]
    assert [text for text in page.texts if text in names] == names
    assert [f"runs/{name}/report.html" in page.references() for name in names] == [True, True]


def test_a_list_of_unreadable_runs_alone_does_not_say_that_there_is_none(store):
    publish(store, OLDER, format=2)
    page = list_page(store)
    assert "No run yet." not in page.text
    assert page.count("section", "id", "unreadable") == 1
